"""The part of /openapi.json that is about triggers and incidents."""

from __future__ import annotations

from typing import Any

from gateway.api import admin_incidents, admin_triggers, triggers
from gateway.api.openapi_admin import AdminOperation
from gateway.api.openapi_schemas import open_object

_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_TIME = {"type": ["number", "null"]}
_COUNT = {"type": "integer"}

_DELIVERY = open_object(
    {
        "object": {"const": "trigger.delivery"},
        "trigger": _TEXT,
        "outcome": {"enum": ["accepted", "joined", "repeated", "resolved", "ignored", "duplicate"]},
        "incident": _MAYBE,
    }
)
_TRIGGER = open_object(
    {
        "object": {"const": "trigger"},
        "id": _TEXT,
        "kind": {"enum": ["alertmanager", "webhook", "schedule"]},
        "agent": _TEXT,
        "tenant": _TEXT,
        "state": {"enum": ["ready", "flapping", "storm"]},
        "incidents": {"type": "object", "additionalProperties": _COUNT},
        "storm": _MAYBE,
    }
)
_FIELDS: dict[str, Any] = {
    "object": {"const": "incident"},
    "id": _TEXT,
    "trigger": _TEXT,
    "tenant": _TEXT,
    "kind": {"enum": ["alerts", "event", "tick", "storm"]},
    "title": _TEXT,
    "state": {"enum": ["open", "resolved", "done", "failed"]},
    "held": _MAYBE,
    "storm": _MAYBE,
    "firing": _COUNT,
    "alerts": _COUNT,
    "opened_at": {"type": "number"},
    "ended_at": _TIME,
    "run": _MAYBE,
    "runs": _COUNT,
}
_INCIDENT = open_object(_FIELDS)
_WHOLE = open_object({**_FIELDS, "timeline": {"type": "array", "items": {"type": "object"}}})


def _list_of(what: dict[str, Any]) -> dict[str, Any]:
    return open_object({"object": {"const": "list"}, "data": {"type": "array", "items": what}})


OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=triggers.PATH,
        method="post",
        summary="Deliver what starts a run: an Alertmanager's payload, or a signed webhook",
        answer=_DELIVERY,
    ),
    AdminOperation(
        path=admin_triggers.LIST_PATH,
        method="get",
        summary="What starts runs, and how each does",
        answer=_list_of(_TRIGGER),
    ),
    AdminOperation(path=admin_triggers.ONE_PATH, method="get", summary="One trigger", answer=_TRIGGER),
    AdminOperation(
        path=admin_triggers.FIRE_PATH,
        method="post",
        summary="Fire a trigger by hand",
        body=admin_triggers.Firing,
        example={"payload": {"service": "web"}},
        answer=_DELIVERY,
    ),
    AdminOperation(
        path=admin_incidents.LIST_PATH,
        method="get",
        summary="What triggers were sent",
        query=admin_incidents.IncidentQuery,
        answer=_list_of(_INCIDENT),
    ),
    AdminOperation(
        path=admin_incidents.ONE_PATH, method="get", summary="One incident, with its timeline", answer=_WHOLE
    ),
    AdminOperation(
        path=admin_incidents.START_PATH, method="post", summary="Have a run begin for an incident", answer=_INCIDENT
    ),
)
