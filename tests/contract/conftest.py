"""What the contracts run against: each port's adapters on every database, the real servers among them."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.secret import Secret
from gateway.stores.database import Database, migrate_database, open_database
from tests.servers import PostgresServer, RedisServer, missing_servers, postgres_server, redis_server

DATABASES = [kind for kind in ("sqlite", "postgres") if kind not in missing_servers()]


@pytest.fixture(name="postgres_server", scope="session")
def _postgres_server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(name="redis_server", scope="session")
def _redis_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory) -> Path:
    """A database with its tables, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "switchgear.db"
    anyio.run(migrate_database, SqliteSettings(path=str(path)))
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server) -> str:
    """The name of a database with its tables, to be copied."""
    url = postgres_server.new_database()
    anyio.run(migrate_database, postgres_settings(url))
    return url.rpartition("/")[2]


def postgres_settings(url: str) -> PostgresSettings:
    return PostgresSettings(url=Secret(url, source="env:DATABASE_URL"), connections=8)


@pytest.fixture(params=DATABASES)
def database_kind(request) -> str:
    return request.param


@pytest.fixture
def empty_database(database_kind, tmp_path, request) -> SqliteSettings | PostgresSettings:
    """How to open a database of each kind in which nothing is yet."""
    if database_kind == "sqlite":
        return SqliteSettings(path=str(tmp_path / "data" / "switchgear.db"))
    return postgres_settings(request.getfixturevalue("postgres_server").new_database())


@pytest.fixture
def database_settings(database_kind, tmp_path, request) -> SqliteSettings | PostgresSettings:
    """How to open a database of each kind with its tables, and nothing in them."""
    if database_kind == "sqlite":
        path = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "switchgear.db")
        return SqliteSettings(path=str(path))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return postgres_settings(server.new_database(request.getfixturevalue("migrated_postgres")))


@pytest.fixture
async def database(database_settings) -> AsyncIterator[Database]:
    """A database of each kind with its tables, and nothing in them."""
    opened = await open_database(database_settings)
    yield opened
    await opened.aclose()


@pytest.fixture
async def replicas(database_settings) -> AsyncIterator[list[Database]]:
    """The same database, opened by several processes as far as it can tell: each with its own connections."""
    opened = [await open_database(database_settings) for _ in range(3)]
    yield opened
    for each in opened:
        await each.aclose()
