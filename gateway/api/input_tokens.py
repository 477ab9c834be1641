"""POST /v1/responses/input_tokens: how many tokens a request for a response puts in, before it is made."""

from __future__ import annotations

import msgspec

from gateway.agents.desk import Draft, RunDesk
from gateway.api.asgi import Receive, Scope
from gateway.api.door import Asked, Door, Reading
from gateway.api.edge import Edge, Generation
from gateway.api.opening_door import OpeningDoor
from gateway.api.responses_envelope import CONVERSATION, PREVIOUS, names_items, read_origins
from gateway.core.items import Json
from gateway.dialects.openai_responses.input_tokens import INPUT_TOKENS
from gateway.dialects.openai_responses.reader import Reader

PATH = "/v1/responses/input_tokens"


def endpoint(edge: Edge, desk: RunDesk | None = None) -> Door:
    """Give the ASGI endpoint; without a desk a request can refer to nothing that is kept."""
    return OpeningDoor(edge, INPUT_TOKENS) if desk is None else _CountingDoor(edge, desk)


class _CountingDoor(OpeningDoor):
    """A door that puts what is kept in the place of what refers to it."""

    def __init__(self, edge: Edge, desk: RunDesk) -> None:
        super().__init__(edge, INPUT_TOKENS)
        self._desk = desk

    def _stands_alone(self, fields: dict[str, Json]) -> bool:
        # What is kept is another's to read, and may have grown: it is put in each time.
        return fields.get(PREVIOUS) is None and fields.get(CONVERSATION) is None and not names_items(fields)

    async def _read(self, scope: Scope, receive: Receive, generation: Generation, asked: Asked) -> Reading:
        found = await super()._read(scope, receive, generation, asked)
        if any(read_origins(Reader(found.fields))) or names_items(found.fields):
            draft = Draft(
                caller=found.caller,
                model=asked.model,
                fields=found.fields,
                received=asked.received,
                call=asked.call_id,
            )
            found.fields = await self._desk.spelled_out(draft)
            found.body = msgspec.json.encode(found.fields)
        return found
