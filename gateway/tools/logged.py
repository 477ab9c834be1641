"""What a server logs in the midst of a call, on its way to who asked for the call: bounded, in order, and never in the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import structlog

from gateway.core.items import Json

log = structlog.get_logger()

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Of messages that are logged, the least first (RFC 5424, as MCP has them)."""

MOST_LOGGED: Final = 1000
"""Messages of one call that are passed on."""

MOST_OF_A_LOG: Final = 16 * 1024
"""Bytes of one of them, as JSON."""

TakeLog = Callable[[dict[str, Json]], Awaitable[None]]
"""Takes a message that a server logs: `level`, `data`, and `logger` where it has one."""


class Hearing(msgspec.Struct, frozen=True):
    """Who wants to hear what is logged: from a `level` on."""

    level: str
    take: TakeLog


class Logged:
    """What the server of one call logs, in front of who hears it: bounded, and what is left out is said."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._least = LEVELS.index(hearing.level)
        self._count = 0
        self._over = False

    def close(self) -> None:
        """The call has ended."""
        self._over = True

    async def __call__(self, level: str, logger: str | None, data: Json) -> None:
        """Pass a message on. It raises nothing of what the one who hears does."""
        if self._over or level not in LEVELS or LEVELS.index(level) < self._least or self._count > MOST_LOGGED:
            return
        self._count += 1
        if self._count > MOST_LOGGED:
            level, data = "warning", f"More than {MOST_LOGGED} messages of one call are not passed on."
        elif len(msgspec.json.encode(data)) > MOST_OF_A_LOG:
            data = f"[a message of more than {MOST_OF_A_LOG} bytes is left out]"
        said: dict[str, Json] = {"level": level, "data": data}
        if logger:
            said["logger"] = logger[:200]
        try:
            await self._hearing.take(said)
        except Exception as error:  # noqa: BLE001 who listens may have left: the call goes on
            log.debug("tool.log_unheard", error=type(error).__name__)
            self._over = True


class Hearers:
    """Who wants to hear what is logged in the calls of a run. One that goes on in another process is not heard here."""

    def __init__(self) -> None:
        self._hearing: dict[str, Hearing] = {}

    @contextmanager
    def hear(self, run: str, hearing: Hearing | None) -> Iterator[None]:
        """While the context is open, tell of the calls that the run makes from now on. Who hears last is told."""
        if hearing is None:
            yield
            return
        self._hearing[run] = hearing
        try:
            yield
        finally:
            if self._hearing.get(run) is hearing:
                del self._hearing[run]

    def of(self, run: str) -> Hearing | None:
        """Give who wants to hear what is logged in the calls of a run."""
        return self._hearing.get(run)
