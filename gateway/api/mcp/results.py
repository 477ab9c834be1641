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
from gateway.tools.passing import CAPABILITIES

ELICIT: Final = "elicitation/create"
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
        request = request_of(approval, asked)
        if request is None and (approval.wish is None or not approval.wish.method):
            url = offer.approval_url(approval.id)
            params = {"mode": "url", "message": words(standing, offer)[:4000], "url": url}
            request = {"method": ELICIT, "params": params} if url and asked.can_visit else None
        # What the client cannot be asked waits for others.
        if request is not None:
            requests[keys[approval.id]] = request
    return {"resultType": "input_required", "inputRequests": requests, "requestState": state} if requests else None


def request_of(approval: Approval, asked: Asked) -> Answer | None:
    """Give the request by which a client is asked what its tool wants to know; None where it cannot be, or it is not for the client's user to say."""
    wish = approval.wish
    if wish is None or not may_answer(approval, asked):
        return None
    # The protocol has no field for who asks, and the client knows but one server: this one.
    who = f"{approval.server}/{approval.tool}"
    source: Answer = {"switchgear/source": who}
    message = f"{wish.message}\n\n(The tool {who} asks.)"
    if wish.method:
        named = CAPABILITIES.get(wish.method)
        return {"method": wish.method, "params": {**wish.params, "_meta": source}} if named in asked.can else None
    if wish.schema and asked.can_fill:
        params: Answer = {"mode": "form", "message": message, "requestedSchema": wish.schema}
    elif wish.url and asked.can_visit:
        params = {"mode": "url", "message": message, "url": wish.url}
        if not asked.modern:
            # Of 2025-11-25: by it a server could say that the page has been dealt with.
            params["elicitationId"] = approval.id
    else:
        return None
    return {"method": ELICIT, "params": {**params, "_meta": source}}


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
