"""Lets questions expire that nobody has answered in time. How their runs go on is the desk's business."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from anyio import sleep

from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.notices.counts import Counts
from gateway.stores.approvals import ApprovalStore
from gateway.stores.outbox import Outbox
from gateway.stores.tool_calls import Approval

log = structlog.get_logger()

_MOST: Final = 100
_FORGET_SECONDS: Final = 60.0
_KEPT_SECONDS: Final = 40 * 86_400.0
"""How long what was said is not said again: longer than any question waits."""

GoOn = Callable[[Sequence[Approval]], Awaitable[None]]
"""Goes on with the runs that waited for these, where nothing does yet."""


class Expiring:
    """Looks for them, and forgets what was said long ago. `told` is called when there is something to tell."""

    def __init__(
        self,
        approvals: ApprovalStore,
        outbox: Outbox,
        go_on: GoOn,
        *,
        poll: float,
        told: Callable[[], None],
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._approvals = approvals
        self._outbox = outbox
        self._go_on = go_on
        self._poll = poll
        self._told = told
        self._counts = counts
        self._clock = clock
        self._forget_at = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                while await self.look() == _MOST:
                    pass
                await self._forget()
            except SwitchgearError as error:
                log.warning("approval.expiry.delayed", reason=error.message)
            except Exception:
                log.exception("approval.expiry.crashed")
            await sleep(self._poll)

    async def look(self) -> int:
        """Let those expire whose time is over, up to some; tell how many. Raises SwitchgearError."""
        expired = await self._approvals.expire(self._clock.wall(), most=_MOST)
        if expired:
            for approval in expired:
                log.info("approval.expired", approval=approval.id, run=approval.run)
            self._counts.expired.add((), len(expired))
            self._told()
            await self._go_on(expired)
        return len(expired)

    async def _forget(self) -> None:
        """Forget what was said long ago, now and then. Raises SwitchgearError."""
        now = self._clock.wall()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_SECONDS
            await self._outbox.remove_done(now - _KEPT_SECONDS)
