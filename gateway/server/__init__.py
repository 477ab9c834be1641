"""The HTTP edge: uvicorn's protocol, hardened, and a server that drains.

It takes a plain ASGI app and knows no dialect, no route and no model.
"""

from gateway.server.asgi import ASGIApp, Message, Receive, Scope, Send
from gateway.server.departure import DEPARTURE, SERVER, Departure, departure_of
from gateway.server.edge import EdgeServer
from gateway.server.options import ServerOptions, ServerStartError
from gateway.server.refusal import RenderError, openai_error

__all__ = [
    "DEPARTURE",
    "SERVER",
    "ASGIApp",
    "Departure",
    "EdgeServer",
    "Message",
    "Receive",
    "RenderError",
    "Scope",
    "Send",
    "ServerOptions",
    "ServerStartError",
    "departure_of",
    "openai_error",
]
