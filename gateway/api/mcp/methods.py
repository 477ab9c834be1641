"""Which method of MCP is answered by whom: the one place where handlers are named. Each family of methods has a file, and a line here."""

from __future__ import annotations

from typing import Any

from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
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


class _Telling(Server[Any]):
    """A server that tells of its changes in the revisions, too, that have to be told so at their beginning."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Give what the server says of itself."""
        told = notification_options or NotificationOptions(
            prompts_changed=True, resources_changed=True, tools_changed=True
        )
        return super().create_initialization_options(told, experimental_capabilities, extensions)


def server_of(desk: McpDesk) -> Server[Any]:
    """Give a server of MCP that answers by these handlers."""

    def schema_of(name: str) -> dict[str, Any] | None:
        tool = desk.known(name)
        return None if tool is None else tool.schema

    offers = offers_of(desk)
    handlers: Any = {name: guarded(handler) for name, handler in handlers_of(desk, offers).items()}
    server = _Telling(NAME, version=__version__, get_tool_input_schema=schema_of, **handlers)
    # The library warns of its constructor's parameter for it, since later revisions know no such method.
    watching = Watching(desk, offers)
    for method, params, handler in (
        ("resources/subscribe", SubscribeRequestParams, watching.watch),
        ("resources/unsubscribe", UnsubscribeRequestParams, watching.unwatch),
    ):
        server.add_request_handler(method, params, guarded(handler))
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, guarded(Levels(desk.sessions)))
    return server
