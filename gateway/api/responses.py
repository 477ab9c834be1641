"""POST /v1/responses: OpenAI's Responses API, which keeps answers where there is a desk for them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.agents.desk import RunDesk
from gateway.api.asgi import AsgiApp
from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.api.opening_door import OpeningDoor
from gateway.api.responses_door import ResponsesDoor
from gateway.api.responses_socket import ResponsesSocket
from gateway.config.settings import ServerSettings
from gateway.dialects.openai_responses import OPENAI_RESPONSES

PATH = "/v1/responses"


def endpoint(edge: Edge, desk: RunDesk | None = None) -> Door:
    """Give the ASGI endpoint; without a desk every call is stateless."""
    return OpeningDoor(edge, OPENAI_RESPONSES) if desk is None else ResponsesDoor(edge, desk)


def sockets(
    edge: Edge, endpoints: Mapping[str, AsgiApp], settings: ServerSettings, desk: RunDesk | None = None
) -> dict[str, AsgiApp]:
    """Give the endpoints of WebSockets; none where they are switched off."""
    if not settings.websockets.most:
        return {}
    return {PATH: ResponsesSocket(edge, endpoints[PATH], settings.websockets, keeps=desk is not None)}


def socket_paths(settings: ServerSettings) -> tuple[bytes, ...]:
    """Give the paths at which the server is to take WebSockets."""
    return (PATH.encode(),) if settings.websockets.most else ()
