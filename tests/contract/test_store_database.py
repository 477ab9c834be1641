"""The database, of each kind: transactions that hold, and migrations forth and back."""

import importlib
import pkgutil
import stat
import time

import anyio
import anyio.lowlevel
import msgspec
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import gateway.stores
from gateway.config.database_settings import SqliteSettings
from gateway.core.errors import Conflict, InternalError, NotFound, StoreUnavailable
from gateway.stores.database import DatabaseRefused, migrate_database, open_database
from gateway.stores.directory_sql import SqlDirectory
from gateway.stores.metadata import METADATA
from gateway.stores.migrations import find_revision, load_migrations
from tests.contract.directory_records import key, team, user

TENANTS = sqlalchemy.text("SELECT id FROM tenants ORDER BY id")


async def names(database) -> list[str]:
    async with database.connect() as connection:
        return list((await connection.scalars(TENANTS)).all())


async def insert(database, *ids: str) -> None:
    async with database.begin() as connection:
        for name in ids:
            values = {"id": name, "name": name}
            await connection.execute(sqlalchemy.text("INSERT INTO tenants VALUES (:id, :name, 1.0)"), values)


async def test_a_transaction_is_done_in_whole_or_not_at_all(database):
    async def change_one_s_mind() -> None:
        async with database.begin() as connection:
            await connection.execute(sqlalchemy.text("DELETE FROM key_revision"))
            raise NotFound("an error of the body goes through as it is")

    with pytest.raises(NotFound):
        await change_one_s_mind()
    with pytest.raises(Conflict):
        await insert(database, "a", "b", "a")

    async with database.connect() as connection:
        assert await connection.scalar(sqlalchemy.text("SELECT revision FROM key_revision")) == 0
    assert await names(database) == ["default"]
    assert database.healthy


async def test_what_only_reads_cannot_write(database):
    with pytest.raises((StoreUnavailable, InternalError)):
        async with database.connect() as connection:
            await connection.execute(sqlalchemy.text("DELETE FROM key_revision"))

    await insert(database, "a")
    assert await names(database) == ["a", "default"]


async def test_a_statement_that_is_wrong_is_a_fault_of_ours(database):
    with pytest.raises(InternalError):
        async with database.begin() as connection:
            await connection.execute(sqlalchemy.text("SELECT nothing FROM nowhere"))

    assert database.healthy


async def test_a_cancelled_writer_leaves_nothing_and_stands_in_nobodys_way(database):
    with anyio.move_on_after(0.05):
        async with database.begin() as connection:
            await connection.execute(sqlalchemy.text("INSERT INTO tenants VALUES ('a', 'a', 1.0)"))
            await anyio.sleep_forever()

    with anyio.fail_after(5):
        await insert(database, "b")
    assert await names(database) == ["b", "default"]


async def test_writers_wait_for_each_other_and_none_is_lost(database):
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(insert, database, f"t{number:02}")

    assert len(await names(database)) == 21


async def test_who_writes_all_the_time_lets_others_have_their_turn(database):
    """The pools give a connection to whoever asks next, and that is who has just given it back."""
    writers = 1 if database.kind == "sqlite" else 4  # half of the eight connections
    written = 0
    async with anyio.create_task_group() as tasks:

        async def write_on() -> None:
            nonlocal written
            while True:
                async with database.begin() as connection:
                    await connection.execute(sqlalchemy.text("SELECT 1"))
                written += 1

        for _ in range(writers):
            tasks.start_soon(write_on)
        with anyio.fail_after(10):
            while written < writers:
                await anyio.lowlevel.checkpoint()
            before = written
            await insert(database, "a")
        between = written - before
        tasks.cancel_scope.cancel()

    assert between <= 4 * writers


async def test_a_writer_waits_no_longer_than_the_time_limit(database_settings):
    database = await open_database(msgspec.structs.replace(database_settings, timeout=1.0))
    began = time.monotonic()
    held = []
    async with anyio.create_task_group() as tasks:

        async def hold() -> None:
            async with database.begin():
                held.append(1)
                await anyio.sleep_forever()

        writers = 1 if database.kind == "sqlite" else 4  # half of the eight connections
        for _ in range(writers):
            tasks.start_soon(hold)
        while len(held) < writers:
            await anyio.lowlevel.checkpoint()
            assert time.monotonic() < began + 10
        asked = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await insert(database, "a")
        waited = time.monotonic() - asked
        tasks.cancel_scope.cancel()

    assert waited < 4
    await insert(database, "a")
    assert database.healthy
    await database.aclose()


def revisions() -> list[str]:
    return [migration.revision for migration in load_migrations()]


def test_every_migration_revises_the_one_before():
    migrations = load_migrations()

    assert [migration.down_revision for migration in migrations] == [None, *revisions()[:-1]]
    assert [int(migration.revision[:4]) for migration in migrations] == list(range(1, len(migrations) + 1))


async def test_migrations_make_the_tables_that_the_code_knows(database):
    for module in pkgutil.iter_modules(gateway.stores.__path__, "gateway.stores."):
        if module.name.endswith("_tables"):
            importlib.import_module(module.name)

    def differences(connection: sqlalchemy.Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_going_back_and_forth_keeps_what_the_older_tables_hold(database_settings):
    database = await open_database(database_settings)
    directory = SqlDirectory(database)
    await directory.teams.create(team())
    await directory.users.create(user(team="team_search", email="ada@example.org"))
    kept = await directory.keys.create(key(user="user_ada", tags=(("a", "b"),)))
    await database.aclose()

    for revision in (*reversed(revisions()), *revisions()):
        assert await migrate_database(database_settings, revision) == revision

    database = await open_database(database_settings)
    directory = SqlDirectory(database)
    assert await directory.keys.find("key_one", tenant="default") == kept
    assert await directory.users.find("user_ada", tenant="default") is not None
    await database.aclose()


async def test_going_back_to_the_beginning_leaves_nothing(database_settings):
    assert await migrate_database(database_settings, "base") == "base"
    database = await open_database(database_settings)

    assert await names(database) == ["default"]
    async with database.connect() as connection:
        assert await connection.run_sync(find_revision) == revisions()[-1]
    await database.aclose()


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(database_settings):
    database = await open_database(database_settings)
    async with database.begin() as connection:
        await connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999_future'"))
    await database.aclose()

    with pytest.raises(DatabaseRefused, match=r"9999_future.*newer"):
        await open_database(database_settings)
    with pytest.raises(DatabaseRefused, match="9999_future"):
        await migrate_database(database_settings, "base")


async def test_a_revision_that_does_not_exist_is_refused(database_settings):
    with pytest.raises(DatabaseRefused, match="0000_nothing"):
        await migrate_database(database_settings, "0000_nothing")


async def test_replicas_that_start_at_once_migrate_once(empty_database):
    opened = []

    async def start() -> None:
        opened.append(await open_database(empty_database))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(start)

    for database in opened:
        assert await names(database) == ["default"]
        await database.aclose()


async def test_a_migration_that_fails_changes_nothing(empty_database, monkeypatch):
    def upgrade(op) -> None:
        op.create_table("half", sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))
        op.execute("this is no SQL")

    monkeypatch.setattr(load_migrations()[-1], "upgrade", upgrade)
    with pytest.raises(InternalError):
        await open_database(empty_database)
    monkeypatch.undo()

    database = await open_database(empty_database)
    assert await names(database) == ["default"]
    async with database.connect() as connection:
        assert not await connection.run_sync(lambda sync: sqlalchemy.inspect(sync).has_table("half"))
    await database.aclose()


async def test_the_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "data" / "switchgear.db"
    database = await open_database(SqliteSettings(path=str(path)))
    await insert(database, "a")

    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert modes == dict.fromkeys(("switchgear.db", "switchgear.db-wal", "switchgear.db-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await database.aclose()


@pytest.mark.parametrize("place", ["folder", "text", "under-a-file"])
async def test_what_is_no_database_is_refused_and_left_alone(tmp_path, place):
    text = tmp_path / "text"
    text.write_text("a shopping list, " * 100)
    path = {"folder": tmp_path, "text": text, "under-a-file": text / "x.db"}[place]

    with pytest.raises(DatabaseRefused, match=str(path)):
        await open_database(SqliteSettings(path=str(path)))

    assert text.read_text().startswith("a shopping list")
