"""resources/list, resources/templates/list and resources/read over all servers: what a caller may read, under URIs that lead to one server each."""

from __future__ import annotations

from typing import Any, Final

from mcp import MCPError
from mcp_types import INVALID_PARAMS

from gateway.api.mcp.offering import (
    RESOURCE_NOT_FOUND,
    Answer,
    Asker,
    McpOffers,
    View,
    again,
    listed,
    paged,
    provenance,
    wanting,
)
from gateway.core.errors import NotFound
from gateway.core.items import Json
from gateway.policies.facts import offered

LIST: Final = "resources/list"
TEMPLATES: Final = "resources/templates/list"


class Resources:
    """Handlers."""

    def __init__(self, offers: McpOffers) -> None:
        self._offers = offers

    async def list(self, context: Any, params: Any) -> Answer:
        """Give a page of the resources that servers list."""
        asker, view = self._offers.asker(context), self._offers.view()
        entries: dict[str, Answer] = {}
        for server, offers in (await self._offers.known(view)).items():
            for uri, offer in offers.resources.items():
                if view.lets(asker.caller, "read_resource", offered("resource", server, uri)):
                    outer = view.uris.outer(server, uri)
                    entries[outer] = {**offer.said, "uri": outer}
        return listed(LIST, "resources", asker, view, paged(view, entries, params))

    async def templates(self, context: Any, params: Any) -> Answer:
        """Give a page of the templates. A policy is asked about the template as it is written."""
        asker, view = self._offers.asker(context), self._offers.view()
        entries: dict[str, Answer] = {}
        for server, offers in (await self._offers.known(view)).items():
            for offer in offers.templates.values():
                written = str(offer.said["uriTemplate"])
                if view.lets(asker.caller, "read_resource", offered("resource", server, written)):
                    outer = view.uris.outer(server, written)
                    entries[outer] = {**offer.said, "uriTemplate": outer}
        return listed(TEMPLATES, "resourceTemplates", asker, view, paged(view, entries, params))

    async def read(self, context: Any, params: Any) -> Answer:
        """Give what is in a resource."""
        asker, view = self._offers.asker(context), self._offers.view()
        found = view.uris.inner(params.uri)
        if found is None or found[0] not in view.servers:
            raise missing(asker, params.uri)
        server, uri = found
        about = offered("resource", server, uri)
        return await self._offers.given(
            asker,
            "mcp.resource_read",
            about,
            lambda: self._read(asker, view, found, params),
            lambda: missing(asker, params.uri),
        )

    async def _read(self, asker: Asker, view: View, found: tuple[str, str], params: Any) -> Answer:
        server, uri = found
        # What the server offers is waited for: before it is known, nobody could say which policies count.
        if not view.may_read(asker.caller, server, uri, await self._offers.servers.seen(server)):
            raise NotFound("It may not be read.")
        result = await self._offers.servers.read(server, uri, asker.caller, more=again(params), trace=asker.trace)
        if (wanted := wanting(asker, result)) is not None:
            return wanted
        contents = result.get("contents")
        parts: list[Json] = contents if isinstance(contents, list) else []
        answer: Answer = {
            "resultType": "complete",
            # What was asked for has whatever else the server calls a part of it: all of it was given.
            "contents": [view.uris.named(server, part, lambda own: True) for part in parts],
            "_meta": provenance(server, uri),
        }
        if asker.modern:
            fresh = result.get("ttlMs")
            answer |= {"ttlMs": fresh if isinstance(fresh, int) else 0, "cacheScope": "private"}
        return answer


def missing(asker: Asker, uri: str) -> MCPError:
    """Give the error for a resource that there is not, for this caller at least."""
    code = INVALID_PARAMS if asker.modern else RESOURCE_NOT_FOUND
    return MCPError(code, "There is no such resource here.", {"uri": uri[:2000]})
