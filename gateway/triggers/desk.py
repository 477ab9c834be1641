"""What triggers do beside each other for as long as the server runs, and what endpoints may ask of them."""

from __future__ import annotations

from typing import Final

import anyio
import structlog

from gateway.core.errors import SwitchgearError
from gateway.triggers.following import Following
from gateway.triggers.intake import Intake
from gateway.triggers.means import Means
from gateway.triggers.starting import Starting
from gateway.triggers.ticking import Ticking

log = structlog.get_logger()

_POLL: Final = 1.0
"""Seconds between two looks for what other replicas left, and at runs."""
_SWEEP: Final = 600.0
_DAY: Final = 86_400.0


class TriggerDesk:
    """Takes deliveries in, and sees to it that their runs begin."""

    def __init__(self, means: Means) -> None:
        self.means = means
        self.intake = Intake(means, self.wake)
        self._starting = Starting(means)
        self._following = Following(means)
        self._ticking = Ticking(means)
        self._wake = anyio.Event()
        self._leaving = False

    def wake(self) -> None:
        """Look now: something is due."""
        self._wake.set()

    def next_time(self, trigger: str) -> float | None:
        """Give when a schedule is due next; None where it was not looked at yet."""
        return self._ticking.next_time(trigger)

    def finish(self) -> None:
        """Begin no more runs: the server goes down. What is accepted, others begin, or this one later."""
        self._leaving = True

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.intake.run)
            tasks.start_soon(self._sweep)
            tasks.start_soon(self._follow)
            while True:
                self._wake = anyio.Event()
                pause = _POLL
                try:
                    if not self._leaving:
                        soonest = await self._ticking.look()
                        await self._starting.look()
                        pause = min(pause, max(0.0, soonest - self.means.clock.wall()))
                except SwitchgearError:
                    pass  # the database says so itself, and the next look comes
                except Exception:
                    log.exception("triggers.crashed")  # whatever it is, it is not worth the server
                with anyio.move_on_after(max(0.05, pause)):
                    await self._wake.wait()

    async def _follow(self) -> None:
        while True:
            try:
                await self._following.look()
            except SwitchgearError:
                pass
            except Exception:
                log.exception("triggers.crashed")
            await anyio.sleep(_POLL)

    async def _sweep(self) -> None:
        """Forget what is to be kept no longer."""
        while True:
            for name, settings in self.means.triggers().items():
                before = self.means.clock.wall() - settings.keep_days * _DAY
                try:
                    while await self.means.store.remove_old(name, before):
                        pass
                except SwitchgearError as error:
                    log.warning("triggers.untidy", trigger=name, reason=error.message)
            await anyio.sleep(_SWEEP)
