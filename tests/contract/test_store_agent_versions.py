"""Agents' versions on every database: whole, the first of a version stays, and unknown ones are not there."""

import msgspec

from gateway.config.agent_settings import AgentDefinition, AgentLimitSettings, AgentOutputSettings, AgentSettings
from gateway.stores.agent_versions_sql import SqlAgentVersions

CLERK = AgentDefinition(
    name="clerk",
    version="1.0+abc",
    settings=AgentSettings(
        model="talker",
        tools={"desk": ("look",)},
        approval={"desk/look": "always"},
        limits=AgentLimitSettings(cost=0.5),
        output=AgentOutputSettings(schema={"type": "object"}),
    ),
    instructions="Be brief. я \U0001f980",
    schema={"type": "object", "required": ["a"]},
)


async def test_a_version_is_given_back_whole(database):
    versions = SqlAgentVersions(database)
    await versions.keep(CLERK)

    assert await versions.find("1.0+abc") == CLERK


async def test_the_first_of_a_version_stays(database):
    versions = SqlAgentVersions(database)
    await versions.keep(CLERK)
    await versions.keep(msgspec.structs.replace(CLERK, instructions="other"))

    assert await versions.find("1.0+abc") == CLERK


async def test_what_was_never_kept_is_not_there(database):
    assert await SqlAgentVersions(database).find("nothing") is None
