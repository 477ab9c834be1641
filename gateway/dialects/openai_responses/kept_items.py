"""Items as they are kept and shown: whole, with an id and a status, in the form in which the API gives items back.

A client may send less: a message without `type`, a text in place of its parts. What an item has beyond is kept as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Final

from gateway.core.items import Json

PREFIXES: Final = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}
_OTHERS: Final = {"mcp_approval_response": "mcpa_"}
_ID: Final = re.compile(r"[A-Za-z0-9._:+=/-]{1,128}").fullmatch
_OTHER: Final = "item_"
_WITH_STATUS: Final = frozenset(PREFIXES) - {"reasoning"}


def spread_input(given: Json) -> list[dict[str, Json]]:
    """Give the items of a request's `input` that was checked: a plain text is one message of the user, absence is none."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given or ())


def is_reference(item: Json) -> bool:
    """Whether an item of an `input` only names one that is kept."""
    if not isinstance(item, dict) or "role" in item:
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "id" in item)


def is_item_id(name: Json) -> bool:
    """Whether an item can have this id here."""
    return isinstance(name, str) and _ID(name) is not None


def whole_item(item: dict[str, Json], new_id: Callable[[str], str], taken: Container[str] = ()) -> dict[str, Json]:
    """Give an item that was checked, whole. Its id is its own where it has one that is none of those `taken`."""
    kind = item.get("type") or "message"
    whole = {**item, "type": kind}
    if not is_item_id(item.get("id")) or item["id"] in taken:
        whole["id"] = new_id(PREFIXES.get(kind) or _OTHERS.get(kind, _OTHER))
    if kind in _WITH_STATUS and whole.get("status") is None:
        whole["status"] = "completed"
    if kind == "message":
        whole["content"] = _parts(item.get("content"), by_model=item.get("role") == "assistant")
    elif kind == "reasoning":
        whole["summary"] = item.get("summary") or []
    return whole


def _parts(content: Json, *, by_model: bool) -> Json:
    if isinstance(content, str):
        content = [{"type": "output_text" if by_model else "input_text", "text": content}]
    return [_part(part) for part in content] if isinstance(content, list) else content


def _part(part: dict[str, Json]) -> dict[str, Json]:
    if part.get("type") == "output_text":
        return {**part, "annotations": part.get("annotations") or []}
    if part.get("type") == "input_image" and part.get("detail") is None:
        return {**part, "detail": "auto"}
    return part
