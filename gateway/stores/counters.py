"""The port of counters: what limits ask of whoever counts, in this process or in Redis. It counts; rules are not its business.

A reservation takes from several counters at once, all or none. It is settled once, by its id, with what was really used;
what is never settled keeps its estimate, and gives back its place among concurrent calls when its lease ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from gateway.stores.counter_windows import Window

LEASE_SECONDS = 30.0
"""How long a place among concurrent calls is held without a sign of life of the process that took it."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One counter, and what may be in it.

    `key` names it, the same in every replica and after a restart. `table` groups the counters of one rule. A `window` of None
    counts what is held at the same moment. `limit` is a whole number (money in nano-dollars). Of one that is not `hard` any
    amount may be taken. `watched` asks that what it holds is observed. `on_loss` says what holds while the shared store is away.
    """

    key: str
    table: str
    limit: int
    window: Window | None
    hard: bool = True
    watched: bool = True
    on_loss: Literal["share", "refuse", "admit"] = "share"


class Outcome(msgspec.Struct, frozen=True):
    """What came of a reservation. `refused` is the index of the bucket that had no room, None when all was taken.

    `used` is what each bucket holds: after taking, or, when refused, as it was (up to the one that refused). `retry_after` is
    in seconds.
    """

    used: tuple[int, ...]
    refused: int | None = None
    retry_after: float = 0.0


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """What one slot of one counter holds, for keeping. `expires` is in seconds since 1970: nobody asks for it afterwards."""

    key: str
    slot: int
    amount: int
    expires: float


Observe = Callable[[Bucket, int, int], None]
"""Told (bucket, slot, used) whenever a watched bucket was settled. Quick, and does not raise."""


class CounterStore(Protocol):
    """Counts. Amounts and buckets are parallel, and every amount is at least 0."""

    def reserve(self, reservation: str, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Awaitable[Outcome]:
        """Take every amount, or none when a hard bucket has no room. The same id twice takes once.

        Raises Unavailable when nothing can be said, and a bucket on the way is to refuse then.
        """
        ...

    def settle(self, reservation: str, actual: Sequence[int | None]) -> None:
        """Replace each amount taken by what was used; None keeps it. Places of concurrent calls are given back.

        Does not wait. An id that is not known, or was settled already, changes nothing.
        """
        ...

    async def used(self, buckets: Sequence[Bucket]) -> tuple[int, ...]:
        """Give what each bucket holds now. Raises Unavailable."""
        ...

    async def first(self, name: str, seconds: float) -> bool:
        """Whether this is the first replica that says `name`, and for so many seconds the only one."""
        ...

    def restore(self, counts: Iterable[Count]) -> None:
        """Make sure that no slot holds less than what was kept of it."""
        ...

    def counts(self) -> list[Count]:
        """Give what is worth keeping of long windows, as far as this process knows; changed since the last time it was asked."""
        ...

    async def run(self) -> None:
        """Do what has to be done now and then, until cancelled."""
        ...
