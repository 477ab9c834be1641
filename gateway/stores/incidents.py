"""The port of incidents: what triggers were sent, what became of it, and which run is to begin next. It decides nothing.

An incident is what one run, or a few in turn, work on: a group of alerts, an event, a time of a schedule, or what a storm left over. Everything that
changes one is done in turns: whoever changes incidents of a trigger has them to himself until the transaction ends, on every replica.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from gateway.core.items import Json

Kind = Literal["alerts", "event", "tick", "storm"]
IncidentState = Literal["open", "resolved", "done", "failed"]
"""resolved: all its alerts are. done: its run has ended, and there is nothing more to come. failed: no run could be begun."""

Held = Literal["", "flapping", "storm"]
Phase = Literal["", "starting", "running", "waiting"]
"""Where its present run is: about to be begun, going on, or waiting for people."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. Times are seconds since 1970, None for what has not happened.

    `key` tells it from the others of its trigger that are open. `title` is for people and was written by others. `last_seq` is the number of its last
    event; `news_seq` that of the last one that a run should be told, `told_seq` that of the last one that one was told, `telling_seq` what the present run is told.
    `due_at` is when a run may begin, None where none is wanted. `run` is the present run, or the last. `cancel` says that the present run is to be ended
    unless it has acted. `until` is how long who begins the run has for that. `part_of` is the storm that it was left over in. `severity` is what its alerts say. `firing` counts
    alerts that fire, `alerts` all of them; of a storm, `alerts` counts incidents.
    """

    id: str
    trigger: str
    tenant: str
    kind: Kind
    key: str
    title: str
    opened_at: float
    updated_at: float
    state: IncidentState = "open"
    held: Held = ""
    held_until: float | None = None
    part_of: str = ""
    severity: str = ""
    firing: int = 0
    alerts: int = 0
    last_seq: int = 0
    news_seq: int = 0
    told_seq: int = 0
    telling_seq: int = 0
    due_at: float | None = None
    until: float | None = None
    run: str = ""
    phase: Phase = ""
    runs: int = 0
    tries: int = 0
    cancel: bool = False
    ended_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it, and no run of it goes on."""
        return self.ended_at is not None and not self.phase


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of a trigger, by its fingerprint. `incident` is the one that it belongs, or belonged, to; `seq` the event there with which it began to fire.

    `began` are the times at which it began to fire, of late. `shown` is what an agent may be given of it.
    """

    trigger: str
    fingerprint: str
    incident: str
    seq: int
    firing: bool
    at: float
    began: tuple[float, ...] = ()
    shown: dict[str, Json] = {}


class IncidentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an incident: `name` says what, `body` more of it."""

    incident: str
    seq: int
    at: float
    name: str
    body: dict[str, Json] = {}


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a trigger was sent, or a time of its schedule. `dedupe` tells it from all others; the same again is not taken."""

    trigger: str
    dedupe: str
    at: float
    outcome: str
    incident: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What there is: incidents that are open by their keys, those of the alerts by their ids, alerts by fingerprint, and what was delivered before."""

    open: Mapping[str, Incident]
    incidents: Mapping[str, Incident]
    alerts: Mapping[str, Alert]
    delivered: Collection[str]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written, all of it or nothing. Incidents and alerts take the place of what was there."""

    incidents: Sequence[Incident] = ()
    alerts: Sequence[Alert] = ()
    events: Sequence[IncidentEvent] = ()
    deliveries: Sequence[DeliveryRow] = ()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for before something is changed."""

    keys: Collection[str] = ()
    fingerprints: Collection[str] = ()
    dedupes: Collection[str] = ()


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """The incidents of a trigger for which a run may begin, the oldest first and at most so many; `more` counts those beyond.

    `begun` are the times at which runs of it began within the last minute, `going` counts those that go on. `storm` is the storm that is open.
    `left` are incidents that storms left over, which are not over and had no run, the most severe and the oldest first and at most so many, each with how many
    of its storm had one.
    """

    due: Sequence[Incident]
    more: int
    begun: Sequence[float]
    going: int
    storm: Incident | None
    left: Sequence[tuple[Incident, int]] = ()


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of a look at a board. `held` says that all others that are due and have had no run join this storm."""

    changes: Changes
    begin: Sequence[Incident] = ()
    held: Incident | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How far a schedule has come: `spec` is what it was then, `last` the last time of it that was looked at."""

    trigger: str
    spec: str
    last: float


class TriggerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of a trigger: counts of what is open, and when something came last."""

    open: int = 0
    running: int = 0
    waiting: int = 0
    flapping: int = 0
    left_over: int = 0
    storm: str = ""
    last_at: float | None = None
    last_outcome: str = ""


class IncidentStore(Protocol):
    """Keeps incidents. Everything raises StoreUnavailable when it cannot be asked."""

    async def take_in(self, trigger: str, wanted: Wanted, fold: Callable[[Found], Changes]) -> Changes:
        """Write what `fold` makes of what there is, and give it. It is on the disk then. `fold` may be asked only once, and does not wait."""
        ...

    async def begin_due(
        self, trigger: str, *, now: float, most: int, decide: Callable[[Board], Beginning]
    ) -> Sequence[Incident]:
        """Write what `decide` makes of the board, and give the incidents whose runs it wants begun."""
        ...

    async def change(self, trigger: str, incident: str, fold: Callable[[Incident], Changes | None]) -> Incident | None:
        """Write what `fold` makes of one incident, None for nothing; give it as it then is, None where it is gone."""
        ...

    async def active(self) -> Sequence[Incident]:
        """Give the incidents with a present run, and storms that are open, of all triggers."""
        ...

    async def due(self, now: float) -> Sequence[str]:
        """Give the triggers that have something due."""
        ...

    async def with_left_over(self) -> Sequence[str]:
        """Give the triggers of which a storm left something over that had no run."""
        ...

    async def advance(self, schedule: Schedule, before: Schedule | None) -> bool:
        """Write how far a schedule has come; False where somebody else was faster (`before` is not what is there)."""
        ...

    async def schedule(self, trigger: str) -> Schedule | None:
        """Give how far a schedule has come."""
        ...

    async def told(self, incident: Incident, *, most: int) -> tuple[Sequence[Alert], int]:
        """Give alerts that the present run is told for the first time, the oldest first and at most so many, and how many there are."""
        ...

    async def left_over(self, storm: str, *, most: int) -> tuple[Sequence[tuple[str, int]], int]:
        """Give the titles of what a storm left over, the most frequent first, with their counts, and how many there are altogether."""
        ...

    async def find(self, tenant: str | None, incident: str) -> Incident | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        ...

    async def list(
        self,
        tenant: str | None,
        *,
        after: str = "",
        limit: int = 100,
        trigger: str = "",
        state: IncidentState | None = None,
        storm: str = "",
    ) -> Sequence[Incident]:
        """Give a page, the newest first. `after` is the id of the last one before; one that is not there gives nothing."""
        ...

    async def events(self, incident: str, *, most: int = 1000) -> Sequence[IncidentEvent]:
        """Give the events of an incident in order, the last ones where there are too many."""
        ...

    async def runs(self, incident: str) -> Sequence[str]:
        """Give the ids of its runs, the oldest first."""
        ...

    async def alerts(self, incident: str, *, most: int = 1000) -> Sequence[Alert]:
        """Give the alerts of an incident, the oldest first."""
        ...

    async def figures(self, trigger: str) -> TriggerFigures:
        """Give what there is to say of a trigger."""
        ...

    async def remove_old(self, trigger: str, before: float, *, most: int = 500) -> int:
        """Forget some incidents that were over before then, what belongs to them, and deliveries from before then; give how many."""
        ...
