"""Serves the simulated cluster's metrics over HTTP, at /metrics of 127.0.0.1, so that a real Prometheus sees what the MCP program sees."""

from __future__ import annotations

import socket
import sys
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mcp_servers.platform_ctl.simulated.metrics import CONTENT_TYPE
from mcp_servers.verbs import Refused


class Measured(Protocol):
    """What has metrics."""

    async def metrics(self) -> str:
        """Give them. Raises Refused while another program holds the cluster."""
        ...


def application(measured: Measured) -> Starlette:
    """Give the one endpoint."""

    async def metrics(request: Request) -> Response:
        del request
        try:
            return Response(await measured.metrics(), headers={"content-type": CONTENT_TYPE})
        except Refused as refused:
            return PlainTextResponse(str(refused), 503)

    # Whoever can be made to look up a name must not reach this from a browser.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=[Route("/metrics", metrics)], middleware=[hosts])


def export(measured: Measured, port: int) -> None:
    """Serve until a signal; the first line of standard output is the address."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}/metrics\n")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(application(measured), log_level="warning"))
        server.run(sockets=[listening])
