"""prompts/list and prompts/get over all servers: the prompts that a caller may use, under names that lead to one server each."""

from __future__ import annotations

from typing import Any, Final

from mcp import MCPError
from mcp_types import INVALID_PARAMS

from gateway.api.mcp.offering import Answer, Asker, McpOffers, View, again, fits, listed, paged, provenance, wanting
from gateway.core.items import Json
from gateway.policies.facts import offered
from gateway.tools.offers import Offer

LIST: Final = "prompts/list"
GET: Final = "prompts/get"
ODD: Final = "[a part of the prompt that this revision of MCP does not know; it is left out]"


async def prompts_of(offers: McpOffers, view: View, asker: Asker) -> dict[str, tuple[str, Offer]]:
    """Give the prompts that a caller may use by the name that he knows, each with its server. A name is looked up here, and never taken apart."""
    return {
        view.outer(server, name): (server, offer)
        for server, its in (await offers.known(view)).items()
        for name, offer in its.prompts.items()
        if view.lets(asker.caller, "use_prompt", offered("prompt", server, name))
    }


class Prompts:
    """Handlers."""

    def __init__(self, offers: McpOffers) -> None:
        self._offers = offers

    async def list(self, context: Any, params: Any) -> Answer:
        """Give a page of the prompts."""
        asker, view = self._offers.asker(context), self._offers.view()
        found = await prompts_of(self._offers, view, asker)
        entries: dict[str, Answer] = {name: {**offer.said, "name": name} for name, (_, offer) in found.items()}
        return listed(LIST, "prompts", asker, view, paged(view, entries, params))

    async def get(self, context: Any, params: Any) -> Answer:
        """Give the messages of a prompt."""
        asker, view = self._offers.asker(context), self._offers.view()
        found = (await prompts_of(self._offers, view, asker)).get(params.name)
        if found is None:
            raise _missing(params.name)
        server, offer = found
        return await self._offers.given(
            asker,
            "mcp.prompt_used",
            offered("prompt", server, offer.key),
            lambda: self._get(asker, view, server, offer.key, params),
            lambda: _missing(params.name),
        )

    async def _get(self, asker: Asker, view: View, server: str, name: str, params: Any) -> Answer:
        more = {"arguments": dict(params.arguments or {}), **again(params)}
        result = await self._offers.servers.prompt(server, name, asker.caller, more=more, trace=asker.trace)
        if (wanted := wanting(asker, result)) is not None:
            return wanted
        said = result.get("messages")
        messages: list[Json] = said if isinstance(said, list) else []
        known = self._offers.servers.of(server)
        linked: list[Json] = [
            {**one, "content": view.uris.linked(server, one.get("content"), lambda uri: known is not None and known.may_read(uri))}
            for one in messages
            if isinstance(one, dict)
        ]  # fmt: skip
        answer: Answer = {
            "resultType": "complete",
            "messages": [one if fits(GET, asker.version, {"messages": [one]}) else _left_out(one) for one in linked],
            "_meta": provenance(server, name),
        }
        if isinstance(result.get("description"), str):
            answer["description"] = result["description"]
        return answer


def _left_out(message: Json) -> Json:
    role = message.get("role") if isinstance(message, dict) else None
    return {"role": role if role in ("user", "assistant") else "user", "content": {"type": "text", "text": ODD}}


def _missing(name: str) -> MCPError:
    return MCPError(INVALID_PARAMS, "There is no such prompt here.", {"name": name[:200]})
