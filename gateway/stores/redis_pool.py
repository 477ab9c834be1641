"""Connections to Redis, as all stores want them: few, waited for, and without deadlines or tries of the driver's own."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def open_pool(url: str, connections: int) -> BlockingConnectionPool:
    """Give a pool of at most so many connections; none is opened yet. Raises ValueError for what is no address."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        # Every exchange has Patience's deadline; one of the driver's own would also run while this process is busy.
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        # A second try would double the wait of a call; the breaker is the answer to a Redis that fails.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
