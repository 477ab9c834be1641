"""Incidents, alerts and events as rows of the tables, and back. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping

from gateway.stores.incidents import Alert, Changes, DeliveryRow, Incident, IncidentEvent
from gateway.stores.ledger import storable
from gateway.stores.runs_rows import read_json, write_json
from gateway.stores.tool_calls import Notice

_times: Final = msgspec.json.Decoder(tuple[float, ...])
_INCIDENT: Final = Incident.__struct_fields__
INCIDENT: Final = "incident"
"""The kind of notices about incidents."""


def incident_row(incident: Incident) -> dict[str, Any]:
    """Give the row of an incident."""
    row = {name: getattr(incident, name) for name in _INCIDENT}
    return row | {
        "key": storable(incident.key),
        "title": storable(incident.title),
        "severity": storable(incident.severity),
    }


def read_incident(row: RowMapping) -> Incident:
    """Give the incident of a row."""
    return msgspec.convert({name: row[name] for name in _INCIDENT}, Incident)


def alert_row(alert: Alert) -> dict[str, Any]:
    """Give the row of an alert."""
    row = {name: getattr(alert, name) for name in ("trigger", "fingerprint", "incident", "seq", "firing", "at")}
    return row | {"began": write_json(alert.began), "shown": write_json(alert.shown)}


def read_alert(row: RowMapping) -> Alert:
    """Give the alert of a row."""
    return Alert(
        trigger=row["trigger"],
        fingerprint=row["fingerprint"],
        incident=row["incident"],
        seq=row["seq"],
        firing=row["firing"],
        at=row["at"],
        began=_times.decode(row["began"]),
        shown=read_json(row["shown"]),
    )


def event_row(event: IncidentEvent) -> dict[str, Any]:
    """Give the row of an event."""
    return msgspec.structs.asdict(event) | {"body": write_json(event.body)}


def read_event(row: RowMapping) -> IncidentEvent:
    """Give the event of a row."""
    body = read_json(row["body"])
    return IncidentEvent(incident=row["incident"], seq=row["seq"], at=row["at"], name=row["name"], body=body)


def delivery_row(delivery: DeliveryRow) -> dict[str, Any]:
    """Give the row of a delivery."""
    return msgspec.structs.asdict(delivery)


def incident_notices(changes: Changes) -> list[Notice]:
    """Give what is to be said of changes to whoever tells people. What only waits for a run is not spoken of: a storm is one incident, not thousands."""
    spoken_of = {each.id for each in changes.incidents if each.runs or each.kind == "storm" or each.state == "failed"}
    return [
        Notice(kind=INCIDENT, dedupe=f"{event.incident}:{event.seq}", body={"incident": event.incident})
        for event in changes.events
        if event.incident in spoken_of
    ]
