"""A run that is ended in the middle of a write to the journal: the write is done, and the end follows upon it at once."""

import asyncio
import json

import anyio
import pytest

from gateway.agents.unbroken import unbroken
from gateway.core.errors import ClientLeft
from tests.unit.agents.runs_world import draft
from tests.unit.agents.tools_world import tool_world, want

TOOLS = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]
ANSWERS = ([want("look"), want("search", '{"q": "tea"}')], [want("send")], "Done.")


def interrupting(store, at, interrupt):
    """Have the journal interrupted inside its write number `at`, before it is done."""
    original, count = store.write, 0

    async def write(*what):
        nonlocal count
        count += 1
        if count == at:
            interrupt(what[0])
            for _ in range(3):
                await asyncio.sleep(0)
        return await original(*what)

    store.write = write


async def ended(world, run):
    with anyio.fail_after(5):
        while (found := await world.runs.find("acme", run)).status in ("queued", "in_progress"):
            await anyio.sleep(0.01)
    events = await world.runs.events(run)
    calls = await world.tool_calls.calls(run)

    assert [event.seq for event in events] == list(range(len(events)))
    assert not [call.id for call in calls if call.state in ("planned", "started")]
    return found.status, json.loads(events[-1].data)["response"]["status"]


@pytest.mark.parametrize("at", range(1, 8))
async def test_a_run_that_is_cancelled_inside_a_write_is_cancelled_at_once(tmp_path, at):
    async with tool_world(tmp_path, *ANSWERS) as world:
        interrupting(world.runs, at, world.executor.cancel)
        run = await world.desk.begin(draft("hello", tools=TOOLS, background=True))

        found = await ended(world, run.id)

    assert found in {("cancelled", "cancelled"), ("completed", "completed")}
    assert found[0] == "cancelled" or at == 7


@pytest.mark.parametrize("at", range(1, 8))
async def test_a_client_that_leaves_inside_a_write_leaves_no_run_behind(tmp_path, at):
    async with tool_world(tmp_path, *ANSWERS) as world:
        runs = []

        def leave(run):
            runs.append(run)
            task.cancel(ClientLeft("The client left."))

        interrupting(world.runs, at, leave)
        task = asyncio.ensure_future(world.ask())
        with anyio.fail_after(5):
            await asyncio.wait([task])

        found = await ended(world, runs[0])

    assert found[0] == "cancelled" or at == 7


async def test_a_client_that_leaves_while_its_run_is_being_kept_leaves_no_run_behind(tmp_path):
    async with tool_world(tmp_path, *ANSWERS) as world:
        runs, original = [], world.runs.add

        async def add(run, *more, **how):
            runs.append(run.id)
            task.cancel(ClientLeft("The client left."))
            await asyncio.sleep(0)
            return await original(run, *more, **how)

        world.runs.add = add
        task = asyncio.ensure_future(world.ask())
        with anyio.fail_after(5):
            await asyncio.wait([task])

        assert (await ended(world, runs[0]))[0] == "cancelled"


async def test_a_client_that_is_slow_to_take_the_end_gets_it_although_the_lease_is_gone_by_then(tmp_path):
    async with tool_world(tmp_path, "Done.", lease=1) as world:
        heard, renewed, original = [], anyio.Event(), world.runs.renew

        async def renew(*what, **how):
            try:
                return await original(*what, **how)
            finally:
                if heard[-1:] == ["response.completed"]:
                    renewed.set()

        async def take(event):
            heard.append(event.name)
            if event.name == "response.completed":
                with anyio.fail_after(5):
                    await renewed.wait()
                await anyio.wait_all_tasks_blocked()

        world.runs.renew = renew
        run, _ = await world.answer("hello", tools=TOOLS, take=take)

    assert run.status == "completed"


async def test_unbroken_work_is_done_and_its_error_is_the_cause_of_the_cancellation():
    done = []

    async def work(error):
        await asyncio.sleep(0)
        done.append(error)
        if error is not None:
            raise error

    for error in (None, ValueError("It went wrong.")):
        task = asyncio.ensure_future(unbroken(work(error)))
        await asyncio.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="why") as cancelled:
            await task
        assert cancelled.value.__cause__ is error

    assert len(done) == 2
    with pytest.raises(ValueError, match="wrong"):
        await unbroken(work(ValueError("It went wrong.")))
