"""The part of /openapi.json that is about servers of tools."""

from __future__ import annotations

from typing import Any

from gateway.api import admin_tools, own_tool_accounts, tool_authorization
from gateway.api.openapi_admin import AdminOperation
from gateway.api.openapi_schemas import open_object

_TEXT = {"type": "string"}
_NAMES = {"type": "array", "items": _TEXT}


_SERVER: dict[str, Any] = {
    "object": {"const": "tool_server"},
    "id": _TEXT,
    "kind": _TEXT,
    "state": {"enum": ["starting", "ready", "down", "failed"]},
    "reason": _TEXT,
    "restarts": {"type": "integer"},
    "quarantined": {"type": "object", "additionalProperties": _TEXT},
    "missing": _NAMES,
    "misfits": {"type": "object", "additionalProperties": _NAMES},
}
_TOOL = open_object(
    {
        "object": {"const": "tool"},
        "id": _TEXT,
        "name": _TEXT,
        "model_name": _TEXT,
        "state": {"enum": ["ready", "quarantined", "missing"]},
        "why": _TEXT,
        "misfits": _NAMES,
        "definition": {"type": ["string", "null"]},
    }
)
_BRIEF = open_object({**_SERVER, "tools": _NAMES})
_WHOLE = open_object({**_SERVER, "tools": {"type": "array", "items": _TOOL}})

_MAYBE = {"type": ["string", "null"]}
_GRANT = open_object({"object": {"const": "tool_grant"}, "server": _TEXT, "tenant": _MAYBE, "person": _MAYBE})
_SENT = open_object(
    {"object": {"const": "tool_authorization"}, "server": _TEXT, "url": _TEXT, "expires_at": {"type": "number"}}
)
_GONE = open_object({"object": {"const": "tool_authorization"}, "server": _TEXT, "deleted": {"const": True}})

_ACCOUNT = open_object({"object": {"const": "tool_account"}, "server": _TEXT, "connected": {"type": "boolean"}})

OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=own_tool_accounts.PATH,
        method="get",
        summary="Whether you have connected an account of your own",
        answer=_ACCOUNT,
    ),
    AdminOperation(
        path=own_tool_accounts.PATH,
        method="post",
        summary="Connect an account of your own: where to go",
        answer=_SENT,
    ),
    AdminOperation(
        path=own_tool_accounts.PATH,
        method="delete",
        summary="Take back an account of your own",
        answer=_ACCOUNT,
    ),
    AdminOperation(
        path=tool_authorization.AUTHORIZE_PATH,
        method="get",
        summary="Who has authorized the gateway at a server of tools",
        answer=open_object({"object": {"const": "list"}, "data": {"type": "array", "items": _GRANT}}),
    ),
    AdminOperation(
        path=tool_authorization.AUTHORIZE_PATH,
        method="post",
        summary="Begin an authorization: where to send who authorizes",
        answer=_SENT,
    ),
    AdminOperation(
        path=tool_authorization.AUTHORIZE_PATH,
        method="delete",
        summary="Revoke the operator's or a person's authorization, and forget it",
        query=tool_authorization.Whose,
        answer=_GONE,
    ),
    AdminOperation(
        path=admin_tools.LIST_PATH,
        method="get",
        summary="The servers of tools",
        answer=open_object({"object": {"const": "list"}, "data": {"type": "array", "items": _BRIEF}}),
    ),
    AdminOperation(
        path=admin_tools.ONE_PATH, method="get", summary="One server of tools, and what it offers", answer=_WHOLE
    ),
    AdminOperation(
        path=admin_tools.RESTART_PATH, method="post", summary="Connect to a server of tools anew", answer=_BRIEF
    ),
    AdminOperation(
        path=admin_tools.ACCEPT_PATH,
        method="post",
        summary="Accept a tool as its server defines it now",
        body=admin_tools.Acceptance,
        example={"definition": "0" * 64},
        answer=_TOOL,
    ),
)
