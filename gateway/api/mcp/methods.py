"""Which method of MCP is answered by whom: the one place where handlers are named. Each family of methods has a file, and a line here."""

from __future__ import annotations

from typing import Any

from mcp.server.lowlevel import Server
from mcp_types import SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams

from gateway import __version__
from gateway.api.mcp.asking import Handler, guarded
from gateway.api.mcp.calls import Calls
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.hearing import Levels
from gateway.api.mcp.listing import Listing
from gateway.api.mcp.more import more_handlers
from gateway.api.mcp.offering import McpOffers
from gateway.api.mcp.seen import offers_of
from gateway.api.mcp.watched import Watching

NAME = "switchgear"


def handlers_of(desk: McpDesk, offers: McpOffers) -> dict[str, Handler]:
    """Give the handlers of requests, by the names under which the library takes them."""
    return {
        "on_list_tools": Listing(desk),
        "on_call_tool": Calls(desk),
        **more_handlers(offers, desk.changes),
    }


def server_of(desk: McpDesk) -> Server[Any]:
    """Give a server of MCP that answers by these handlers."""

    def schema_of(name: str) -> dict[str, Any] | None:
        tool = desk.known(name)
        return None if tool is None else tool.schema

    offers = offers_of(desk)
    handlers: Any = {name: guarded(handler) for name, handler in handlers_of(desk, offers).items()}
    server: Server[Any] = Server(NAME, version=__version__, get_tool_input_schema=schema_of, **handlers)
    # The library warns of its constructor's parameter for it, since later revisions know no such method.
    watching = Watching(desk, offers)
    for method, params, handler in (
        ("resources/subscribe", SubscribeRequestParams, watching.watch),
        ("resources/unsubscribe", UnsubscribeRequestParams, watching.unwatch),
    ):
        server.add_request_handler(method, params, guarded(handler))
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, guarded(Levels(desk.sessions)))
    return server
