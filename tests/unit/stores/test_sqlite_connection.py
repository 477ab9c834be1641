"""A connection to SQLite ends for everybody who ends it, and is opened however many make the file at once."""

import asyncio
import sqlite3
import threading

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text

from gateway.config.database_settings import SqliteSettings
from gateway.stores.database import open_database
from gateway.stores.sqlite_connection import connect


async def test_who_stops_a_connection_while_another_closes_it_lets_both_go(tmp_path):
    connection = await connect(tmp_path / "a.db", 1.0, ())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.close)
            await anyio.lowlevel.checkpoint()
            connection.stop()

    await asyncio.to_thread(connection._thread.join, 10)
    assert not connection._thread.is_alive()


async def test_a_connection_that_cannot_be_set_up_leaves_no_thread(tmp_path):
    connection = None
    with pytest.raises(sqlite3.OperationalError):
        connection = await connect(tmp_path / "no" / "a.db", 1.0, ())

    assert connection is None


async def test_a_lock_is_waited_for_and_not_for_ever(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with anyio.fail_after(10), pytest.raises(sqlite3.OperationalError, match="locked"):
            await connect(path, 0.05, ("journal_mode=WAL",))
    other.close()


@pytest.mark.parametrize("turns", range(12))
async def test_a_use_that_is_cancelled_leaves_no_task_that_never_ends(tmp_path, turns):
    threads = threading.active_count()
    database = await open_database(SqliteSettings(path=str(tmp_path / "a.db")))
    before = asyncio.all_tasks()

    async def use() -> None:
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    await database.aclose()
    with anyio.fail_after(10):
        while asyncio.all_tasks() - before or threading.active_count() > threads:
            await anyio.sleep(0.01)


async def test_sixteen_that_make_one_file_at_once_all_open_it(tmp_path):
    settings = SqliteSettings(path=str(tmp_path / "a.db"))
    opened = []

    async def start() -> None:
        opened.append(await open_database(settings))

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(start)

    assert len(opened) == 16
    for database in opened:
        await database.aclose()
