"""Time and chance, as arguments: tests hold them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Time and chance, as arguments: `now` is the steady clock in seconds, `chance` gives numbers from 0 to 1.

    `wall` dates answers, in seconds since 1970.
    """

    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    wall: Callable[[], float] = time.time
