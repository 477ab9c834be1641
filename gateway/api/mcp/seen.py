"""What MCP clients see of resources and prompts, by the section `mcp`: under the same prefixes as tools. It puts together, and decides nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager

from gateway.api.mcp.asking import Answer, Asked
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.names import tool_name
from gateway.api.mcp.offering import McpOffers, View
from gateway.core.caller import Caller


def view_of(desk: McpDesk) -> View:
    """Give what clients see now."""
    offer = desk.offer()
    settings = offer.settings

    def outer(server: str, name: str) -> str:
        return tool_name(settings.prefixes.get(server, server), server, name)

    return View(
        servers=frozenset(settings.offers),
        authorizer=offer.authorizer,
        outer=outer,
        bare=next((server for server in settings.offers if settings.prefixes.get(server) == ""), ""),
        page=settings.page,
        ttl=settings.ttl,
    )


def offers_of(desk: McpDesk) -> McpOffers:
    """Give what clients have besides tools."""

    def pace(caller: Caller) -> AbstractContextManager[None]:
        return desk.pace.one(caller, desk.offer().settings.limits)

    return McpOffers(desk.offers, lambda: view_of(desk), Asked, audit=desk.audit, pace=pace)


def linked(desk: McpDesk, server: str, answer: Answer) -> Answer:
    """Give the result of a tool of a server's, its links to resources as clients can read them."""
    content, known = answer.get("content"), desk.offers.of(server)
    if not isinstance(content, list) or known is None:
        return answer
    uris = view_of(desk).uris
    return {**answer, "content": [uris.linked(server, block, known.may_read) for block in content]}
