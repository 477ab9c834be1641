"""Runs whose holder dies while a tool, or the agent, wants something of people: nobody is asked twice for one thing, and nothing is done unasked."""

import anyio
import msgspec
import pytest

from gateway.core.tools import ToolOutput, Wish
from tests.unit.agents.runs_world import check_stream, draft, speak
from tests.unit.agents.test_tools_taken_over import NEVER, QUICK, Mortal
from tests.unit.agents.tools_world import kinds, tool_world, want

SEATS = Wish(message="How many?", schema={"type": "object", "properties": {"seats": {"type": "integer"}}}, key="k1")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 8))
async def test_a_holder_may_die_at_every_write_while_a_tool_wants_something(tmp_path, at, after):
    """kill -9 in every state: the tool does what it is for once at most, and only with the answer; the run ends or waits for a person."""
    done = []

    async def act(asked):
        if "k1" not in asked.answers:
            return ToolOutput(text="", wishes=(SEATS,))
        done.append(asked.answers["k1"])
        return ToolOutput(text="booked")

    async def script(call, send):
        said = [kind for kind, _ in world.model.told()]
        await (speak(call, send, ["Done."]) if "result" in said else world.model.ask(call, send, [want("send")]))

    async with tool_world(tmp_path, *[script] * 9, **QUICK) as world:
        world.hub.act = act
        msgspec.structs.force_setattr(world.means, "runs", Mortal(world.runs, at, after=after))
        run = await world.desk.begin(draft("go", tools=NEVER, background=True))
        with anyio.fail_after(20):
            check_stream(await world.follow(run))
            run = await world.desk.find("acme", run.id)
            # People say yes to what they are asked, but to do again what may have been done.
            for _ in range(4):
                if run.status != "waiting":
                    break
                [asked] = await world.approvals.of_run(run.id)
                run, events = await world.yes(run, asked.kind != "outcome", reason="3", background=True)
                check_stream(events)

    assert run.status == "completed"
    assert done in ([], [{"seats": 3}])
    assert done or kinds(run)[-1] == "message"


async def test_a_wish_that_is_lost_with_its_holder_is_asked_for_by_the_next(tmp_path):
    """Written is that the call waits, not yet for what: leave is asked to call it again, and then it says what it wants."""
    async with tool_world(tmp_path, [want("send")], "Done.", **QUICK) as world:

        async def act(asked):
            return ToolOutput(text="booked") if "k1" in asked.answers else ToolOutput(text="", wishes=(SEATS,))

        world.hub.act = act
        # Its writes: the answer of the model with the call begun, that the call waits, the end.
        msgspec.structs.force_setattr(world.means, "runs", Mortal(world.runs, 4, after=False))
        run = await world.desk.begin(draft("go", tools=NEVER, background=True))
        with anyio.fail_after(20):
            check_stream(await world.follow(run))
            run = await world.desk.find("acme", run.id)
            first = await world.approvals.of_run(run.id)
            second, _ = await world.yes(run)
            asked = await world.approvals.of_run(second.id)
            third, _ = await world.yes(second, reason="2")

    assert run.epoch == 2
    assert [(each.kind, each.wish) for each in first] == [("call", None)]
    assert [(each.kind, each.wish) for each in asked] == [("question", SEATS)]
    assert third.status == "completed"
    assert [each.answers for each in world.hub.calls] == [{}, {}, {"k1": {"seats": 2}}]
