"""A door for the Responses API where a request's `prompt` may name a template of this server: it is filled in here, and nobody further in sees a template.

A prompt that is none of ours stays as it is: an upstream that is sent the request as it came may know it, everybody else refuses it by name.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api.asgi import Receive, Scope
from gateway.api.door import Asked, Door, Reading
from gateway.api.edge import Generation
from gateway.core.call import Call
from gateway.core.items import Json
from gateway.core.known import Known
from gateway.core.responder import Responder
from gateway.dialects.openai_responses.decode_call import no_prompt
from gateway.prompts.catalogue import PROMPT

USED: Final = "switchgear.prompt"
"""The extension of a request's scope that says by which template its body was filled in already."""


class PromptingDoor(Door):
    """What is filled in goes out by its Items, so that the answer names the prompt that the client asked for, whoever gives it."""

    async def _read(self, scope: Scope, receive: Receive, generation: Generation, asked: Asked) -> Reading:
        found = await super()._read(scope, receive, generation, asked)
        used = scope.get("extensions", {}).get(USED)
        if used is not None:
            # The same body from one who named no prompt may be known.
            found.prompt, found.known = used, None
        return found

    def _opened(self, generation: Generation, found: Reading, fields: dict[str, Json]) -> dict[str, Json]:
        if fields.get(PROMPT) is None:
            return fields
        filled = generation.prompts.fill(fields, most=self._edge.body_bytes)
        if filled is None:
            named = fields[PROMPT].get("id") if isinstance(fields[PROMPT], dict) else None
            if fields.get("model") is None and isinstance(named, str):
                # What says which model it is for is what is missing.
                raise no_prompt(named)
            return fields
        found.prompt, found.body = filled.use, msgspec.json.encode(filled.fields)
        return filled.fields

    def _admit(self, generation: Generation, asked: Asked, found: Reading) -> tuple[Call, Responder]:
        call, responder = super()._admit(generation, asked, found)
        if found.prompt is not None:
            # A count has nothing in it that could name the prompt.
            call = msgspec.structs.replace(call, prompt=found.prompt, opened=call.operation == "generate")
        return call, responder

    def _understood(self, generation: Generation, asked: Asked, found: Reading, *, personal: bool) -> Known:
        # What a template made of a body is not what the body says: it is not remembered as that.
        known = super()._understood(generation, asked, found, personal=personal or found.prompt is not None)
        if found.prompt is None or known.content is not None:
            return known
        return msgspec.structs.replace(known, content=self._dialect.decode_call(known.fields))
