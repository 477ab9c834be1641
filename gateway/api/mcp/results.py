"""Results of calls in the form that a revision of MCP knows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mcp_types.methods import serialize_server_result
from pydantic import ValidationError

from gateway.agents.calling import Standing
from gateway.api.mcp.asking import Answer, Asked
from gateway.api.mcp.desk import Offer
from gateway.api.mcp.status import words
from gateway.core.items import Json
from gateway.stores.tool_calls import Approval

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


def input_required(standing: Standing, offer: Offer, asked: Asked, state: str) -> Answer | None:
    """Give the answer that has the client's user asked, or sent to where people answer, and lets the client ask again.

    None where the client cannot do that, or no such place is known.
    """
    requests: dict[str, Json] = {}
    keys = keys_of(standing.asked)
    for approval in standing.asked:
        params = _params(approval, words(standing, offer)[:4000], offer, asked)
        if params is None:
            return None
        requests[keys[approval.id]] = {"method": "elicitation/create", "params": params}
    return {"resultType": "input_required", "inputRequests": requests, "requestState": state}


def _params(approval: Approval, message: str, offer: Offer, asked: Asked) -> Answer | None:
    wish = approval.wish
    if wish is not None and wish.schema and asked.can_fill and may_answer(approval, asked):
        return {"mode": "form", "message": wish.message, "requestedSchema": wish.schema}
    if wish is not None and wish.url and asked.can_visit and may_answer(approval, asked):
        return {"mode": "url", "message": wish.message, "url": wish.url}
    url = offer.approval_url(approval.id)
    return {"mode": "url", "message": message, "url": url} if url and asked.can_visit else None


def keys_of(asked: Sequence[Approval]) -> dict[str, str]:
    """Give the keys under which a client is asked, by approval: the tool's own where there is one and it is the only one."""
    own = Counter(each.wish.key for each in asked if each.wish is not None)
    return {
        each.id: each.wish.key if each.wish is not None and each.wish.key and own[each.wish.key] == 1 else each.id
        for each in asked
    }


def may_answer(approval: Approval, asked: Asked) -> bool:
    """Whether what a tool asks for is for the client's own user to say, and not for a group that is named."""
    return not approval.groups and approval.quorum == 1 and not approval.four_eyes
