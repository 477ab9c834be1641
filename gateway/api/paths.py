"""From a path to its endpoint: fixed paths by one look-up, patterns and everything else by Starlette's router.

The router tries its routes one after the other, with a regular expression and a copy of the scope each: that costs as much as
the rest of a small request's way to its endpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from starlette.routing import Route, Router

from gateway.api.asgi import AsgiApp, AsgiSend, Receive, Scope


class Paths:
    """The ASGI application over all endpoints. `paths` are those that are served, in the order of `endpoints`.

    `sockets` are the endpoints of WebSockets: the server lets none come to any other path.
    """

    def __init__(self, endpoints: Mapping[str, AsgiApp], router: Router, sockets: Mapping[str, AsgiApp]) -> None:
        self._sockets = sockets
        self.paths = tuple(endpoints)
        self._fixed = {path: endpoint for path, endpoint in endpoints.items() if "{" not in path}
        self._router = router

    def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> Awaitable[None]:
        """Hand a request to its endpoint; the server's lifespan and all that is not a fixed path to the router."""
        kind = scope["type"]
        if kind == "websocket":
            return self._sockets[scope["path"]](scope, receive, send)
        endpoint = self._fixed.get(scope["path"]) if kind == "http" else None
        return (endpoint or self._router)(scope, receive, send)


def pattern_routes(endpoints: Mapping[str, AsgiApp]) -> list[Route]:
    """Give the routes whose paths have parameters."""
    return [Route(path, endpoint) for path, endpoint in endpoints.items() if "{" in path]
