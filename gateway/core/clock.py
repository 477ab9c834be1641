"""Time as an argument, so that tests can hold it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """`monotonic` measures durations in seconds; `wall` dates things, in seconds since 1970 (UTC)."""

    monotonic: Callable[[], float] = time.perf_counter
    wall: Callable[[], float] = time.time


SYSTEM_CLOCK = Clock()
