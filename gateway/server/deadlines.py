"""Watches the deadlines of all connections by looking at them now and then: cheaper than a timer for every request."""

from collections.abc import Callable, Collection
from typing import Any

import anyio

from gateway.server.options import ServerOptions

LINGER_SECONDS = 2.0  # how long the rest of a refused request is read and thrown away


async def sweep(connections: Collection[Any], options: ServerOptions, now: Callable[[], float]) -> None:
    """Expire connections for ever; at most an eighth of the shortest deadline (and at most 1 s) late.

    A connection has `deadline` and `write_deadline`, on the clock of `now`, and `expire(moment)`.
    """
    shortest = min(options.header_timeout, options.body_timeout, options.idle_timeout, LINGER_SECONDS)
    while True:
        await anyio.sleep(min(1.0, max(0.005, shortest / 8)))
        moment = now()
        for connection in tuple(connections):
            if connection.deadline <= moment or connection.write_deadline <= moment:
                connection.expire(moment)
