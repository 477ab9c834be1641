"""Spilled results on every database: whole, read in parts, and gone with their run."""

import pytest

from gateway.core.errors import Conflict
from gateway.stores.blobs_sql import SqlBlobs
from gateway.stores.runs import Entry, Fenced
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import ending, events, held


@pytest.fixture
async def blobs(database):
    runs = SqlRuns(database)
    for run in ("resp_1", "resp_2"):
        await runs.add(held(run), [])
    return SqlBlobs(database)


@pytest.fixture
def keep(database):
    """Keeps a text with an entry of a run's journal, as the result of a call is kept."""

    async def keep(run, name, text):
        await SqlRuns(database).write(run, 1, Entry(kept=[(name, text)]))

    return keep


async def test_parts_of_a_text_are_read_from_anywhere(blobs, keep):
    whole = bytes(range(256)) * 4000 + "я".encode()
    await keep("resp_1", "mcp_1", whole)

    for offset, limit in ((0, 10), (0, 2 * len(whole)), (1_000_000, 500), (len(whole) - 3, 10), (5, 0)):
        assert await blobs.read("resp_1", "mcp_1", offset=offset, limit=limit) == (whole[offset:][:limit], len(whole))
    assert await blobs.read("resp_1", "mcp_1", offset=len(whole) + 5, limit=10) == (b"", len(whole))


@pytest.mark.parametrize(("offset", "limit"), [(-5, 3), (0, -1), (2**40, 3)])
async def test_a_part_that_there_is_not_is_empty_or_the_beginning(blobs, keep, offset, limit):
    """A model says which part it wants."""
    await keep("resp_1", "mcp_1", b"abcdef")
    expected = b"abc" if offset < 0 else b""
    assert await blobs.read("resp_1", "mcp_1", offset=offset, limit=limit) == (expected, 6)


async def test_what_is_there_stays(blobs, keep):
    await keep("resp_1", "mcp_1", b"first")
    await keep("resp_1", "mcp_1", b"second")
    assert await blobs.read("resp_1", "mcp_1", offset=0, limit=99) == (b"first", 5)


@pytest.mark.parametrize("name", ["mcp_2", "", "mcp_1\0", "\ud800", "../mcp_1"])
async def test_a_name_that_nothing_has_is_not_there(blobs, keep, name):
    await keep("resp_1", "mcp_1", b"a")
    assert await blobs.read("resp_1", name, offset=0, limit=9) is None
    assert await blobs.read("resp_2", "mcp_1", offset=0, limit=9) is None


async def test_a_text_goes_with_its_run_and_none_is_kept_of_one_that_is_gone(blobs, keep, database):
    for run in ("resp_1", "resp_2"):
        await keep(run, "mcp_1", b"a")
    await SqlRuns(database).write("resp_1", 1, ending(0))
    assert await SqlRuns(database).remove("acme", "resp_1")
    with pytest.raises(Fenced):
        await keep("resp_1", "mcp_1", b"late")

    assert await blobs.read("resp_1", "mcp_1", offset=0, limit=9) is None
    assert await blobs.read("resp_2", "mcp_1", offset=0, limit=9) == (b"a", 1)


async def test_an_entry_that_is_not_written_keeps_no_text(blobs, keep, database):
    with pytest.raises(Conflict):
        await SqlRuns(database).write("resp_1", 1, Entry(events=events(5), kept=[("mcp_1", b"a")]))
    assert await blobs.read("resp_1", "mcp_1", offset=0, limit=9) is None
