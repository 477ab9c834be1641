"""completion/complete: values for an argument of a prompt or of a template, as the server suggests them that has it."""

from __future__ import annotations

from typing import Any, Final

from mcp import MCPError
from mcp_types import INVALID_PARAMS

from gateway.api.mcp.offering import Answer, Asker, McpOffers, View
from gateway.api.mcp.prompts import prompts_of
from gateway.core.items import Json
from gateway.policies.facts import Resource, offered

MOST: Final = 100
"""Values in one answer, by the specification."""


class Completions:
    """A handler."""

    def __init__(self, offers: McpOffers) -> None:
        self._offers = offers

    async def __call__(self, context: Any, params: Any) -> Answer:
        """Give values."""
        asker, view = self._offers.asker(context), self._offers.view()
        said = params.model_dump(by_alias=True, mode="json", exclude_none=True)
        found = await self._found(asker, view, said["ref"])
        if found is None:
            raise _missing()
        server, ref, about = found
        more = {name: said[name] for name in ("argument", "context") if name in said}

        async def complete() -> Answer:
            return await self._offers.servers.complete(server, ref, asker.caller, more=more)

        result = await self._offers.given(asker, "mcp.completed", about, complete, _missing)
        return {"resultType": "complete", "completion": _bounded(result.get("completion"))}

    async def _found(self, asker: Asker, view: View, ref: Answer) -> tuple[str, Answer, Resource] | None:
        if ref["type"] == "ref/prompt":
            prompt = (await prompts_of(self._offers, view, asker)).get(str(ref["name"]))
            if prompt is None:
                return None
            server, name = prompt[0], prompt[1].key
            return server, {"type": "ref/prompt", "name": name}, offered("prompt", server, name)
        inner = view.uris.inner(str(ref["uri"]))
        if inner is None or inner[0] not in view.servers:
            return None
        server, uri = inner
        about = offered("resource", server, uri)
        lets = view.lets(asker.caller, "read_resource", about)
        return (server, {"type": "ref/resource", "uri": uri}, about) if lets else None


def _bounded(completion: Json) -> Answer:
    """Give what a server suggests, in the bounds of the specification, whatever it says."""
    said = completion if isinstance(completion, dict) else {}
    values = said.get("values")
    words = [word for word in values if isinstance(word, str)] if isinstance(values, list) else []
    kept: Answer = {"values": words[:MOST]}
    if isinstance(total := said.get("total"), int):
        kept["total"] = total
    if isinstance(more := said.get("hasMore"), bool) or len(words) > MOST:
        kept["hasMore"] = bool(more) or len(words) > MOST
    return kept


def _missing() -> MCPError:
    return MCPError(INVALID_PARAMS, "There is nothing of this name here whose arguments could be completed.")
