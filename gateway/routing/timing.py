"""Time, chance and company, as arguments: so that tests can hold them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec


class Alarm(Protocol):
    """Something that will ring."""

    def cancel(self) -> None:
        """It does not ring any more; nothing where it has rung."""
        ...


Later = Callable[[float, Callable[[], None]], Alarm]
"""Calls something after so many seconds, in the event loop and in no task."""
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Starts a task that somebody else owns. Who starts it waits for its end, and it raises nothing."""


def call_later(seconds: float, ring: Callable[[], None]) -> Alarm:
    """Ring by the clock of the running event loop."""
    return asyncio.get_running_loop().call_later(seconds, ring)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """`now` is the steady clock in seconds, `chance` gives numbers from 0 to 1, `later` rings after so many seconds.

    `wall` dates answers, in seconds since 1970. `spawn` starts a task beside a call; where there is none, nothing is done beside one.
    """

    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    wall: Callable[[], float] = time.time
    later: Later = call_later
    spawn: Spawn | None = None
