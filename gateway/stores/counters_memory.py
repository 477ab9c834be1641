"""Counters in this process: reserving several at once waits for nothing, so nothing comes between checking and taking.

Memory is bounded: a rule has at most `capacity` counters. Idle ones go first; when all are in use, whoever comes new shares one
counter, which admits less than each would have had alone, never more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from math import inf

import msgspec
from anyio import sleep

from gateway.core.clock import Clock
from gateway.stores.counters import Bucket, Count, Observe, Outcome
from gateway.stores.counters_board import Board, Kept, digest_of
from gateway.stores.counters_keeping import Keeper
from gateway.stores.counters_kept import Counter, Epoch, Tally, new_counter

CAPACITY = 65_536
LOOKED_AT = 8  # for an idle counter, when a rule's table is full
BUSY_AT_ONCE = 1000  # counters in use that a sweep looks at, in each table
RESERVATION_SECONDS = 3600.0
SWEEP_SECONDS = 10.0
OTHERS = "\x1f\x1fothers"
NO_LIMIT = 2**62


class Group:
    """The counters that calls take from together, found once. To be made by `MemoryCounters.group`."""

    __slots__ = ("buckets", "counters", "due", "epoch", "limits", "since", "tallies", "until", "watched")

    def __init__(self, buckets: tuple[Bucket, ...], *, observed: bool) -> None:
        self.buckets = buckets
        self.limits = tuple([bucket.limit if bucket.hard else NO_LIMIT for bucket in buckets])
        self.watched = tuple([index for index, bucket in enumerate(buckets) if bucket.watched and observed])
        self.counters: tuple[Counter, ...] = ()
        self.tallies: tuple[Tally, ...] = ()
        self.epoch = -1
        # All counters are in their present slots until one of these: on the steady clock, and on the wall clock.
        self.due = 0.0
        self.since = self.until = 0.0


class Taken(msgspec.Struct, frozen=True):
    """What a call has taken: how much, from which counters and slots, and when on the steady clock."""

    group: Group
    counters: tuple[Counter, ...]
    amounts: tuple[int, ...]
    slots: list[int]
    at: float

    @property
    def used(self) -> tuple[int, ...]:
        """What the counters held when it was taken: to be asked at once."""
        return tuple([counter.tally.total for counter in self.counters])


class MemoryCounters:
    """A `CounterStore` in this process. With a `board`, what long windows counted outlives it.

    With `snapshots`, what changed in long windows is remembered until `counts` is asked. `take` and `give_back` are what
    `reserve` and `settle` do, for those who ask in this process and remember themselves what they have taken.
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
        self._monotonic = clock.monotonic
        self._wall = clock.wall
        self._anchor = clock.wall() - clock.monotonic()
        self._tables: dict[str, OrderedDict[str, Counter]] = {}
        self._epoch = Epoch()  # grows when counters are forgotten, too
        self._open: dict[str, Taken] = {}
        self._board = board
        self._observe = observe
        self._capacity = capacity
        self._expire_after = expire_after
        self._keeper = Keeper(board, snapshots=snapshots) if snapshots or board is not None else None
        self._kept: dict[bytes, list[Kept]] = {} if board is None else dict(board.kept)

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def steady(self) -> float:
        """Give the time on the steady clock, in seconds since 1970."""
        return self._monotonic() + self._anchor

    def group(self, buckets: Sequence[Bucket]) -> Group:
        """Give what `take` takes from; it may be used any number of times."""
        return Group(tuple(buckets), observed=self._observe is not None)

    def take(self, group: Group, amounts: tuple[int, ...]) -> Taken | Outcome:
        """Take every amount; an `Outcome` says which had no room, and then nothing was taken."""
        now, wall = self._monotonic() + self._anchor, self._wall()
        if group.epoch != self._epoch.number:
            self._find_all(group, now, wall)
        elif now >= group.due or not group.since <= wall < group.until:
            _move_on(group, now, wall)
        slots: list[int] = []
        # Written out for all kinds of counters: asking each is most of what limits would cost.
        for tally, amount, limit in zip(group.tallies, amounts, group.limits):  # noqa: B905 - as many as buckets
            total = tally.total + amount
            if total > limit:
                return self._refuse(group, amounts, slots, now, wall)
            tally.total = total
            tally.touched = True
            line = tally.line
            if line is not None:
                line.put(total - tally.before)
            elif tally.keeps:
                group.counters[len(slots)].keep()
            slots.append(tally.slot)
        return Taken(group, group.counters, amounts, slots, now)

    def give_back(self, taken: Taken, actual: Sequence[int | None]) -> None:
        """Replace what was taken by what was used: None keeps it. A place among concurrent calls is given back by 0."""
        group, now, wall = taken.group, self._monotonic() + self._anchor, self._wall()
        if group.epoch != self._epoch.number or group.counters is not taken.counters:
            self._give_back_to(taken, actual, now, wall)
        else:
            if now >= group.due or not group.since <= wall < group.until:
                _move_on(group, now, wall)
            index = -1
            for tally, amount, slot, used in zip(group.tallies, taken.amounts, taken.slots, actual):  # noqa: B905 - as above
                index += 1
                if used is None or used == amount:
                    continue
                if slot != tally.slot:
                    group.counters[index].correct(slot, used - amount, now, wall)
                    continue
                total = tally.total = tally.total + used - amount
                line = tally.line
                if line is not None:
                    line.put(total - tally.before)
                elif tally.keeps:
                    group.counters[index].keep()
        if taken.group.watched:
            self._tell(taken)

    def _give_back_to(self, taken: Taken, actual: Sequence[int | None], now: float, wall: float) -> None:
        """Do that one by one: some of the counters may have been forgotten since."""
        for counter, bucket, amount, slot, used in zip(
            taken.counters, taken.group.buckets, taken.amounts, taken.slots, actual, strict=False
        ):
            if used is not None and used != amount:
                there = self._find(bucket, now, wall) if counter.gone else counter
                there.correct(slot, used - amount, now, wall)

    async def reserve(self, reservation: str, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Outcome:
        """Take every amount, or none. Never waits."""
        before = self._open.get(reservation)
        if before is not None:
            now, wall = self._now()
            return Outcome(tuple([counter.used(now, wall) for counter in before.counters]))
        taken = self.take(self.group(buckets), tuple(amounts))
        if isinstance(taken, Outcome):
            return taken
        self._open[reservation] = taken
        return Outcome(taken.used)

    def settle(self, reservation: str, actual: Sequence[int | None]) -> None:
        """Replace what was taken by what was used, and give places back."""
        taken = self._open.pop(reservation, None)
        if taken is not None:
            held = [counter.held for counter in taken.counters]
            self.give_back(taken, [0 if place else used for used, place in zip(actual, held, strict=True)])

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
        return [] if self._keeper is None else self._keeper.take_changed()

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
            self._forget_idle(table, len(table), now, wall)
            if not table:
                del self._tables[name]
        if self._board is not None:
            self._board.sweep()

    def open_reservations(self) -> dict[str, Taken]:
        """Give what is reserved and not settled."""
        return dict(self._open)

    def drain(self) -> list[tuple[str, int, int]]:
        """Give (key, slot, amount) of all that is counted, open reservations included, and forget everything."""
        self._open.clear()
        counters = [counter for table in self._tables.values() for counter in table.values()]
        self._tables.clear()
        for counter in counters:
            counter.gone = True
        self._epoch.number += 1
        return [
            (counter.key, slot, amount) for counter in counters for slot, amount in counter.slots().items() if amount
        ]

    def _now(self) -> tuple[float, float]:
        return self._monotonic() + self._anchor, self._wall()

    def _refuse(self, group: Group, amounts: Sequence[int], slots: Sequence[int], now: float, wall: float) -> Outcome:
        """Give back what was taken before the one that had no room."""
        refused = len(slots)
        for counter, amount, slot in zip(group.counters, amounts, slots, strict=False):
            counter.correct(slot, -amount, now, wall)
        used = tuple([tally.total for tally in group.tallies[: refused + 1]])
        needed = used[-1] + amounts[refused] - group.limits[refused]
        return Outcome(used, refused, group.counters[refused].frees_in(needed, now, wall))

    def _tell(self, taken: Taken) -> None:
        """Have it observed what is in the counters that are watched."""
        if self._observe is None:
            return
        now, wall = self._now()
        for index in taken.group.watched:
            bucket, counter = taken.group.buckets[index], taken.counters[index]
            self._observe(bucket, taken.slots[index], counter.used(now, wall))

    def _find_all(self, group: Group, now: float, wall: float) -> None:
        counters = tuple([self._find(bucket, now, wall) for bucket in group.buckets])
        group.counters = counters
        group.tallies = tuple([counter.tally for counter in counters])
        _move_on(group, now, wall)
        own = all(counter.key == bucket.key for counter, bucket in zip(counters, group.buckets, strict=True))
        # Who shares a counter looks each time whether there is room for one of his own.
        group.epoch = self._epoch.number if own and not any(counter.gone for counter in counters) else -1

    def _find(self, bucket: Bucket, now: float, wall: float) -> Counter:
        table = self._tables.get(bucket.table)
        if table is None:
            table = self._tables[bucket.table] = OrderedDict()
        counter = table.get(bucket.key)
        return self._new(table, bucket, now, wall) if counter is None else counter

    def _new(self, table: OrderedDict[str, Counter], bucket: Bucket, now: float, wall: float) -> Counter:
        key = bucket.key
        if len(table) >= self._capacity and not self._forget_idle(table, LOOKED_AT, now, wall):
            key = bucket.table + OTHERS
            if key in table:
                return table[key]
        counter = table[key] = new_counter(key, bucket.window, self._keeper, self._epoch)
        if self._kept and bucket.window is not None and bucket.window.long:
            for kept in sorted(self._kept.pop(digest_of(key), ()), key=lambda one: one.slot):
                counter.restore(kept.slot, kept.amount, now, wall)
        return counter

    def _forget_idle(self, table: OrderedDict[str, Counter], most: int, now: float, wall: float) -> bool:
        """Look at some counters, each time at others; forget those that are idle, and say whether there were any."""
        found, busy = False, 0
        for _ in range(min(most, len(table))):
            key, counter = next(iter(table.items()))
            if counter.is_idle(now, wall):
                del table[key]
                counter.gone = found = True
                continue
            table.move_to_end(key)
            busy += 1
            if busy == BUSY_AT_ONCE:
                break
        self._epoch.number += found
        return found


def _move_on(group: Group, now: float, wall: float) -> None:
    """Bring all counters of a group into their present slots, and note until when they are."""
    for counter in group.counters:
        counter.used(now, wall)
    group.due = min([counter.due for counter in group.counters], default=inf)
    group.since = max([counter.since for counter in group.counters], default=-inf)
    group.until = min([counter.until for counter in group.counters], default=inf)
