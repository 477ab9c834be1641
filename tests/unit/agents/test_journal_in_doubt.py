"""Writes of which nobody knows whether they were done: what was not written is written, and what was is not written twice."""

import anyio
import msgspec
import pytest

from gateway.agents.holding import Holding
from gateway.agents.journal import Scribe
from gateway.core.errors import StoreUnavailable
from gateway.stores.runs import Entry, Piece, RunEvent, RunItem
from gateway.stores.tool_calls import ToolCall
from tests.unit.agents.runs_world import draft
from tests.unit.agents.tools_world import tool_world

CALL = ToolCall(
    id="mcp_1", run="", call_id="1", step=1, index=0, server="desk", tool="send", arguments="{}", arguments_hash="h",
    definition="d", effect="once", key="k", state="started",
)  # fmt: skip
ITEM = RunItem(id="item_1", place="output", index=0, body={"id": "item_1", "type": "message"})


def events(first, count):
    return [RunEvent(seq=number, name="response.x", data=b"{}") for number in range(first, first + count)]


async def journal_of(world):
    run = await world.desk.begin(draft("hello", background=True))
    (held,) = await world.runs.claim(
        "somebody", now=world.means.clock.wall(), until=world.means.clock.wall() + 60, most=1
    )
    assert held.id == run.id
    return Scribe(world.means).open(Holding(held)), held


def doubting(store):
    """Have the next write done and not told of."""
    original = store.write

    async def write(*what):
        store.write = original
        await original(*what)
        raise StoreUnavailable("It did not answer in time.")

    store.write = write


@pytest.mark.parametrize("own", [0, 2])
@pytest.mark.parametrize("doubt", ["appended", "appended-and-written", "written", "neither"])
@pytest.mark.parametrize("items", [(), (ITEM,)])
async def test_what_goes_with_events_is_written_once_whatever_was_known_of_them(tmp_path, own, doubt, items):
    async with tool_world(tmp_path, executing=False) as world:
        journal, run = await journal_of(world)
        await journal.put(events(0, 3))
        if doubt.startswith("appended"):
            taken = journal.take()
            await world.runs.append([Piece(run=run.id, epoch=run.epoch, events=taken)])
            journal.put_back(taken)
        if doubt.endswith("written"):
            doubting(world.runs)
        call = msgspec.structs.replace(CALL, run=run.id)

        with anyio.fail_after(5):
            await journal.write(Entry(events=events(3, own), calls=[call], items=items))
            await journal.write(Entry(events=events(3 + own, 1)))

        assert [event.seq for event in await world.runs.events(run.id)] == list(range(4 + own))
        assert [(each.id, each.state) for each in await world.tool_calls.calls(run.id)] == [("mcp_1", "started")]
        assert [item.id for item in await world.runs.items(run.id, "output")] == [item.id for item in items]
