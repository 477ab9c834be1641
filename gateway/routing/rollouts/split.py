"""How a model's calls are split between its versions, at this moment. Whoever conducts a rollout moves it; calls only read it.

A key has a place from 0 to 1, by a hash with the experiment's salt, and versions have neighbouring ranges of places. So a key stays
where it is until the end of a range moves over it, and a growing share takes keys and never gives one back.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from gateway.core.call import Call
from gateway.routing.choosing.stickiness import key_of

MOST_REMEMBERED: Final = 64
"""Splits of the past that are remembered, for calls that began under them."""


class Split:
    """One model's. `shares` holds (version, share) in the order of their ranges, which add up to 1; none before it was told."""

    __slots__ = ("_ends", "_past", "salt", "shares")

    def __init__(self) -> None:
        self.salt = ""
        self.shares: tuple[tuple[str, float], ...] = ()
        self._ends: tuple[tuple[float, str], ...] = ()
        self._past: deque[tuple[float, str, tuple[tuple[str, float], ...]]] = deque(maxlen=MOST_REMEMBERED)

    def set(self, shares: Sequence[tuple[str, float]], salt: str, at: float) -> None:
        """From now on calls are split so; `at` is wall-clock time in seconds."""
        total = sum(share for _, share in shares)
        there = tuple((version, share / total) for version, share in shares if share > 0)
        if (there, salt) == (self.shares, self.salt):
            return
        self._ends = tuple(zip(accumulate(share for _, share in there), (version for version, _ in there), strict=True))
        self.shares, self.salt = there, salt
        self._past.append((at, salt, there))

    def at(self, place: float) -> str:
        """Give the version that has a place; empty where nothing was told yet."""
        for end, version in self._ends:
            if place < end:
                return version
        return self._ends[-1][1] if self._ends else ""  # sums of floats may end a little below 1

    def share_at(self, version: str, at: float, salt: str) -> float:
        """Give the share that a version had when a call began, 0 where it had none, or that experiment was not there."""
        for since, salted, shares in reversed(self._past):
            if since <= at:
                return next((share for name, share in shares if name == version), 0.0) if salted == salt else 0.0
        return 0.0


class Splits:
    """The splits of all models. They outlive what is built from the configuration."""

    def __init__(self) -> None:
        self._all: dict[str, Split] = {}

    def of(self, model: str) -> Split:
        """Give one model's."""
        return self._all.setdefault(model, Split())

    def __iter__(self) -> Iterator[tuple[str, Split]]:
        return iter(tuple(self._all.items()))


class Assigner:
    """Says which version a call belongs to. `by` are the kinds of keys; `chance` gives numbers from 0 to 1 for calls without one."""

    def __init__(self, split: Split, by: Sequence[str], chance: Callable[[], float]) -> None:
        self.split = split
        self._by = tuple(by)
        # Everybody without a key is not one caller: they are spread, unless they say more of themselves.
        self._by_anonymous = tuple(kind for kind in by if kind != "caller")
        self._chance = chance

    def version(self, call: Call) -> str:
        """Give the version, empty where the split has none yet."""
        split = self.split
        if len(split.shares) == 1:
            return split.shares[0][0]
        key = key_of(call, self._by_anonymous if call.caller.kind == "anonymous" else self._by)
        return split.at(self._chance() if key is None else place_of(key, split.salt))


def place_of(key: str, salt: str) -> float:
    """Give a key's place in an experiment, from 0 to 1."""
    digest = hashlib.blake2b(f"{salt}\x1f{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53  # as many bits as a float holds, so that it is below 1
