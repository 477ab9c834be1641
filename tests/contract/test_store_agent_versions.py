"""Agents' versions on every database: whole, the first of a version stays, and unknown ones are not there."""

import msgspec

from gateway.config.agent_settings import AgentDefinition, AgentLimitSettings, AgentOutputSettings, AgentSettings
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import queued

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


async def test_the_last_run_of_a_version_takes_it_along(database):
    """With the runs' retention, and with a run that somebody deletes; a version that is in use stays."""
    versions, runs = SqlAgentVersions(database), SqlRuns(database)
    other = msgspec.structs.replace(CLERK, version="2.0+def")
    for definition in (CLERK, other):
        await versions.keep(definition)
    for name, version, expires in (("a", CLERK.version, 10.0), ("b", CLERK.version, 99.0), ("c", other.version, 99.0)):
        run = queued(f"resp_{name}", version=version, expires_at=expires, status="completed")
        await runs.add(run, [])

    await runs.remove_expired(50.0)
    assert await versions.find(CLERK.version) == CLERK
    assert await runs.remove("acme", "resp_b")
    assert await versions.find(CLERK.version) is None
    assert await versions.find(other.version) == other

    await versions.keep(CLERK)
    assert await versions.find(CLERK.version) == CLERK
