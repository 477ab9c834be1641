"""What is left of a handover when the run is forked, or when other runs of the agent that took over are forgotten. Promised by docs/agents.md and docs/time-travel.md."""

import time

import pytest

from gateway.agents.forking import Cut
from gateway.agents.travelling import Changes
from gateway.core.caller import Caller
from gateway.stores.agent_versions import SPARED
from gateway.stores.agent_versions_sql import SqlAgentVersions
from tests.unit.agents.office_world import agent, office
from tests.unit.agents.tools_world import want

ROOT = Caller(id="root", tenant="acme", role="owner")
FRONT = agent("front", handoffs=("billing",))
BILLING = agent("billing", tools={"desk": ("look", "send")}, approval={"desk/send": "always"})
TRANSFER = want("transfer_to_billing", server="")


async def forked(world, run, cut):
    desk = world.world.desk
    made = await desk.travel.fork(ROOT, await desk.find("acme", run.id), cut, Changes())
    return await world.world.ended(made)


async def test_a_fork_after_a_handover_goes_on_as_who_was_in_charge_there(tmp_path):
    minds = {"front": [[TRANSFER]], "billing": [[want("look")], "It is paid.", "It is paid, indeed."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        run, _ = await world.ask("My bill?")
        world.agents["billing"] = agent("billing", "v2", "New words.")
        fork = await forked(world, run, Cut(at=2))

    assert (fork.status, fork.agent, fork.version) == ("completed", "billing", "billing-v1")
    assert len(world.minds["front"].calls) == 1
    assert world.minds["billing"].calls[-1].fields["instructions"] == "You are billing."


async def test_a_fork_after_the_event_of_a_handover_goes_on_as_who_took_over(tmp_path):
    minds = {"front": [[TRANSFER]], "billing": ["It is paid.", "It is paid, indeed."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        run, events = await world.ask("My bill?")
        done = [event.seq for event in events if event.name == "response.output_item.done"]
        fork = await forked(world, run, Cut(after=done[0]))

    assert (fork.status, fork.agent) == ("completed", "billing")


async def test_a_fork_before_a_handover_goes_on_as_who_began(tmp_path):
    minds = {"front": [[TRANSFER], "I see to it myself."], "billing": ["It is paid."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        run, _ = await world.ask("My bill?")
        fork = await forked(world, run, Cut(at=0))

    assert (fork.status, fork.agent, fork.version) == ("completed", "front", "front-v1")


@pytest.mark.parametrize("travel", ["fork", "replay"])
async def test_a_turn_of_who_took_over_is_made_again_although_its_client_named_a_server_of_the_first(tmp_path, travel):
    front = agent("front", handoffs=("billing",), tools={"desk": ("look",)})
    named = [{"type": "mcp", "server_label": "desk"}]
    minds = {"front": [[TRANSFER]], "billing": ["First.", "Second.", "Second."]}
    async with office(tmp_path, front, agent("billing"), minds=minds) as world:
        one, _ = await world.ask("one")
        two, _ = await world.ask("two", previous_response_id=one.id, tools=named)
        assert (two.status, two.agent) == ("completed", "billing")
        desk = world.world.desk
        made = await (
            desk.travel.fork(ROOT, two, Cut(at=0), Changes())
            if travel == "fork"
            else desk.travel.replay(ROOT, two, Changes())
        )
        again = await world.world.ended(made)

    assert (again.status, again.agent) == ("completed", "billing")


async def test_a_run_that_waits_keeps_the_version_that_it_was_handed_to(tmp_path):
    minds = {"front": [[TRANSFER]], "billing": ["Hello.", [want("send")], "Sent."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        other, _ = await world.ask("hello", agent="billing")
        asked, _ = await world.ask("Send it.")
        world.agents["billing"] = agent("billing", "v2", "New words.")
        await world.world.desk.remove("acme", other.id)
        await world.world.means.runs.remove_expired(time.time() + 3 * SPARED)
        run, _ = await world.yes(asked)

    assert (asked.status, run.status, run.version) == ("waiting", "completed", "billing-v1")
    assert world.world.hub.made == ["send"]


async def test_the_last_run_that_was_handed_to_a_version_takes_it_along(tmp_path):
    minds = {"front": [[TRANSFER]], "billing": ["It is paid."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        versions = SqlAgentVersions(world.world.database)
        run, _ = await world.ask("My bill?")
        before = await versions.find("billing-v1")
        await world.world.desk.remove("acme", run.id)
        await world.world.means.runs.remove_expired(time.time() + 3 * SPARED)

        assert before is not None
        assert await versions.find("billing-v1") is None
        assert await versions.find("front-v1") is None
