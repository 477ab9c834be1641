"""Real servers for the faults: started once, and empty for each module that asks."""

from collections.abc import Iterator

import pytest

from tests.servers import PostgresServer, RedisServer, postgres_server, redis_server


@pytest.fixture(name="postgres_server", scope="session")
def _postgres_server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(name="redis_server", scope="session")
def _redis_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of the test's own, which may be stopped and killed."""
    with redis_server() as running:
        yield running
