"""Agents' versions on every database: whole, the first of a version stays, and unknown ones are not there."""

import msgspec

from gateway.config.agent_settings import AgentDefinition, AgentLimitSettings, AgentOutputSettings, AgentSettings
from gateway.core.clock import Clock
from gateway.stores.agent_versions import SPARED
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import queued
from tests.contract.tool_records import call

LATER = 1001.0 + 2 * SPARED
FAR = 9e9

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


async def test_a_version_goes_with_the_last_run_that_has_it(database):
    """When nobody has kept it for a while, and not before: what is to have it may not be written yet."""
    versions, runs = kept_at(database, [1000.0]), SqlRuns(database)
    other = msgspec.structs.replace(CLERK, version="2.0+def")
    for definition in (CLERK, other):
        await versions.keep(definition)
    for name, version, expires in (("a", CLERK.version, 10.0), ("b", CLERK.version, FAR), ("c", other.version, FAR)):
        run = queued(f"resp_{name}", version=version, expires_at=expires, status="completed")
        await runs.add(run, [])

    await runs.remove_expired(LATER)
    assert await versions.find(CLERK.version) == CLERK
    assert await runs.remove("acme", "resp_b")
    await runs.remove_expired(1000.0 + SPARED)
    assert await versions.find(CLERK.version) == CLERK
    await runs.remove_expired(LATER)
    assert await versions.find(CLERK.version) is None
    assert await versions.find(other.version) == other


async def test_a_version_is_there_for_who_kept_it_anew_while_it_was_to_be_forgotten(database):
    now = [1000.0]
    versions, runs = kept_at(database, now), SqlRuns(database)
    await versions.keep(CLERK)
    now[0] += 2 * SPARED
    await versions.keep(CLERK)

    await runs.remove_expired(now[0] + SPARED)
    assert await versions.find(CLERK.version) == CLERK


async def test_a_call_that_handed_over_keeps_the_version_of_who_took_over(database):
    """The run's own version is that of who began."""
    versions, runs = kept_at(database, [1000.0]), SqlRuns(database)
    await versions.keep(CLERK)
    await runs.add(queued("resp_a", version="front"), [])
    await runs.claim("me", now=1.0, until=9e9, most=1)
    handed = call(run="resp_a", server="switchgear", tool="transfer_to_clerk", definition=CLERK.version)
    await runs.write("resp_a", 1, Entry(calls=[handed]))

    await runs.remove_expired(LATER)
    assert await versions.find(CLERK.version) == CLERK
    await runs.write("resp_a", 1, Entry(status="completed"))
    assert await runs.remove("acme", "resp_a")
    await runs.remove_expired(LATER)
    assert await versions.find(CLERK.version) is None


def kept_at(database, now):
    """The versions, with a clock that says `now[0]`."""
    return SqlAgentVersions(database, Clock(wall=lambda: now[0]))
