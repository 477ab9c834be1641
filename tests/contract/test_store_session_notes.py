"""What is kept of MCP clients' sessions, on every database: a level, a bounded number of resources, and nothing of sessions that are over."""

import pytest

from gateway.stores.session_notes import MOST_RESOURCES
from gateway.stores.session_notes_sql import SqlSessionNotes

pytestmark = pytest.mark.anyio


@pytest.fixture
def notes(database):
    return SqlSessionNotes(database)


async def test_a_level_is_the_last_that_was_said_and_one_sessions_own(notes):
    await notes.set_level("a", "error", until=10.0)
    await notes.set_level("a", "debug", until=10.0)

    assert await notes.level("a") == "debug"
    assert await notes.level("b") == ""


async def test_a_resource_is_watched_once_and_then_no_more(notes):
    for uri in ("memo://two", "memo://one", "memo://one"):
        assert await notes.watch("a", uri, until=10.0)
    both = await notes.resources("a")
    await notes.unwatch("a", "memo://two")
    await notes.unwatch("a", "memo://never")

    assert both == ["memo://one", "memo://two"]
    assert await notes.resources("a") == ["memo://one"]
    assert await notes.resources("b") == []


async def test_a_session_watches_a_bounded_number_of_resources(notes):
    kept = [await notes.watch("a", f"memo://{number}", until=10.0) for number in range(MOST_RESOURCES + 1)]

    assert kept == [True] * MOST_RESOURCES + [False]
    assert await notes.watch("a", "memo://0", until=10.0), "one that is watched stays so"
    assert await notes.watch("b", "memo://0", until=10.0)


async def test_what_was_kept_of_a_session_that_is_over_is_forgotten(notes):
    await notes.set_level("old", "error", until=10.0)
    await notes.watch("old", "memo://one", until=10.0)
    await notes.watch("new", "memo://one", until=10.1)

    assert await notes.sweep(10.0) == 2
    assert await notes.level("old") == ""
    assert await notes.resources("new") == ["memo://one"]


async def test_a_long_uri_is_kept_whole(notes):
    uri = "memo://" + "x" * 20_000

    assert await notes.watch("a", uri, until=10.0)
    assert await notes.resources("a") == [uri]
