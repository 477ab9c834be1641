"""The tools by which a client asks how a call stands that it does not wait for: what they are called with, and how a call that has not ended is shown."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.agents.calling import Standing
from gateway.api.mcp.asking import Answer
from gateway.api.mcp.desk import Offer
from gateway.api.mcp.names import STATUS
from gateway.core.items import Json
from gateway.stores.tool_calls import Approval

WAITING: Final = "waiting_for_approval"
RUNNING: Final = "running"
_SCHEMA: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 128,
            "description": "The run_id or approval_id that the call answered with.",
        },
        "wait": {
            "type": "number",
            "minimum": 0,
            "description": "Seconds to wait for the end of the call, at most as many as the server allows.",
        },
        "cancel": {"type": "boolean", "default": False, "description": "Whether the call is to be given up."},
    },
    "required": ["id"],
    "additionalProperties": False,
}


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of such a tool."""

    id: str
    wait: float = 0.0
    cancel: bool = False


def status_entry(name: str) -> Answer:
    """Give such a tool."""
    what = "a call that waits for an approval" if name == STATUS else "an agent that works in the background"
    return {
        "name": name,
        "description": f"Says how {what} stands, and gives the call's result once there is one.",
        "inputSchema": _SCHEMA,
        "annotations": {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False},
    }


def pending(standing: Standing, offer: Offer, *, promised: bool) -> Answer:
    """Give the answer of a call that has no result yet.

    `promised` says that its tool promises a form of its results: then it is an error, for clients hold every other answer against that form.
    """
    told: dict[str, Json] = {"status": RUNNING, "run_id": standing.name}
    text = f"The call goes on in the background. Ask for its result later, with id {standing.name!r}."
    if standing.asked:
        told = {"status": WAITING, **_approval(standing.asked[0], offer), "run_id": standing.name}
        if len(standing.asked) > 1:
            told["approvals"] = [_approval(each, offer) for each in standing.asked]
        text = words(standing, offer) + f" Ask for the result later: {STATUS}(id={standing.asked[0].id!r})."
    return {"content": [{"type": "text", "text": text}], "structuredContent": told, "isError": promised}


def words(standing: Standing, offer: Offer) -> str:
    """Say in a sentence or two what a call waits for."""
    first = standing.asked[0]
    what = first.wish.message if first.wish is not None else f"May {first.server}/{first.tool} be called?"
    where = offer.approval_url(first.id)
    said = f"The call has not been made: it waits for a person's approval ({first.id}). {what}"
    if first.reason:
        said += f" {first.reason}"
    return said + (f" It is answered at {where}." if where else "")


def _approval(approval: Approval, offer: Offer) -> dict[str, Json]:
    return {
        "approval_id": approval.id,
        "tool": f"{approval.server}/{approval.tool}",
        "reason": approval.reason,
        "url": offer.approval_url(approval.id) or None,
        "expires_at": approval.expires_at,
    }
