"""Truncation (`truncation: auto`): leaves out the oldest of what a model is given where not all of it fits.

Only whole pieces go: a call never without its results, thinking never without what it led to. Instructions stay, notes on what was compacted, the
last words of the user, and what was said last. An upstream with this API does it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from gateway.core.call import Call
from gateway.core.errors import ContextLengthExceeded
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.core.responder import Send
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.compaction import is_notes_message
from gateway.pipeline.route import Route

log = structlog.get_logger()

MOST_TRIES: Final = 4
"""Times that a model is asked for one answer, each time with less, where it says itself that it was given too much."""
FIELD: Final = "truncation"
_ANSWER: Final = 4096
"""Tokens that are left for an answer whose length nobody bounds."""
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_OF_A_TURN: Final = _CALLS | {"reasoning"}
"""What belongs to the words of a model that stand before it."""
_encode = msgspec.json.Encoder().encode

Body = dict[str, Json]


def pieces_of(items: Sequence[Body]) -> list[range]:
    """Give the places of what belongs together: calls with their results, and with the thinking and the words that led to them, and everything else by itself."""
    found: list[range] = []
    waiting: set[str] = set()
    start = 0
    for place, item in enumerate(items):
        kind = item.get("type", "message")
        if kind in _CALLS:
            waiting.add(str(item.get("call_id")))
        elif kind in _RESULTS:
            waiting.discard(str(item.get("call_id")))
        following = items[place + 1].get("type", "message") if place + 1 < len(items) else ""
        leads_on = kind == "message" and item.get("role") == "assistant" and following in _OF_A_TURN
        if not waiting and kind != "reasoning" and not leads_on:
            found.append(range(start, place + 1))
            start = place + 1
    if start < len(items):
        found.append(range(start, len(items)))
    return found


def without_oldest(items: Sequence[Body], size: int) -> list[Body]:
    """Give items without so many bytes of the oldest, or more, as far as any may go. What is left begins with the user's words, as models want it."""
    pieces = pieces_of(items)
    last_said = max((place for place, item in enumerate(items) if _is_said(item)), default=-1)
    left: list[range] = []
    for piece in pieces:
        stays = piece is pieces[-1] or last_said in piece or any(map(_is_kept, _of(items, piece)))
        begins = _is_said(items[piece.start]) or piece.start > last_said
        if stays or (size <= 0 and (begins or any(not _is_kept(items[other.start]) for other in left))):
            left.append(piece)
        else:
            size -= sum(len(_encode(item)) for item in _of(items, piece))
    return [item for piece in left for item in _of(items, piece)]


def _of(items: Sequence[Body], piece: range) -> Sequence[Body]:
    return items[piece.start : piece.stop]


def _is_said(item: Body) -> bool:
    return item.get("type", "message") == "message" and item.get("role") == "user" and not is_notes_message(item)


def _is_kept(item: Body) -> bool:
    is_message = item.get("type", "message") == "message"
    return is_message and (item.get("role") in ("system", "developer") or is_notes_message(item))


class Truncating:
    """Asks models for one run. `heard` says whether an answer has begun: then it is not asked for again."""

    def __init__(self, new_id: NewId, heard: Callable[[], bool]) -> None:
        self._new_id = new_id
        self._heard = heard

    async def ask(self, route: Route, call: Call, send: Send) -> None:
        """Have a call answered. Raises ContextLengthExceeded where too little may be left out, or nothing."""
        if call.fields.get(FIELD) != "auto" or _natively(route):
            await route.responder(call, send)
            return
        call = self._fitted(route, call)
        for left in reversed(range(MOST_TRIES)):
            try:
                await route.responder(call, send)
            except ContextLengthExceeded:
                shorter = None if self._heard() or not left else _shortened(call, 0.5)
                if shorter is None:
                    raise
                call = msgspec.structs.replace(shorter, id=self._new_id("call_"))
                log.info("run.truncated", run=call.run, items=len(call.fields["input"]))
            else:
                return

    def _fitted(self, route: Route, call: Call) -> Call:
        """Give a call that fits, as far as that is known and can be done."""
        call = _saying(call, call.fields["input"])
        if route.context is None:
            return call
        bound = call.fields.get("max_output_tokens")
        answer = bound if isinstance(bound, int) else _ANSWER
        most = route.context - min(answer, route.context // 2)
        while (tokens := route.count_input(call)) > most:
            shorter = _shortened(call, (tokens - most) / tokens)
            if shorter is None:
                break
            call = shorter
            log.info("run.truncated", run=call.run, items=len(call.fields["input"]))
        return call


def _natively(route: Route) -> bool:
    """Whether every target does it by itself."""
    providers = (*route.providers, *route.helping)
    return bool(providers) and all(provider.relays(OPENAI_RESPONSES.name) for provider in providers)


def _shortened(call: Call, part: float) -> Call | None:
    """Give a call without this part of its items; None where nothing may go."""
    items = call.fields["input"]
    left = without_oldest(items, max(1, int(part * len(_encode(items)))))
    return None if len(left) == len(items) else _saying(call, left)


def _saying(call: Call, items: Json) -> Call:
    """Give a call with these items, and without the wish: it is done here."""
    fields = {name: value for name, value in call.fields.items() if name != FIELD} | {"input": items}
    return msgspec.structs.replace(
        call, fields=fields, body=_encode(fields), content=OPENAI_RESPONSES.decode_call(fields), known=None
    )
