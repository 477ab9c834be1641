"""Counters that replicas share, whatever becomes of Redis.

A breaker, a bounded share of each limit while Redis is away, and the settling of accounts when it is back.

While it is lost no call asks Redis: nothing waits for a server that is stopped or slow. Each replica then counts by itself, up
to its share of what was left when it last heard. When Redis answers again, what was counted here is charged there, before it
is asked again. So all replicas together admit at most what was left, and what others took that this one had not heard of.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec
import structlog
from anyio import CancelScope, Event, create_task_group, move_on_after, sleep

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable, Unavailable
from gateway.core.ids import NewId, new_id
from gateway.stores.counter_windows import Rolling, Window, frees_at, span_at
from gateway.stores.counters import LEASE_SECONDS, Bucket, Count, Outcome
from gateway.stores.counters_memory import MemoryCounters
from gateway.stores.counters_redis import AT_ONCE, Batch, Charge, RedisCounters, Settlement

log = structlog.get_logger()

PROBE_SECONDS = 0.5
GRACE_SECONDS = 0.75
"""From the first answer of a Redis that was lost until it is asked again: all replicas find it within that time, and tell what they took."""

MOST_HEARD = 65_536
MOST_SLOW = 10
MOST_ROUNDS = 3
KEEP = -1
NO_LIMIT = 2**62


class Heard(msgspec.Struct, frozen=True):
    """What Redis last said of a counter, and when by its clock. Of a calendar window also which, and when it ends.

    Of places held at once only those of other replicas are `used`: this one knows its own.
    """

    used: int
    at: float
    slot: int = 0
    ends: float = 0.0


class Moved(msgspec.Struct, frozen=True):
    """A reservation that was made here, and that Redis has since been charged with."""

    buckets: tuple[Bucket, ...]
    amounts: tuple[int, ...]
    slots: tuple[int, ...]


class SharedCounters:
    """A `CounterStore` over Redis. `replicas` is how many share a limit while it is away; `run` must be running."""

    def __init__(
        self,
        redis: RedisCounters,
        local: MemoryCounters,
        *,
        clock: Clock,
        replicas: int = 1,
        lease: float = LEASE_SECONDS,
        ids: NewId = new_id,
    ) -> None:
        self._redis = redis
        self._local = local
        self._clock = clock
        self._replicas = replicas
        self._lease = lease
        self._new_id = ids
        self._there: dict[str, tuple[Bucket, ...]] = {}
        self._here: dict[str, tuple[Bucket, ...]] = {}
        self._moved: dict[str, Moved] = {}
        self._held: Counter[str] = Counter()
        self._charged: dict[str, tuple[int, float]] = {}
        self._windows: dict[str, Window] = {}
        self._heard: OrderedDict[str, Heard] = OrderedDict()
        self._waiting: deque[Settlement | Batch] = deque()
        self._moving: Batch | None = None
        self._restored: list[Charge] = []
        self._changed: dict[tuple[str, int], Count] = {}
        self._known_as = ""
        self._wake = Event()
        self.up = True
        self.losses = 0
        self.admitted_alone = 0

    async def reserve(self, reservation: str, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Outcome:
        """Take every amount, or none: in Redis, or while it is lost, from this replica's share. Raises Unavailable."""
        if not self.up:
            return await self._alone(reservation, tuple(buckets), amounts)
        losses = self.losses
        try:
            outcome = await self._redis.reserve(reservation, buckets, amounts)
        except StoreUnavailable as error:
            self._lose(error)
            self._call_off(reservation, buckets)
            return await self._alone(reservation, tuple(buckets), amounts)
        except BaseException:
            self._call_off(reservation, buckets)
            raise
        if self.losses != losses:
            # Others have begun to count alone meanwhile: what Redis says now would come on top of their share.
            self._call_off(reservation, buckets)
            return await self._alone(reservation, tuple(buckets), amounts)
        if self._redis.slow_in_a_row >= MOST_SLOW:
            # Many slow answers in a row are as bad as none. This one has come.
            self._lose(StoreUnavailable("Redis answers too slowly."))
        if outcome.refused is None:
            self._there[reservation] = tuple(buckets)
            self._hold(buckets, 1)
        self._hear(buckets, outcome.used)
        return outcome

    def settle(self, reservation: str, actual: Sequence[int | None]) -> None:
        """Settle where it was taken; with Redis that happens a little later, and for certain."""
        if self._here.pop(reservation, None) is not None:
            self._local.settle(reservation, actual)
        elif (buckets := self._there.pop(reservation, None)) is not None:
            self._hold(buckets, -1)
            amounts = tuple([KEEP if one is None else one for one in actual])
            self._send(Settlement(reservation, buckets, amounts))
        elif (moved := self._moved.pop(reservation, None)) is not None:
            self._hold(moved.buckets, -1)
            self._correct(reservation, moved, actual)

    async def used(self, buckets: Sequence[Bucket]) -> tuple[int, ...]:
        """Give what each bucket holds now; while Redis is lost, as far as is known here."""
        if self.up:
            try:
                return await self._redis.used(buckets)
            except StoreUnavailable as error:
                self._lose(error)
        here = await self._local.used(buckets)
        return tuple(
            [held + self._known(bucket) + self._told(bucket) for held, bucket in zip(here, buckets, strict=True)]
        )

    async def first(self, name: str, seconds: float) -> bool:
        """Whether no other replica says it; while Redis is lost, each speaks for itself."""
        if self.up:
            try:
                return await self._redis.first(name, seconds)
            except StoreUnavailable as error:
                self._lose(error)
        return True

    def restore(self, counts: Iterable[Count]) -> None:
        """See to it that Redis holds at least so much, should it turn out to be empty."""
        self._restored += [Charge(count.key, count.slot, count.amount, count.expires) for count in counts]
        self._wake.set()

    def counts(self) -> list[Count]:
        """Give what Redis was heard to say of long calendar windows, since the last time it was asked."""
        changed, self._changed = self._changed, {}
        return list(changed.values())

    async def run(self) -> None:
        """Tell Redis what is settled, renew leases, and while it is lost look for it; until cancelled, and once more then."""
        try:
            async with create_task_group() as tasks:
                tasks.start_soon(self._redis.run)
                tasks.start_soon(self._tell)
        finally:
            with CancelScope(shield=True):
                await self._leave()

    async def _tell(self) -> None:
        renewed = self._clock.monotonic()
        while True:
            self._wake = Event()
            try:
                if not self.up or not self._known_as:
                    await self._return()
                await self._flush()
                if self._clock.monotonic() - renewed > self._lease / 3:
                    await self._redis.renew(self._places())
                    renewed = self._clock.monotonic()
            except StoreUnavailable as error:
                self._lose(error)
                await sleep(PROBE_SECONDS)
                continue
            with move_on_after(min(PROBE_SECONDS, self._lease / 3)):
                await self._wake.wait()

    async def _alone(self, reservation: str, buckets: tuple[Bucket, ...], amounts: Sequence[int]) -> Outcome:
        if any(bucket.on_loss == "refuse" for bucket in buckets):
            raise Unavailable("The limits of this call cannot be checked at the moment.", retry_after=1.0)
        known = [self._known(bucket) for bucket in buckets]
        local = [
            msgspec.structs.replace(bucket, limit=self._share(bucket, held))
            for bucket, held in zip(buckets, known, strict=True)
        ]
        outcome = await self._local.reserve(reservation, local, amounts)
        if outcome.refused is None:
            self.admitted_alone += 1
            self._here[reservation] = buckets
            self._windows.update((bucket.key, bucket.window) for bucket in buckets if bucket.window is not None)
        used = tuple(
            [
                held + before + self._told(bucket)
                for held, before, bucket in zip(outcome.used, known, buckets, strict=False)
            ]
        )
        return Outcome(used, outcome.refused, outcome.retry_after)

    def _share(self, bucket: Bucket, known: int) -> int:
        """Give how much may be taken here."""
        if bucket.on_loss == "admit" or not bucket.hard:
            return NO_LIMIT
        if bucket.window is None and not self._hears(bucket):
            # Of others it has heard nothing for long: it keeps to its part of the places, those that it holds among them.
            return max(bucket.limit // self._replicas - known, 0)
        # What was taken here, and is told already, is of the same share.
        return max(max(bucket.limit - known, 0) // self._replicas - self._told(bucket), 0)

    def _told(self, bucket: Bucket) -> int:
        """Give what was taken here since Redis was lost, still counts, and is charged there already."""
        amount, ends = self._charged.get(bucket.key, (0, 0.0))
        return amount if self._redis.now < ends else 0

    def _hears(self, bucket: Bucket) -> bool:
        """Whether what was heard of places that others hold may still be so."""
        heard = self._heard.get(bucket.key)
        return heard is not None and self._redis.now - heard.at < self._lease

    def _hold(self, buckets: Iterable[Bucket], places: int) -> None:
        """Note places that this replica takes or gives back in Redis."""
        for bucket in buckets:
            if bucket.window is None:
                self._held[bucket.key] += places
                if not self._held[bucket.key]:
                    del self._held[bucket.key]

    def _known(self, bucket: Bucket) -> int:
        """Give what was taken, as far as this replica has heard, and still counts; what was taken here while alone is apart."""
        heard, window = self._heard.get(bucket.key), bucket.window
        if window is None:
            others = 0 if heard is None or not self._hears(bucket) else heard.used
            return others + self._held[bucket.key]
        if heard is None:
            return 0
        now = self._redis.now
        if isinstance(window, Rolling):
            return heard.used if now - heard.at < window.seconds + window.width else 0
        return heard.used if span_at(window, now).start == heard.slot else 0

    def _hear(self, buckets: Sequence[Bucket], used: Sequence[int]) -> None:
        now, known = self._redis.now, self._heard
        for bucket, held in zip(buckets, used, strict=False):
            window = bucket.window
            if window is None:
                known[bucket.key] = Heard(max(held - self._held[bucket.key], 0), now)
            elif isinstance(window, Rolling):
                known[bucket.key] = Heard(held, now)
            else:
                span = span_at(window, now)
                known[bucket.key] = Heard(held, now, span.start, span.end)
                if window.long:
                    count = Count(key=bucket.key, slot=span.start, amount=held, expires=span.end)
                    self._changed[bucket.key, span.start] = count
            known.move_to_end(bucket.key)
        while len(known) > MOST_HEARD:
            known.popitem(last=False)
        while len(self._changed) > MOST_HEARD:
            del self._changed[next(iter(self._changed))]

    def _lose(self, error: StoreUnavailable) -> None:
        if self.up:
            self.up = False
            self.losses += 1
            log.warning("limits.redis.lost", reason=error.message, share=f"1/{self._replicas}")

    def _call_off(self, reservation: str, buckets: Sequence[Bucket]) -> None:
        """Whether it was taken nobody knows: it is given back, or never taken should it arrive later."""
        self._send(Settlement(reservation, tuple(buckets), (0,) * len(buckets)))

    def _send(self, telling: Settlement | Batch) -> None:
        self._waiting.append(telling)
        self._wake.set()

    def _batch(self, charges: Iterable[Charge]) -> Batch:
        return Batch(self._new_id("batch_"), tuple(charges))

    def _correct(self, reservation: str, moved: Moved, actual: Sequence[int | None]) -> None:
        charges = []
        for bucket, amount, slot, wanted in zip(moved.buckets, moved.amounts, moved.slots, actual, strict=True):
            if bucket.window is not None and wanted is not None and wanted != amount:
                charges.append(self._charge(bucket.key, bucket.window, slot, wanted - amount))
        if charges:
            self._send(self._batch(charges))
        held = tuple(bucket for bucket in moved.buckets if bucket.window is None)
        if held:
            self._send(Settlement(reservation, held, (KEEP,) * len(held)))

    def _charge(self, key: str, window: Window, slot: int, amount: int) -> Charge:
        """Say in Redis's time what was counted in this replica's."""
        if isinstance(window, Rolling):
            slot += round((self._redis.now - self._clock.wall()) / window.width)
            return Charge(key, slot, amount, frees_at(window, slot))
        return Charge(key, slot, amount, float(span_at(window, slot).end))

    async def _flush(self) -> None:
        waiting = self._waiting
        while waiting:
            # All of a kind together, and in any order: behind an exchange for each correction, places would wait to be given back.
            tellings = tuple(islice(waiting, AT_ONCE))
            settlements = [telling for telling in tellings if isinstance(telling, Settlement)]
            batches = [telling for telling in tellings if isinstance(telling, Batch)]
            if settlements:
                await self._redis.settle(settlements)
            if batches:
                await self._redis.charge(batches)
            for _ in tellings:
                waiting.popleft()

    async def _return(self) -> None:
        """Charge what was counted here, and only then ask Redis again."""
        fresh, known_as = await self._redis.identify(self._new_id("epoch_"))
        if fresh:
            await self._redis.charge([self._batch(self._restored)], least=True)
        self._restored = []
        if fresh or self._known_as not in ("", known_as):
            # Another server, or the same after a crash: it may have forgotten what this replica remembers.
            remembered = [
                Charge(key, heard.slot, heard.used, heard.ends) for key, heard in self._heard.items() if heard.ends
            ]
            await self._redis.charge([self._batch(remembered)], least=True)
        await self._charge_taken()
        if not self.up:
            # A replica that has not found it yet goes on with its share, which must not be given here as well.
            await sleep(GRACE_SECONDS)
            await self._charge_taken()
        await self._redis.renew(self._places())
        if self._move_out() and self._moving is not None:
            # What was admitted while the last exchange was on its way goes first of what is told next.
            self._waiting.appendleft(self._moving)
            self._moving = None
        if not self.up:
            log.info("limits.redis.returned")
        self._known_as, self.up, self._redis.slow_in_a_row = known_as, True, 0
        self._charged.clear()

    async def _charge_taken(self) -> None:
        for _ in range(MOST_ROUNDS):
            if self._moving is None and not self._move_out():
                break
            if self._moving is not None:
                await self._redis.charge([self._moving])
                self._moving = None

    def _move_out(self) -> bool:
        """Take all that was counted here as a batch for Redis; whether there was any."""
        for reservation, taken in self._local.open_reservations().items():
            buckets = self._here.pop(reservation, None)
            if buckets is not None:
                self._moved[reservation] = Moved(buckets, taken.amounts, tuple(taken.slots))
                self._hold(buckets, 1)
        charges = [
            self._charge(key, window, slot, amount)
            for key, slot, amount in self._local.drain()
            if (window := self._windows.get(key)) is not None
        ]
        self._windows.clear()
        if charges:
            self._moving = self._batch(charges)
        for charge in charges:
            amount, ends = self._charged.get(charge.key, (0, 0.0))
            self._charged[charge.key] = (amount + charge.amount, max(ends, charge.ends))
        return bool(charges)

    def _places(self) -> list[tuple[Bucket, str]]:
        taken = [*self._there.items(), *((name, moved.buckets) for name, moved in self._moved.items())]
        return [(bucket, name) for name, buckets in taken for bucket in buckets if bucket.window is None]

    async def _leave(self) -> None:
        try:
            if self.up:
                await self._flush()
        except StoreUnavailable as error:
            log.warning("limits.redis.left_behind", settlements=len(self._waiting), reason=error.message)
        await self._redis.aclose()
