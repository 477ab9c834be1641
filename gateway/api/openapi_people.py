"""The part of /openapi.json that is about approvals and runs."""

from __future__ import annotations

from typing import Any

from gateway.api import admin_approvals, admin_runs, admin_travel
from gateway.api.openapi_admin import AdminOperation
from gateway.api.openapi_schemas import open_object

_TEXT = {"type": "string"}
_PERHAPS = {"type": ["string", "null"]}


def _list_of(one: dict[str, Any]) -> dict[str, Any]:
    return open_object({"object": {"const": "list"}, "data": {"type": "array", "items": one}})


_STATES = ["pending", "approved", "denied", "expired", "cancelled", "consumed"]
_APPROVAL = open_object(
    {
        "object": {"const": "approval"},
        "id": _TEXT,
        "tenant": _TEXT,
        "run": _TEXT,
        "state": {"enum": _STATES},
        "server": _TEXT,
        "tool": _TEXT,
        "arguments": {"type": ["object", "null"]},
        "arguments_text": {"type": "string", "description": "The same, to the byte: what `arguments_sha256` is of."},
        "arguments_sha256": _TEXT,
        "reason": _TEXT,
        "origins": {"type": "object"},
        "version": {"type": "integer"},
        "votes": {"type": "array", "items": {"type": "object"}},
        "continuation": _PERHAPS,
    }
)
_RESULTS = _list_of(open_object({"id": _TEXT, "status": {"type": "integer"}}))
_RUN = open_object({"object": {"const": "run"}, "id": _TEXT, "tenant": _TEXT, "status": _TEXT, "agent": _PERHAPS})
_COMPARISON = open_object(
    {
        "object": {"const": "comparison"},
        "replay": _TEXT,
        "runs": {"type": "array", "items": _TEXT},
        "same": {"type": "boolean"},
        "parted": {"type": ["object", "null"]},
        "differences": {"type": "array", "items": {"type": "object"}},
        "ended": {"type": "object"},
        "spent": {"type": "object"},
    }
)
_ANSWER = {"reason": "Within the change window.", "version": 1}

OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=admin_approvals.LIST_PATH,
        method="get",
        summary="What agents ask",
        query=admin_approvals.ApprovalQuery,
        answer=_list_of(_APPROVAL),
    ),
    AdminOperation(
        path=admin_approvals.BATCH_PATH,
        method="post",
        summary="Answer several approvals",
        body=admin_approvals.AnsweringMany,
        example={"answers": [{"id": "mcpr_1", "verdict": "deny", "reason": "Not today."}]},
        answer=_RESULTS,
    ),
    AdminOperation(path=admin_approvals.ONE_PATH, method="get", summary="One approval", answer=_APPROVAL),
    AdminOperation(
        path=admin_approvals.APPROVE_PATH,
        method="post",
        summary="Give leave",
        body=admin_approvals.Answering,
        example=_ANSWER,
        answer=_APPROVAL,
    ),
    AdminOperation(
        path=admin_approvals.DENY_PATH,
        method="post",
        summary="Refuse leave",
        body=admin_approvals.Answering,
        example=_ANSWER,
        answer=_APPROVAL,
    ),
    AdminOperation(
        path=admin_approvals.EDIT_PATH,
        method="post",
        summary="Give leave for other arguments",
        body=admin_approvals.Editing,
        example={"arguments": {"replicas": 3}, "version": 1},
        answer=_APPROVAL,
    ),
    AdminOperation(
        path=admin_runs.LIST_PATH,
        method="get",
        summary="Runs of all callers",
        query=admin_runs.RunQuery,
        answer=_list_of(_RUN),
    ),
    AdminOperation(path=admin_runs.ONE_PATH, method="get", summary="One run, and all that it did", answer=_RUN),
    AdminOperation(
        path=admin_runs.EVENTS_PATH,
        method="get",
        summary="The events of a run, as they come",
        query=admin_runs.EventsQuery,
        answer=_TEXT,
        media=("text/event-stream",),
    ),
    AdminOperation(path=admin_runs.CANCEL_PATH, method="post", summary="End a run", answer=_RUN),
    AdminOperation(
        path=admin_travel.FORK_PATH,
        method="post",
        summary="Go on live from a place in a run",
        body=admin_travel.Forking,
        example={"at": 2, "model": "gpt-5"},
        answer=_RUN,
    ),
    AdminOperation(
        path=admin_travel.REPLAY_PATH,
        method="post",
        summary="Do a run once more with its recorded results",
        body=admin_travel.Replaying,
        example={"model": "gpt-5"},
        answer=_RUN,
    ),
    AdminOperation(
        path=admin_travel.COMPARISON_PATH,
        method="get",
        summary="Where a replay parted from what it replays",
        answer=_COMPARISON,
    ),
)
