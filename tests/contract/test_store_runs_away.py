"""Runs and conversations when the database is away: each question says so, and what was kept is there when it is back."""

import anyio

from gateway.config.database_settings import SqliteSettings
from gateway.core.errors import StoreUnavailable
from gateway.stores.conversations import Conversation, ConversationItem
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import open_database
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from tests.contract.conftest import postgres_settings
from tests.contract.run_records import ENDED, events, held, numbers, queued

THREAD = Conversation(id="conv_1", tenant="acme", created_at=1.0)
SAID = ConversationItem(id="msg_1", place=0, body={"type": "message"})


def writing(runs, conversations):
    return {
        "add": lambda: runs.add(queued("resp_2"), []),
        "claim": lambda: runs.claim("o", now=1.0, until=2.0, most=1),
        "renew": lambda: runs.renew({"resp_1": 1}, until=100.0),
        "release": lambda: runs.release("resp_1", 1),
        "write": lambda: runs.write("resp_1", 1, Entry(events=events(0))),
        "request_cancel": lambda: runs.request_cancel("acme", "resp_1", now=1.0, ended=ENDED),
        "remove": lambda: runs.remove("acme", "resp_1"),
        "remove_expired": lambda: runs.remove_expired(1.0),
        "conversation add": lambda: conversations.add(THREAD),
        "set_metadata": lambda: conversations.set_metadata("acme", "conv_0", {}),
        "conversation remove": lambda: conversations.remove("acme", "conv_0"),
        "append": lambda: conversations.append("acme", "conv_0", [SAID], most=5),
        "remove_item": lambda: conversations.remove_item("acme", "conv_0", "msg_0"),
    }


def reading(runs, conversations):
    return {
        "cancel_requested": lambda: runs.cancel_requested(["resp_1"]),
        "find": lambda: runs.find("acme", "resp_1"),
        "list": lambda: runs.list("acme"),
        "events": lambda: runs.events("resp_1"),
        "items": lambda: runs.items("resp_1"),
        "conversation find": lambda: conversations.find("acme", "conv_0"),
        "conversation items": lambda: conversations.items("acme", "conv_0"),
        "find_item": lambda: conversations.find_item("acme", "conv_0", "msg_0"),
    }


async def refused(questions) -> list[str]:
    """The names of the questions that were told that the store is not there."""
    found = []
    for name, ask in questions.items():
        try:
            with anyio.fail_after(10):
                await ask()
        except StoreUnavailable:
            found.append(name)
    return found


async def as_before(runs, conversations) -> None:
    assert await runs.find("acme", "resp_1") == held()
    assert await runs.find("acme", "resp_2") is None
    assert await conversations.find("acme", "conv_1") is None
    assert await conversations.find("acme", "conv_0") is not None
    await runs.write("resp_1", 1, Entry(events=events(0)))
    assert await numbers(runs) == [0]


async def kept(database):
    runs, conversations = SqlRuns(database), SqlConversations(database)
    await runs.add(held(), [])
    await conversations.add(Conversation(id="conv_0", tenant="acme", created_at=1.0))
    return runs, conversations


async def test_a_server_that_is_gone_is_said_by_each_question(postgres_server, migrated_postgres):
    database = await open_database(postgres_settings(postgres_server.new_database(migrated_postgres)))
    runs, conversations = await kept(database)
    questions = writing(runs, conversations) | reading(runs, conversations)
    await anyio.to_thread.run_sync(postgres_server.kill)
    try:
        assert await refused(questions) == list(questions)
    finally:
        await anyio.to_thread.run_sync(postgres_server.start)

    await as_before(runs, conversations)
    await database.aclose()


async def test_a_file_that_somebody_holds_is_said_by_who_would_write_and_read_all_the_same(tmp_path):
    settings = SqliteSettings(path=str(tmp_path / "switchgear.db"), timeout=0.1)
    database, other = await open_database(settings), await open_database(settings)
    runs, conversations = await kept(database)
    async with other.begin():
        assert await refused(writing(runs, conversations)) == list(writing(runs, conversations))
        assert await refused(reading(runs, conversations)) == []

    await as_before(runs, conversations)
    for each in (database, other):
        await each.aclose()
