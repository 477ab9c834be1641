"""A model's versions: each has a pool and a responder of its own, and every call goes to one of them, whole.

Versions do not help each other out: a failure is the figure by which one is judged. Fallbacks to other models are as the model has them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

import msgspec

from gateway.core.call import Call
from gateway.core.decision import Decision
from gateway.core.responder import Responder, Send
from gateway.routing.pool import Pool
from gateway.routing.rollouts.split import Assigner
from gateway.routing.seat import Seat


class VersionedPool:
    """A pool over the pools of versions: it decides as the version's would to which the call belongs."""

    def __init__(self, model: str, pools: Mapping[str, Pool], assigner: Assigner, otherwise: str) -> None:
        self.model = model
        self.pools = dict(pools)
        self.seats: tuple[Seat, ...] = tuple(seat for pool in pools.values() for seat in pool.seats)
        self.version = ""
        self._assigner = assigner
        self._otherwise = otherwise

    def pick(self, call: Call) -> str:
        """Give the version that a call belongs to."""
        version = self._assigner.version(call)
        # The split may already be of the next generation of the configuration, or none was told yet.
        return version if version in self.pools else self._otherwise

    def decide(self, call: Call, now: float, *, peek: bool = False) -> tuple[Sequence[Seat], Decision]:
        """Give the seats to ask, in order, and the decision. With `peek` nothing is noted: the next call gets the same."""
        return self.pools[self.pick(call)].decide(call, now, peek=peek)

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """Give (version, share) as calls are split now."""
        return self._assigner.split.shares or ((self._otherwise, 1.0),)


class Versioned:
    """A Responder: asks what answers for the version that a call belongs to."""

    def __init__(self, pool: VersionedPool, responders: Mapping[str, Responder]) -> None:
        self._pick = pool.pick
        self._responders = dict(responders)

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the version's responder."""
        return self._responders[self._pick(call)](call, send)


def of_version(pool: Pool, version: str) -> Pool:
    """Let a pool's decisions name the version whose it is."""
    pool.version = version
    return pool


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model's versions when it is built: which has all calls before more is told, and by which keys they are split."""

    otherwise: str
    by: tuple[str, ...]
