"""Which runs of a trigger begin now, and what is left over to a storm. Pure.

A run's id follows from its incident and its number, so whoever begins it a second time, after a crash, begins the same one.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from gateway.config.trigger_settings import TriggerSettings
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.stores.incidents import Beginning, Board, Changes, Incident, IncidentEvent

STARTING: Final = 30.0
"""Seconds that who begins a run has for it, before another may."""
_MINUTE: Final = 60.0
STORM_KEY: Final = "storm"


def run_id(incident: str, number: int) -> str:
    """Give the id of a run of an incident; the first one is number 1."""
    return "resp_" + hashlib.sha256(f"{incident}\0{number}".encode()).hexdigest()[:24]


def decide(trigger: str, settings: TriggerSettings, board: Board, *, now: float, new_id: NewId) -> Beginning:
    """Say what begins, what waits a little, and what joins the storm."""
    deciding = _Deciding(trigger, settings, board, now, new_id)
    for incident in board.due:
        deciding.look_at(incident)
    deciding.catch_up(board)
    return deciding.decided(board)


class _Deciding:
    def __init__(self, trigger: str, settings: TriggerSettings, board: Board, now: float, new_id: NewId) -> None:
        storm = settings.storm
        self._trigger = trigger
        self._settings = settings
        self._now = now
        self._new_id = new_id
        self._room = min(storm.per_minute - len(board.begun), storm.at_once - board.going)
        self._later = min((*board.begun, now)) + _MINUTE + 0.1
        self._begin: list[Incident] = []
        self._changed: list[Incident] = []
        self._events: list[IncidentEvent] = []
        self._left = 0

    def look_at(self, incident: Incident) -> None:
        """Decide about one that is due."""
        if incident.phase == "starting":
            # Whoever was to begin it did not say that it had: the same run, told the same.
            self._begin.append(msgspec.structs.replace(incident, until=self._now + STARTING))
        elif incident.held == "flapping" and not incident.firing:
            ended = msgspec.structs.replace(
                incident, held="", held_until=None, due_at=None, ended_at=self._now, state="resolved"
            )
            self._say(ended, "held.quiet", {"reason": "nothing fires any more"})
        elif incident.kind == "storm" or self._room > 0:
            # The one run that tells of all that is left over does not wait for a place.
            self._room -= incident.kind != "storm"
            self._begin.append(self._begun(incident))
        elif incident.runs:
            # What is new to one that had a run waits for a place: a storm is of incidents that nobody was told of.
            self._changed.append(msgspec.structs.replace(incident, due_at=max(self._later, self._now + 1)))
        else:
            self._left += 1

    def catch_up(self, board: Board) -> None:
        """Begin what a storm left over, where there are places again that nothing new takes. One is left free for what comes next."""
        storm = self._settings.storm
        if self._left or board.more or any(incident.kind == "storm" for incident in board.due):
            return
        spare = min(1, storm.per_minute - 1, storm.at_once - 1)
        begun: dict[str, int] = {}
        for incident, had in board.left:
            number = had + begun.get(incident.part_of, 0)
            # The run that is told of all of it together comes first.
            untold = board.storm is not None and incident.part_of == board.storm.id and not board.storm.told_seq
            if self._room > spare and number < storm.catch_up and not untold:
                self._room -= 1
                begun[incident.part_of] = begun.get(incident.part_of, 0) + 1
                self._begin.append(self._begun(incident))

    def decided(self, board: Board) -> Beginning:
        """Give what was decided."""
        storm = None
        if self._left or (board.more and self._room <= 0):
            storm = board.storm or self._storm()
        changes = Changes(incidents=(*self._begin, *self._changed), events=self._events)
        return Beginning(changes=changes, begin=self._begin, held=storm)

    def _begun(self, incident: Incident) -> Incident:
        number = incident.runs + 1
        return msgspec.structs.replace(
            incident,
            run=run_id(incident.id, number),
            runs=number,
            phase="starting",
            telling_seq=incident.last_seq,
            held="",
            held_until=None,
            due_at=None,
            until=self._now + STARTING,
            tries=0,
            updated_at=self._now,
        )

    def _storm(self) -> Incident:
        incident = Incident(
            id=self._new_id("inc_"),
            trigger=self._trigger,
            tenant=self._settings.run_as.tenant,
            kind="storm",
            key=STORM_KEY,
            title="More than may begin",
            opened_at=self._now,
            updated_at=self._now,
            due_at=self._now + self._settings.storm.gather,
        )
        body: dict[str, Json] = {
            "per_minute": self._settings.storm.per_minute,
            "at_once": self._settings.storm.at_once,
        }
        return self._say(incident, "storm.began", body)

    def _say(self, incident: Incident, name: str, body: dict[str, Json]) -> Incident:
        seq = incident.last_seq + 1
        self._events.append(IncidentEvent(incident=incident.id, seq=seq, at=self._now, name=name, body=body))
        said = msgspec.structs.replace(incident, last_seq=seq, news_seq=seq, updated_at=self._now)
        self._changed.append(said)
        return said
