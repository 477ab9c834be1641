"""When the database is away: said within the time limit, never with a password, and over as soon as it is back."""

import subprocess
import sys
import time
import traceback
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel
import pytest
import sqlalchemy

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.secret import Secret
from gateway.core.errors import StoreUnavailable
from gateway.stores.database import DatabaseRefused, open_database
from tests.servers import PASSWORD, free_port

TIMEOUT = 0.5
COUNT = sqlalchemy.text("SELECT count(*) FROM tenants")

WRITER = """
import anyio, sys, sqlalchemy
from gateway.config.database_settings import SqliteSettings
from gateway.stores.database import open_database

async def main():
    database = await open_database(SqliteSettings(path=sys.argv[1]))
    for number in range(1_000_000):
        async with database.begin() as connection:
            await connection.execute(sqlalchemy.text(f"INSERT INTO tenants VALUES ('t{number}', 't{number}', 1.0)"))
        print(number, flush=True)

anyio.run(main)
"""


def write_until_killed(path: str) -> int:
    """Let a process write, kill it, and say how many rows were acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        process.kill()
        return len([line for line in lines + process.stdout.readlines() if line.strip().isdigit()])


def settings_of(url: str, **fields) -> PostgresSettings:
    return PostgresSettings(url=Secret(url, source="env:DATABASE_URL"), timeout=TIMEOUT, **fields)


@asynccontextmanager
async def opened(settings):
    database = await open_database(settings)
    try:
        yield database
    finally:
        await database.aclose()


async def insert(database, name: str) -> None:
    async with database.begin() as connection:
        values = {"id": name, "name": name}
        await connection.execute(sqlalchemy.text("INSERT INTO tenants VALUES (:id, :name, 1.0)"), values)


async def count(database) -> int:
    async with database.connect() as connection:
        return await connection.scalar(COUNT)


@contextmanager
def unavailable(within: float):
    """The block fails with StoreUnavailable, in time, and without the password."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as fault:
        yield
    assert time.monotonic() - began < within
    assert PASSWORD not in "".join(traceback.format_exception(fault.value))
    assert (fault.value.status, fault.value.retryable) == (503, True)


@pytest.fixture
def url(postgres_server, migrated_postgres) -> str:
    return postgres_server.new_database(migrated_postgres)


async def test_a_server_that_stops_answering_is_reported_in_time_and_comes_back(postgres_server, url):
    async with opened(settings_of(url)) as database:
        await insert(database, "before")
        postgres_server.pause()
        try:
            for _ in range(2):
                with unavailable(within=3 * TIMEOUT):
                    await insert(database, "during")
                with unavailable(within=3 * TIMEOUT):
                    await count(database)
                assert await database.probe() is False
            assert not database.healthy
            assert database.reason
        finally:
            postgres_server.resume()

        assert await database.probe() is True
        assert (database.healthy, database.reason) == (True, "")
        await insert(database, "after")
        assert await count(database) >= 3


@pytest.mark.parametrize("noticed", [False, True])
async def test_closing_does_not_wait_for_a_server_that_is_silent(postgres_server, url, noticed):
    database = await open_database(settings_of(url))
    async with database.connect() as first, database.connect() as second:
        await first.execute(COUNT)
        await second.execute(COUNT)
    postgres_server.pause()
    try:
        if noticed:
            await database.probe()
        began = time.monotonic()
        await database.aclose()
        assert time.monotonic() - began < 3 * TIMEOUT
    finally:
        postgres_server.resume()


async def test_a_server_that_stops_within_a_transaction_is_reported_in_time(postgres_server, url):
    async with opened(settings_of(url)) as database:
        with unavailable(within=3 * TIMEOUT):
            async with database.begin() as connection:
                await connection.execute(COUNT)
                postgres_server.pause()
                try:
                    await connection.execute(COUNT)
                finally:
                    postgres_server.resume()

        await insert(database, "after")


async def test_a_killed_server_is_used_again_when_it_is_back(postgres_server, url):
    """What was acknowledged is there; nothing has to be told that the server is back."""
    async with opened(settings_of(url)) as database:
        await insert(database, "before")
        await anyio.to_thread.run_sync(postgres_server.kill)
        try:
            for _ in range(3):
                with unavailable(within=3 * TIMEOUT):
                    await insert(database, "during")
            assert not database.healthy
        finally:
            await anyio.to_thread.run_sync(postgres_server.start)

        await insert(database, "after")
        assert database.healthy
        assert await count(database) == 3


async def test_a_slow_statement_is_cut_off_and_its_connection_lives_on(url):
    async with opened(settings_of(url, connections=2)) as database:
        async with database.connect() as connection:
            before = await connection.scalar(sqlalchemy.text("SELECT pg_backend_pid()"))
        with unavailable(within=3 * TIMEOUT):
            async with database.connect() as connection:
                await connection.execute(sqlalchemy.text("SELECT pg_sleep(30)"))

        async with database.connect() as connection:
            assert await connection.scalar(sqlalchemy.text("SELECT pg_backend_pid()")) == before


async def test_a_connection_that_the_server_has_ended_is_replaced_unnoticed(postgres_server, url):
    async with opened(settings_of(url)) as database:
        await insert(database, "before")
        postgres_server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'switchgear'"
        )

        await insert(database, "after")
        assert await count(database) == 3


@pytest.mark.parametrize(
    ("address", "fault", "word"),
    [
        ("postgresql://switchgear:{wrong}@127.0.0.1:{port}/postgres", DatabaseRefused, "password"),
        ("postgresql://nobody:{wrong}@127.0.0.1:{port}/postgres", DatabaseRefused, "password"),
        ("postgresql://switchgear:{right}@127.0.0.1:{port}/absent", DatabaseRefused, "no database"),
        ("postgresql://switchgear:{right}@127.0.0.1:{free}/postgres", StoreUnavailable, "reached"),
        ("postgresql://switchgear:{right}@host.invalid/postgres", StoreUnavailable, "reached"),
        ("postgresql://switchgear:{right}@127.0.0.1:{right}/postgres", DatabaseRefused, "database.url"),
        ("postgresql://switchgear:{right}@[::1/postgres", DatabaseRefused, "database.url"),
        ("mysql://switchgear:{right}@127.0.0.1/postgres", DatabaseRefused, "database.url"),
        ("{right}", DatabaseRefused, "database.url"),
        ("postgresql://switchgear:{right}@127.0.0.1:{port}/postgres?sslmode={right}", DatabaseRefused, "database.url"),
        ("postgresql://switchgear:{right}@/postgres?port={right}", DatabaseRefused, "database.url"),
    ],
)
async def test_an_address_that_does_not_work_is_explained_without_showing_it(
    postgres_server, capsys, address, fault, word
):
    places = {"wrong": "a-wrong-secret", "right": PASSWORD, "port": postgres_server.port, "free": free_port()}

    with pytest.raises(fault, match=word) as refused:
        await open_database(settings_of(address.format(**places)))

    shown = "".join(traceback.format_exception(refused.value)) + "".join(capsys.readouterr())
    assert PASSWORD not in shown
    assert "a-wrong-secret" not in shown


async def test_a_file_that_somebody_else_holds_is_waited_for_and_then_reported(tmp_path):
    path = str(tmp_path / "switchgear.db")
    async with (
        opened(SqliteSettings(path=path, timeout=TIMEOUT)) as database,
        opened(SqliteSettings(path=path)) as other,
    ):
        async with other.begin():
            with unavailable(within=3 * TIMEOUT):
                await insert(database, "a")
            assert (database.healthy, "locked" in database.reason) == (False, True)
            assert await count(database) == 1  # reading goes on
        await insert(database, "a")

        assert (database.healthy, database.reason) == (True, "")


async def test_who_reads_and_then_writes_is_not_thrown_out_by_another_process(tmp_path):
    """SQLite ends a transaction that began as a reader when somebody wrote meanwhile, and waits for nothing."""
    settings = SqliteSettings(path=str(tmp_path / "switchgear.db"))

    async def add(database) -> None:
        for _ in range(10):
            async with database.begin() as connection:
                revision = await connection.scalar(sqlalchemy.text("SELECT revision FROM key_revision"))
                await anyio.lowlevel.checkpoint()
                statement = sqlalchemy.text("UPDATE key_revision SET revision = :next")
                await connection.execute(statement, {"next": revision + 1})

    async with opened(settings) as database, opened(settings) as other:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add, database)
            tasks.start_soon(add, other)
        async with database.connect() as connection:
            assert await connection.scalar(sqlalchemy.text("SELECT revision FROM key_revision")) == 20


async def test_a_full_disk_is_reported_and_over_when_there_is_room(tmp_path):
    async with opened(SqliteSettings(path=str(tmp_path / "switchgear.db"))) as database:
        async with database.begin() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with unavailable(within=5):
            await insert(database, "n" * 100_000)
        assert (database.healthy, "full" in database.reason) == (False, True)

        async with database.begin() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        await insert(database, "n" * 100_000)
        assert await count(database) == 2


async def test_what_was_acknowledged_survives_a_killed_process(tmp_path):
    path = str(tmp_path / "switchgear.db")
    acknowledged = await anyio.to_thread.run_sync(write_until_killed, path)

    async with opened(SqliteSettings(path=path)) as database:
        kept = await count(database) - 1
        assert kept in (acknowledged, acknowledged + 1)
        await insert(database, "after")
