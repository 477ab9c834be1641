"""A door for the Responses API that opens what was compacted here before anybody reads it: a model is told what an item stands for."""

from __future__ import annotations

import msgspec

from gateway.agents.unfolding import unfolded_bodies
from gateway.api.asgi import Receive, Scope
from gateway.api.door import Asked, Reading
from gateway.api.edge import Generation
from gateway.api.prompting_door import PromptingDoor
from gateway.core.items import Json
from gateway.dialects.openai_responses.compaction import MARK


class OpeningDoor(PromptingDoor):
    """An item of another maker stays as it is: it is for its own upstream."""

    async def _read(self, scope: Scope, receive: Receive, generation: Generation, asked: Asked) -> Reading:
        found = await super()._read(scope, receive, generation, asked)
        given = found.fields.get("input") if MARK in found.body else None
        if isinstance(given, list) and self._opens(found.fields):
            opened = unfolded_bodies(given, self._edge.seal, found.caller.tenant)
            if opened != given:
                found.fields = {**found.fields, "input": opened}
                # What is remembered of bodies must not be one tenant's to another.
                found.body, found.known = msgspec.json.encode(found.fields), None
        return found

    def _opens(self, fields: dict[str, Json]) -> bool:
        """Whether a request is opened here, and not by whoever keeps it."""
        del fields
        return True
