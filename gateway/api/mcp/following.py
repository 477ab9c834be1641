"""What a client hears of how far its call of a tool is. It is read in the run's journal: the call may be made in another process, and after an approval by another run."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from gateway.dialects.openai_responses.stored_encode import ADVANCED
from gateway.stores.runs import RunEvent

Tell = Callable[[float, float | None, str | None], Awaitable[None]]
_MARK: Final = b'"progress":'


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    progress: float | None = None
    total: float | None = None
    message: str | None = None


class Following:
    """Takes the events of a call's runs, and tells what is said of how far it is; it only ever grows, as the protocol has it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._reached = -math.inf

    async def take(self, event: RunEvent) -> None:
        """Take an event."""
        if event.name != ADVANCED or _MARK not in event.data:
            return
        said = msgspec.json.decode(event.data, type=_Said)
        if said.progress is not None and said.progress > self._reached:
            self._reached = said.progress
            await self._tell(said.progress, said.total, said.message)
