"""The port of rollouts: how far each model's is, what was counted under it, and the scores that calls were given. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

Phase = Literal["running", "paused", "promoted", "rolled_back", "fixed"]
Sums = Mapping[str, float]
"""What was counted, by names: numbers of calls, sums, logarithms. Those of all replicas together are their sum."""

MOST_CHAPTERS: Final = 100


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a rollout. `share` is the challenger's from then on, from 0 to 1; `by` who did it."""

    at: float
    event: str
    share: float
    why: str
    by: str = "system"


class RolloutState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a model's rollout is. Times are seconds since 1970.

    `experiment` names what is compared; another one begins another `epoch`, under which everything is counted anew. `share` is the
    challenger's, from 0 to 1, since `since`; `step` is the place of it among the steps. `active` is the version that has all calls
    where nothing runs. `version` grows with every change.
    """

    model: str
    version: int
    experiment: str
    epoch: int
    phase: Phase
    active: str
    began: float
    since: float
    step: int = 0
    share: float = 0.0
    history: tuple[Chapter, ...] = ()

    def after(self, chapter: Chapter) -> tuple[Chapter, ...]:
        """Give the history with one more chapter; the oldest falls out."""
        return (*self.history, chapter)[-MOST_CHAPTERS:]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a call was given by `caller`: a value from 0 to 1. `version` is empty where its model has none."""

    call: str
    name: str
    value: float
    comment: str
    caller: str
    tenant: str
    model: str
    version: str
    at: float


class RolloutStore(Protocol):
    """Keeps rollouts. Everything raises StoreUnavailable when it cannot be asked."""

    async def load(self) -> Sequence[RolloutState]:
        """Give the states of all models."""
        ...

    async def replace(self, state: RolloutState) -> bool:
        """Put it in the place of the version before it; the first has version 1. False when somebody was faster.

        What was counted under the epochs before it is forgotten.
        """
        ...

    async def save_sums(self, replica: str, sums: Iterable[tuple[str, int, Sums]]) -> None:
        """Keep all that a replica has counted so far, in place of what was kept of it: (model, epoch, sums).

        Saying it twice counts once.
        """
        ...

    async def sums_of_others(self, replica: str) -> Mapping[tuple[str, int], Sums]:
        """Give what all other replicas have counted, those that are gone among them, by model and epoch."""
        ...

    async def add_score(self, score: Score) -> bool:
        """Keep a score; False when the call has one of that name."""
        ...

    async def scores(self, call: str) -> Sequence[Score]:
        """Give the scores of a call, by name."""
        ...
