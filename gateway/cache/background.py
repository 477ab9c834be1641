"""What the semantic layer does when nobody waits: embeds what is to be found, asks again what was served, compares. Bounded in everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import structlog

from gateway.core.errors import SwitchgearError

log = structlog.get_logger()

Job = Callable[[], Awaitable[None]]

MOST_WAITING: Final = 256
AT_ONCE: Final = 2
JOB_SECONDS: Final = 300.0


class Background:
    """Runs jobs, the oldest first. Where too many wait, new ones are not taken."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._woken = anyio.Event()
        self._busy = 0
        self._idle = anyio.Event()

    def take(self, job: Job) -> bool:
        """Have something done. False where there is no room."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(job)
        self._woken.set()
        return True

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(self._work)

    async def settled(self) -> None:
        """Wait until nothing waits and nothing runs."""
        while self._waiting or self._busy:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._woken = anyio.Event()
                await self._woken.wait()
            job = self._waiting.popleft()
            self._busy += 1
            try:
                with anyio.fail_after(JOB_SECONDS):
                    await job()
            except (SwitchgearError, OSError) as error:
                log.info("cache.background.failed", error=type(error).__name__)
            except Exception:
                # One job that crashes must not end the others, nor the server.
                log.exception("cache.background.crashed")
            finally:
                self._busy -= 1
                self._idle.set()
