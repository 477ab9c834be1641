"""Counters in this process: reserving several at once waits for nothing, so nothing comes between checking and taking.

Memory is bounded: a rule has at most `capacity` counters. Idle ones go first; when all are in use, whoever comes new shares one
counter, which admits less than each would have had alone, never more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec
from anyio import sleep

from gateway.core.clock import Clock
from gateway.stores.counters import Bucket, Count, Observe, Outcome
from gateway.stores.counters_board import Board, Kept, digest_of
from gateway.stores.counters_kept import OVER, Counter, new_counter

CAPACITY = 65_536
LOOKED_AT = 8  # for an idle counter, when a rule's table is full
RESERVATION_SECONDS = 3600.0
SWEEP_SECONDS = 10.0
MOST_DIRTY = 262_144
OTHERS = "\x1f\x1fothers"


class Open(msgspec.Struct, frozen=True):
    """A reservation that is not settled: what it took, from which counters and slots, and when."""

    buckets: tuple[Bucket, ...]
    counters: list[Counter]
    amounts: tuple[int, ...]
    slots: list[int]
    at: float


class MemoryCounters:
    """A `CounterStore` in this process. With a `board`, what long windows counted outlives it.

    With `snapshots`, what changed in long windows is remembered until `counts` is asked.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        board: Board | None = None,
        observe: Observe | None = None,
        capacity: int = CAPACITY,
        expire_after: float = RESERVATION_SECONDS,
        snapshots: bool = False,
    ) -> None:
        self._clock = clock
        self._anchor = clock.wall() - clock.monotonic()
        self._tables: dict[str, OrderedDict[str, Counter]] = {}
        self._open: dict[str, Open] = {}
        self._board = board
        self._observe = observe
        self._capacity = capacity
        self._expire_after = expire_after
        self._snapshots = snapshots
        self._keeps = snapshots or board is not None
        self._kept: dict[bytes, list[Kept]] = {} if board is None else dict(board.kept)
        self._dirty: dict[tuple[str, int], tuple[int, float]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    async def reserve(self, reservation: str, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Outcome:
        """Take every amount, or none. Never waits."""
        now, wall = self._now()
        if (before := self._open.get(reservation)) is not None:
            return Outcome(tuple([counter.used(now, wall) for counter in before.counters]))
        counters: list[Counter] = []
        used: list[int] = []
        tables = self._tables
        for bucket, amount in zip(buckets, amounts, strict=True):
            # As _find, written out: this is done for every limit of every call.
            table = tables.get(bucket.table)
            counter = None if table is None else table.get(bucket.key)
            if table is None or counter is None:
                counter = self._find(bucket, now, wall)
            else:
                table.move_to_end(bucket.key)
            held = counter.used(now, wall)
            if held + amount > bucket.limit and bucket.hard:
                wait = counter.frees_in(held + amount - bucket.limit, now, wall)
                return Outcome((*used, held), len(used), wait)
            counters.append(counter)
            used.append(held + amount)
        slots = [counter.take(amount) for counter, amount in zip(counters, amounts, strict=True)]
        self._open[reservation] = Open(tuple(buckets), counters, tuple(amounts), slots, now)
        return Outcome(tuple(used))

    def settle(self, reservation: str, actual: Sequence[int | None]) -> None:
        """Replace what was taken by what was used, and give places back."""
        taken = self._open.pop(reservation, None)
        if taken is None:
            return
        now, wall = self._now()
        observe = self._observe
        for bucket, counter, amount, slot, used in zip(
            taken.buckets, taken.counters, taken.amounts, taken.slots, actual, strict=True
        ):
            wanted = 0 if bucket.window is None else used
            if wanted is not None and wanted != amount:
                counter.correct(slot, wanted - amount, now, wall)
            if observe is not None and bucket.watched:
                observe(bucket, slot, counter.used(now, wall))

    async def used(self, buckets: Sequence[Bucket]) -> tuple[int, ...]:
        """Give what each bucket holds now."""
        now, wall = self._now()
        return tuple([self._find(bucket, now, wall).used(now, wall) for bucket in buckets])

    async def first(self, name: str, seconds: float) -> bool:
        """Whether nobody else announces this: there is nobody else."""
        del name, seconds
        return True

    def restore(self, counts: Iterable[Count]) -> None:
        """Make sure that no slot holds less than what was kept of it."""
        now, wall = self._now()
        known = {key: counter for table in self._tables.values() for key, counter in table.items()}
        for count in counts:
            if count.expires <= wall:
                continue
            counter = known.get(count.key)
            if counter is not None:
                counter.restore(count.slot, count.amount, now, wall)
                continue
            digest = digest_of(count.key)
            kept = self._kept.setdefault(digest, [])
            best = max([count.amount, *(one.amount for one in kept if one.slot == count.slot)])
            kept[:] = [one for one in kept if one.slot != count.slot]
            kept.append(Kept(count.slot, best, count.expires))
            if self._board is not None:
                self._board.put(digest, count.slot, best, count.expires)

    def counts(self) -> list[Count]:
        """Give what changed in long windows since the last time it was asked."""
        changed, self._dirty = self._dirty, {}
        return [
            Count(key=key, slot=slot, amount=amount, expires=expires)
            for (key, slot), (amount, expires) in changed.items()
        ]

    async def run(self) -> None:
        """Expire reservations and forget idle counters, until cancelled."""
        while True:
            await sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Let reservations expire that nobody settles, and forget what is idle."""
        now, wall = self._now()
        for reservation, taken in tuple(self._open.items()):
            if now - taken.at < self._expire_after:
                break
            self.settle(reservation, (None,) * len(taken.amounts))
        for name, table in tuple(self._tables.items()):
            for key, counter in tuple(table.items()):
                if not counter.is_idle(now, wall):
                    break
                del table[key]
            if not table:
                del self._tables[name]
        if self._board is not None:
            self._board.sweep()

    def open_reservations(self) -> dict[str, Open]:
        """Give what is reserved and not settled."""
        return dict(self._open)

    def drain(self) -> list[tuple[str, int, int]]:
        """Give (key, slot, amount) of all that is counted, open reservations included, and forget everything."""
        self._open.clear()
        counters = [counter for table in self._tables.values() for counter in table.values()]
        self._tables.clear()
        return [
            (counter.key, slot, amount) for counter in counters for slot, amount in counter.slots().items() if amount
        ]

    def _now(self) -> tuple[float, float]:
        clock = self._clock
        return clock.monotonic() + self._anchor, clock.wall()

    def _find(self, bucket: Bucket, now: float, wall: float) -> Counter:
        table = self._tables.get(bucket.table)
        if table is None:
            table = self._tables[bucket.table] = OrderedDict()
        key = bucket.key
        counter = table.get(key)
        if counter is None:
            counter = self._new(table, bucket, now, wall)
        table.move_to_end(counter.key)
        return counter

    def _new(self, table: OrderedDict[str, Counter], bucket: Bucket, now: float, wall: float) -> Counter:
        key = bucket.key
        if len(table) >= self._capacity and not self._made_room(table, now, wall):
            key = bucket.table + OTHERS
            if key in table:
                return table[key]
        counter = table[key] = new_counter(key, bucket.window, self._note if self._keeps else None)
        if self._kept and bucket.window is not None and bucket.window.long:
            for kept in sorted(self._kept.pop(digest_of(key), ()), key=lambda one: one.slot):
                counter.restore(kept.slot, kept.amount, now, wall)
        return counter

    def _made_room(self, table: OrderedDict[str, Counter], now: float, wall: float) -> bool:
        oldest = [key for key, _ in zip(table, range(LOOKED_AT), strict=False)]
        idle = [key for key in oldest if table[key].is_idle(now, wall)]
        for key in idle:
            del table[key]
        return bool(idle)

    def _note(self, counter: Counter, slot: int, amount: int, expires: float) -> None:
        board = self._board
        if amount == OVER:
            if board is not None:
                board.drop(counter.digest, slot)
            return
        if board is not None:
            board.put(counter.digest, slot, amount, expires)
        if self._snapshots:
            self._dirty[counter.key, slot] = (amount, expires)
            if len(self._dirty) > MOST_DIRTY:
                del self._dirty[next(iter(self._dirty))]
