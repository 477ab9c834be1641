"""Asks a model for notes through the pipeline: a call like any other, with its own record, in the name of whoever asked."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.agents.compacting import Ask
from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.call import Call
from gateway.core.errors import UpstreamBroken
from gateway.core.events import Event
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.compaction import INSTRUCTIONS
from gateway.pipeline.route import Route

_ASKERS_OWN: Final = ("safety_identifier", "service_tier", "user")
"""Fields that say for whom and how it is asked, and not what."""
_SMALL: Final = 16_384
_PART: Final = 4
"""Of a context of at most so many tokens, this part is for the notes."""
_encode = msgspec.json.Encoder().encode


def asks_for_notes(route: Route, like: Call, new_id: NewId, *, first: str = "") -> Ask:
    """Give what asks the model of a route, by calls like that of the run; `first` is the id of the first of them."""
    fields: dict[str, Json] = {name: like.fields[name] for name in _ASKERS_OWN if like.fields.get(name) is not None}
    fields |= {"model": like.model, "instructions": INSTRUCTIONS, "stream": True}
    if route.context is not None and route.context <= _SMALL:
        # What comes out goes in again with the next piece. Where there is room nobody is bounded: some think first.
        fields["max_output_tokens"] = max(1, route.context // _PART)
    names = [first] if first else []

    async def ask(words: str) -> Answer:
        said = {**fields, "input": words}
        call = msgspec.structs.replace(
            like,
            id=names.pop() if names else new_id("call_"),
            fields=said,
            body=_encode(said),
            content=OPENAI_RESPONSES.decode_call(said),
            stream=True,
            opened=True,
            known=None,
        )
        builder = AnswerBuilder()

        async def take(event: Event) -> None:
            builder.add(event)

        await route.responder(call, take)
        try:
            return builder.answer()
        except ValueError as exc:
            msg = "The model's notes had no end."
            raise UpstreamBroken(msg) from exc

    return ask
