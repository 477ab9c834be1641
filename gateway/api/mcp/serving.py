"""The official server behind /mcp: made when it is first wanted, and run in one task. Of the library nothing is imported before this module."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from gateway.api.asgi import AsgiSend, Receive, Scope
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.methods import server_of
from gateway.api.mcp.overhearing import Overhearing


class Serving:
    """A server that keeps no sessions: each request stands for itself, and any replica answers it. `overhearing` has the streams that sessions have beside."""

    def __init__(self, desk: McpDesk, *, body_bytes: int) -> None:
        self._desk = desk
        self._server = server_of(desk)
        self.overhearing = Overhearing(desk)
        self._manager = StreamableHTTPSessionManager(
            app=self._server,
            stateless=True,
            # Hosts and origins are looked at before a request comes here.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=body_bytes,
        )

    def run(self) -> AbstractAsyncContextManager[None]:
        """Answer requests while the context is open."""
        return self._manager.run()

    def answer(self, scope: Scope, receive: Receive, send: AsgiSend) -> Awaitable[None]:
        """Answer one request, whose caller is known."""
        self._server.instructions = self._desk.offer().settings.instructions or None
        return self._manager.handle_request(scope, receive, send)
