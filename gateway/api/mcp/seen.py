"""What MCP clients see of resources and prompts, by the section `mcp`: of the servers whose tools they may use, under the same names. It puts together, and decides nothing."""

from __future__ import annotations

from typing import Any

from gateway.api.mcp.asking import Answer, Asked
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.more import more_handlers
from gateway.api.mcp.names import tool_name
from gateway.api.mcp.offering import McpOffers, View


def view_of(desk: McpDesk) -> View:
    """Give what clients see now."""
    offer = desk.offer()
    settings = offer.settings
    prefixes = {server: settings.prefixes.get(server, server) for server in settings.servers}
    return View(
        servers=frozenset(settings.servers),
        authorizer=offer.authorizer,
        outer=lambda server, name: tool_name(prefixes[server], server, name),
        bare=next((server for server, prefix in prefixes.items() if not prefix), ""),
        page=settings.page,
        ttl=settings.ttl,
    )


def offer_handlers(desk: McpDesk) -> dict[str, Any]:
    """Give the handlers of all that is not a tool."""
    offers = McpOffers(
        desk.hub.offers,
        lambda: view_of(desk),
        Asked,
        audit=desk.audit,
        pace=lambda caller: desk.pace.one(caller, desk.offer().settings.limits),
    )
    return more_handlers(offers, desk.hub.changes)


def linked(desk: McpDesk, server: str, answer: Answer) -> Answer:
    """Give the result of a tool of a server's, its links to resources as clients can read them."""
    content, known = answer.get("content"), desk.hub.offers.of(server)
    if not isinstance(content, list) or known is None:
        return answer
    uris = view_of(desk).uris
    return {**answer, "content": [uris.linked(server, block, known.may_read) for block in content]}
