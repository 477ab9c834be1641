"""The stores of tools when the database is away: each question says so, and what was kept is there when it is back."""

import anyio

from gateway.config.database_settings import SqliteSettings
from gateway.core.errors import StoreUnavailable
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.blobs_sql import SqlBlobs
from gateway.stores.database import Database, open_database
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import Notice
from gateway.stores.tool_calls_sql import SqlToolCalls
from gateway.stores.tool_pins import Pin
from gateway.stores.tool_pins_sql import SqlPins
from tests.contract.conftest import postgres_settings
from tests.contract.run_records import held, queued
from tests.contract.tool_records import approval, starting, vote, waits

PIN = Pin(server="s", tool="t", definition="d", body={}, accepted_by="first", accepted_at=1.0)


def writing(database: Database):
    runs, approvals, outbox = SqlRuns(database), SqlApprovals(database), SqlOutbox(database)
    pins = SqlPins(database)
    return {
        "begin": lambda: runs.write("resp_2", 1, starting()),
        "vote": lambda: approvals.vote(vote()),
        "continue_by": lambda: approvals.continue_by("resp_1", queued("resp_3"), []),
        "expire": lambda: approvals.expire(1e9),
        "take": lambda: outbox.take(["slack"], now=1.0, until=2.0, most=1),
        "sent": lambda: outbox.sent(1),
        "again": lambda: outbox.again(1, at=1.0, error=""),
        "give_up": lambda: outbox.give_up(1, error=""),
        "remove_done": lambda: outbox.remove_done(1.0),
        "pins add": lambda: pins.add([PIN]),
        "pins replace": lambda: pins.replace(PIN, before=""),
        "pins remove": lambda: pins.remove("s", "t"),
    }


def reading(database: Database):
    approvals = SqlApprovals(database)
    return {
        "calls": lambda: SqlToolCalls(database).calls("resp_1"),
        "find": lambda: approvals.find(None, "mcpr_1"),
        "of_run": lambda: approvals.of_run("resp_1"),
        "votes": lambda: approvals.votes("mcpr_1"),
        "list": lambda: approvals.list(None),
        "ready": lambda: approvals.ready(1.0),
        "waiting": lambda: SqlOutbox(database).waiting(),
        "read": lambda: SqlBlobs(database).read("resp_2", "mcp_1", offset=0, limit=1),
        "of_server": lambda: SqlPins(database).of_server("s"),
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


async def kept(database: Database) -> None:
    runs = SqlRuns(database)
    await waits(runs)
    await runs.add(held("resp_2"), [])
    await SqlOutbox(database).put([Notice(kind="slack", dedupe="a", body={})], at=0.0)


async def as_before(database: Database) -> None:
    assert await SqlApprovals(database).find(None, "mcpr_1") == approval()
    assert list(await SqlToolCalls(database).calls("resp_2")) == []
    assert await SqlRuns(database).find(None, "resp_3") is None
    assert (await SqlApprovals(database).vote(vote())).decided


async def test_a_server_that_is_gone_is_said_by_each_question(postgres_server, migrated_postgres):
    database = await open_database(postgres_settings(postgres_server.new_database(migrated_postgres)))
    await kept(database)
    questions = writing(database) | reading(database)
    await anyio.to_thread.run_sync(postgres_server.kill)
    try:
        assert await refused(questions) == list(questions)
    finally:
        await anyio.to_thread.run_sync(postgres_server.start)

    await as_before(database)
    await database.aclose()


async def test_a_file_that_somebody_holds_is_said_by_who_would_write_and_read_all_the_same(tmp_path):
    settings = SqliteSettings(path=str(tmp_path / "switchgear.db"), timeout=0.1)
    database, other = await open_database(settings), await open_database(settings)
    await kept(database)
    async with other.begin():
        assert await refused(writing(database)) == list(writing(database))
        assert await refused(reading(database)) == []

    await as_before(database)
    for each in (database, other):
        await each.aclose()
