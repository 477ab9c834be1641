"""Takes deliveries in: many at once are written in one transaction, and each is answered when it is on the disk. What cannot be taken is refused.

A storm of thousands of small deliveries costs a few transactions, and memory for no more of them than may wait here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import msgspec
import structlog

from gateway.config.trigger_settings import TriggerSettings
from gateway.core.errors import InternalError, SwitchgearError, Unavailable
from gateway.stores.incidents import Changes, Found, Wanted
from gateway.triggers.folding import Folding, Outcome
from gateway.triggers.means import Means
from gateway.triggers.payloads import EventDelivery, GroupDelivery

log = structlog.get_logger()

Delivery = GroupDelivery | EventDelivery

_MOST_WAITING: Final = 5000
_MOST_ALERTS_WAITING: Final = 50_000
_AT_ONCE: Final = 500
_ALERTS_AT_ONCE: Final = 10_000
_PATIENCE: Final = 30.0


class _Waiting(msgspec.Struct, kw_only=True, eq=False):
    """A delivery that waits to be written, and what became of it."""

    trigger: str
    settings: TriggerSettings
    delivery: Delivery
    done: anyio.Event
    outcome: Outcome | None = None
    error: SwitchgearError | None = None

    @property
    def weight(self) -> int:
        """Its alerts."""
        return len(self.delivery.alerts) if isinstance(self.delivery, GroupDelivery) else 1


class Intake:
    """Takes deliveries while `run` runs. `told` is called when something was taken."""

    def __init__(self, means: Means, told: Callable[[], None]) -> None:
        self._means = means
        self._told = told
        self._waiting: deque[_Waiting] = deque()
        self._weight = 0
        self._wake = anyio.Event()

    async def take(self, trigger: str, settings: TriggerSettings, delivery: Delivery) -> Outcome:
        """Take one, and give what became of it when it is on the disk. Raises Unavailable, and StoreUnavailable."""
        one = _Waiting(trigger=trigger, settings=settings, delivery=delivery, done=anyio.Event())
        too_much = self._weight + one.weight > _MOST_ALERTS_WAITING and bool(self._waiting)
        if len(self._waiting) >= _MOST_WAITING or too_much:
            msg = "More deliveries wait to be written down than there is room for; try again in a moment."
            raise Unavailable(msg, retry_after=1.0)
        self._waiting.append(one)
        self._weight += one.weight
        self._count()
        self._wake.set()
        with anyio.move_on_after(_PATIENCE):
            await one.done.wait()
        if one.error is not None:
            raise one.error
        if one.outcome is None:
            # It may still be written: the same again finds itself there, or joins.
            msg = "The delivery was not written down in time; try again."
            raise Unavailable(msg, retry_after=1.0)
        self._means.counts.deliveries.add((trigger, one.outcome.word))
        return one.outcome

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            while self._waiting:
                await self._write(self._batch())
            self._wake = anyio.Event()
            if not self._waiting:
                await self._wake.wait()

    def _batch(self) -> list[_Waiting]:
        """Take deliveries of one trigger from the beginning of the line."""
        first = self._waiting.popleft()
        batch, weight = [first], first.weight
        while self._waiting and len(batch) < _AT_ONCE:
            following = self._waiting[0]
            same = following.trigger == first.trigger and following.settings is first.settings
            if not same or weight + following.weight > _ALERTS_AT_ONCE:
                break
            weight += following.weight
            batch.append(self._waiting.popleft())
        self._weight -= weight
        self._count()
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        first, means = batch[0], self._means
        now = means.clock.wall()
        outcomes: list[Outcome] = []

        def fold(found: Found) -> Changes:
            folding = Folding(first.trigger, first.settings, found, now=now, new_id=means.new_id)
            for one in batch:
                if isinstance(one.delivery, GroupDelivery):
                    outcomes.append(folding.group(one.delivery))
                else:
                    outcomes.append(folding.event(one.delivery))
            return folding.changes

        error: SwitchgearError | None = None
        try:
            await means.store.take_in(first.trigger, _wanted([one.delivery for one in batch]), fold)
        except SwitchgearError as raised:
            error = raised
        except Exception:
            log.exception("trigger.intake_crashed", trigger=first.trigger)
            error = InternalError()
        for number, one in enumerate(batch):
            one.error = error
            one.outcome = None if error is not None else outcomes[number]
            one.done.set()
        if error is None:
            means.counts.alerts.add((first.trigger,), sum(one.weight for one in batch))
            self._told()

    def _count(self) -> None:
        self._means.counts.waiting = len(self._waiting)


def _wanted(deliveries: Sequence[Delivery]) -> Wanted:
    return Wanted(
        keys={delivery.key for delivery in deliveries},
        fingerprints={
            sent.fingerprint
            for delivery in deliveries
            if isinstance(delivery, GroupDelivery)
            for sent in delivery.alerts
        },
        dedupes={delivery.dedupe for delivery in deliveries if delivery.dedupe},
    )
