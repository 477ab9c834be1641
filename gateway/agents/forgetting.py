"""Removes what memories keep no longer, for as long as a server executes runs. What has expired is not read before that either."""

from __future__ import annotations

from typing import Final

import anyio
import structlog

from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.stores.memories import MemoryStore

log = structlog.get_logger()

_EVERY: Final = 300.0
"""Seconds."""


async def forget_expired(store: MemoryStore, clock: Clock) -> None:
    """Do so until cancelled."""
    while True:
        try:
            removed = 0
            while count := await store.remove_expired(clock.wall()):
                removed += count
            if removed:
                log.info("memory.forgotten", entries=removed)
        except SwitchgearError as error:
            log.warning("memory.untidy", reason=error.message)
        await anyio.sleep(_EVERY)
