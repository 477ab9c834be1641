"""Runs whose holder dies in the middle of a tool call: another goes on, nothing that could happen twice does, and the stream stays one."""

import anyio
import msgspec
import pytest

from gateway.core.tools import ToolOutput
from gateway.stores.runs import Fenced
from tests.unit.agents.runs_world import check_stream, draft, speak
from tests.unit.agents.tools_world import kinds, results, tool_world, want

NEVER = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]
QUICK = {"lease": 1.0, "poll": 0.05}


class Mortal:
    """A RunStore before or after whose nth entry the holder dies, once."""

    def __init__(self, runs, at, *, after):
        self._runs, self._left, self._after = runs, at, after

    def __getattr__(self, name):
        return getattr(self._runs, name)

    async def write(self, run, epoch, entry):
        self._left -= 1
        if self._left == 0:
            if self._after:
                await self._runs.write(run, epoch, entry)
            # The process is gone: whoever held the run hears nothing but that.
            msg = "gone"
            raise Fenced(msg)
        await self._runs.write(run, epoch, entry)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
async def test_a_holder_may_die_at_every_write_and_nothing_is_done_twice(tmp_path, at, after):
    """kill -9 in every state: never more than one `once`, and the run ends or waits for a person."""
    answers = [want("send", '{"n":1}'), want("look", '{"n":2}')]

    async def script(call, send):
        said = [kind for kind, _ in world.model.told()]
        await (speak(call, send, ["Done."]) if "result" in said else world.model.ask(call, send, answers))

    async with tool_world(tmp_path, *[script] * 9, **QUICK) as world:
        msgspec.structs.force_setattr(world.means, "runs", Mortal(world.runs, at, after=after))
        run = await world.desk.begin(draft("go", tools=NEVER, background=True))
        with anyio.fail_after(20):
            events = await world.follow(run)
        run = await world.desk.find("acme", run.id)

    check_stream(events)
    assert world.hub.made.count("send") <= 1
    assert run.status in ("completed", "waiting")
    if run.status == "waiting":
        assert kinds(run)[-1] == "mcp_approval_request"
    else:
        assert [name for name, _ in results(run)] == ["send", "look"]
        assert world.hub.made.count("send") == 1


async def test_a_read_that_was_begun_by_who_is_gone_is_made_again_with_the_same_key(tmp_path):
    async with tool_world(tmp_path, [want("look")], "Found.", **QUICK) as world:

        async def act(asked):
            if len(world.hub.calls) == 1:
                world.executor._held[asked.run].end("lost")
                await anyio.sleep_forever()
            return ToolOutput(text="here")

        world.hub.act = act
        run = await world.desk.begin(draft("go", tools=NEVER, background=True))
        with anyio.fail_after(20):
            events = await world.follow(run)
        run = await world.desk.find("acme", run.id)
        [call] = await world.tool_calls.calls(run.id)

    check_stream(events)
    assert (run.status, run.epoch, call.attempts) == ("completed", 2, 2)
    assert results(run) == [("look", "here")]
    assert len({asked.key for asked in world.hub.calls}) == 1


async def test_what_may_have_been_done_is_put_to_a_person_by_who_takes_over(tmp_path):
    async with tool_world(tmp_path, [want("send")], **QUICK) as world:

        async def act(asked):
            world.executor._held[asked.run].end("lost")
            await anyio.sleep_forever()

        world.hub.act = act
        run = await world.desk.begin(draft("go", tools=NEVER, background=True))
        with anyio.fail_after(20):
            events = await world.follow(run)
        run = await world.desk.find("acme", run.id)
        [approval] = await world.approvals.of_run(run.id)

    check_stream(events)
    assert (run.status, approval.kind, world.hub.made) == ("waiting", "outcome", ["send"])
    assert kinds(run) == ["mcp_list_tools", "mcp_call", "mcp_approval_request"]
