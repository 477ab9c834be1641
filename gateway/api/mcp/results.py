"""Results of calls in the form that a revision of MCP knows. Pure."""

from __future__ import annotations

from typing import Final

from mcp_types.methods import serialize_server_result
from pydantic import ValidationError

from gateway.agents.calling import Standing
from gateway.api.mcp.asking import Answer
from gateway.api.mcp.desk import Offer
from gateway.api.mcp.status import words
from gateway.core.items import Json

_ODD: Final = "[a part of the answer that this revision of MCP does not know; it is left out]"


def fitting(method: str, version: str, answer: Answer) -> Answer:
    """Give a result without what its revision cannot carry: what remains reaches the client unharmed."""
    if answer.get("resultType") == "input_required":
        return answer
    answer = {"resultType": "complete", **answer}
    if _fits(method, version, answer):
        return answer
    content = answer.get("content")
    blocks: list[Json] = content if isinstance(content, list) else []
    kept = [
        block
        if _fits(method, version, {"resultType": "complete", "content": [block]})
        else {"type": "text", "text": _ODD}
        for block in blocks
    ]
    mended = {**answer, "content": kept}
    if not _fits(method, version, mended):
        # Only objects stood there before 2026-07-28.
        mended.pop("structuredContent", None)
    return mended


def _fits(method: str, version: str, answer: Answer) -> bool:
    try:
        serialize_server_result(method, version, answer)
    except (ValidationError, KeyError, ValueError):
        return False
    return True


def input_required(standing: Standing, offer: Offer, state: str) -> Answer | None:
    """Give the answer that sends the client's user to where people answer, and lets the client ask again; None where no such place is known."""
    requests: dict[str, Json] = {}
    for approval in standing.asked:
        url = offer.approval_url(approval.id)
        if not url:
            return None
        params = {"mode": "url", "message": words(standing, offer)[:4000], "url": url}
        requests[approval.id] = {"method": "elicitation/create", "params": params}
    return {"resultType": "input_required", "inputRequests": requests, "requestState": state}
