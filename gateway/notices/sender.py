"""Takes notices from the outbox and has them delivered, again and again until they are taken or given up. What they say is others' business.

Every process does this; the outbox gives each notice to one of them at a time. One that dies in the midst of it leaves its
notices to others after a minute, so that a notice may come twice, and is never lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from anyio import Event, create_task_group, fail_after, move_on_after

from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.notices.counts import Counts
from gateway.notices.delivery import Deliver, Undeliverable, Undelivered
from gateway.stores.outbox import Letter, Outbox

log = structlog.get_logger()

_AT_ONCE: Final = 16
_HELD_SECONDS: Final = 60.0
_DELIVERY_SECONDS: Final = 30.0
_LONGEST_PAUSE: Final = 300.0


class Sender:
    """Sends. `deliver` has a way for each kind of notice; `jitter` gives a number from 0 to 1."""

    def __init__(
        self,
        outbox: Outbox,
        deliver: Mapping[str, Deliver],
        *,
        tries: int,
        poll: float,
        counts: Counts,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._tries = tries
        self._poll = poll
        self._counts = counts
        self._clock = clock
        self._jitter = jitter
        self._news = {kind: Event() for kind in deliver}

    def wake(self) -> None:
        """There may be something to send."""
        for news in self._news.values():
            news.set()

    async def run(self) -> None:
        """Send until cancelled. Each kind has a task of its own: a slow receiver of one does not hold up the others."""
        async with create_task_group() as tasks:
            for kind in self._deliver:
                tasks.start_soon(self._send_kind, kind)

    async def _send_kind(self, kind: str) -> None:
        while True:
            try:
                if await self.send_due(kind):
                    continue
                self._counts.waiting = await self._outbox.waiting()
            except SwitchgearError as error:
                log.warning("notice.outbox.away", kind=kind, reason=error.message)
            except Exception:
                # Whatever it is: the notices are in the outbox, and the server is worth more than this try.
                log.exception("notice.sender.crashed", kind=kind)
            with move_on_after(self._poll):
                await self._news[kind].wait()
            self._news[kind] = Event()

    async def send_due(self, kind: str) -> bool:
        """Try all notices of a kind that are due, up to a few, once; tell whether there were any. Raises StoreUnavailable."""
        now = self._clock.wall()
        letters = await self._outbox.take([kind], now=now, until=now + _HELD_SECONDS, most=_AT_ONCE)
        async with create_task_group() as tasks:
            for letter in letters:
                tasks.start_soon(self._send, letter)
        return bool(letters)

    async def _send(self, letter: Letter) -> None:
        try:
            await self._try(letter)
        except SwitchgearError as error:
            # It is this process's for a minute yet; then it is tried again.
            log.warning("notice.outbox.away", kind=letter.kind, reason=error.message)

    async def _try(self, letter: Letter) -> None:
        try:
            with fail_after(_DELIVERY_SECONDS):
                await self._deliver[letter.kind](letter)
        except Undeliverable as error:
            await self._give_up(letter, error.reason)
        except Undelivered as error:
            await self._again(letter, error.reason, error.after)
        except TimeoutError:
            await self._again(letter, f"it took more than {_DELIVERY_SECONDS:g} s", None)
        except SwitchgearError as error:
            await self._again(letter, error.message, error.retry_after)
        except Exception as error:
            log.exception("notice.delivery.crashed", kind=letter.kind, dedupe=letter.dedupe)
            await self._again(letter, type(error).__name__, None)
        else:
            await self._outbox.sent(letter.id)
            self._counts.notices.add((letter.kind, "sent"))
            self.wake()

    async def _again(self, letter: Letter, reason: str, after: float | None) -> None:
        if letter.attempts >= self._tries:
            await self._give_up(letter, reason)
            return
        pause = min(_LONGEST_PAUSE, 2.0 ** min(letter.attempts, 20) * (0.5 + self._jitter() / 2))
        at = self._clock.wall() + (pause if after is None else max(after, 0.1))
        log.warning("notice.delayed", kind=letter.kind, dedupe=letter.dedupe, tries=letter.attempts, reason=reason)
        self._counts.notices.add((letter.kind, "delayed"))
        await self._outbox.again(letter.id, at=at, error=reason[:500])

    async def _give_up(self, letter: Letter, reason: str) -> None:
        log.error("notice.given_up", kind=letter.kind, dedupe=letter.dedupe, tries=letter.attempts, reason=reason)
        self._counts.notices.add((letter.kind, "given_up"))
        await self._outbox.give_up(letter.id, error=reason[:500])
