"""The part of /openapi.json that is about prompt templates."""

from __future__ import annotations

from typing import Any

from gateway.api import admin_prompts
from gateway.api.openapi_admin import AdminOperation
from gateway.api.openapi_schemas import open_object

_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_VARIABLE = open_object(
    {
        "name": _TEXT,
        "type": {"enum": ["text", "image", "file"]},
        "required": {"type": "boolean"},
        "default": _MAYBE,
        "description": _TEXT,
    }
)
_VERSION: dict[str, Any] = {
    "version": _TEXT,
    "digest": _TEXT,
    "description": _TEXT,
    "model": _MAYBE,
    "variables": {"type": "array", "items": _VARIABLE},
}
_MESSAGES = {"type": "array", "items": open_object({"role": _TEXT, "text": _TEXT})}


def _prompt(version: dict[str, Any]) -> dict[str, Any]:
    versions = {"type": "array", "items": open_object(version)}
    fields: dict[str, dict[str, Any]] = {
        "object": {"const": "prompt"},
        "id": _TEXT,
        "description": _TEXT,
        "current": _TEXT,
        "versions": versions,
    }
    return open_object(fields)


OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=admin_prompts.LIST_PATH,
        method="get",
        summary="The prompt templates that are loaded",
        answer=open_object(
            {"object": {"const": "list"}, "data": {"type": "array", "items": _prompt(_VERSION)}},
        ),
    ),
    AdminOperation(
        path=admin_prompts.ONE_PATH,
        method="get",
        summary="A prompt template, with what its versions say",
        answer=_prompt({**_VERSION, "instructions": _TEXT, "messages": _MESSAGES}),
    ),
)
