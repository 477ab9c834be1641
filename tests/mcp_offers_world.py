"""The handlers of what MCP clients have besides tools, behind a small server of the official package, by HTTP, before a hub over real servers.

It is no endpoint of ours: who calls is what the header `x-caller` says.
"""

from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

import anyio
import httpx2
import mcp_types as types
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway.api.mcp.more import more_handlers
from gateway.api.mcp.offering import McpOffers, View
from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.core.caller import Caller
from gateway.policies.authorizer import Authorizer
from gateway.policies.rules import open_rules
from tests.tool_world import free_port


class Asker:
    """What the handlers want to know of a request."""

    def __init__(self, context):
        scope = context.request.scope
        headers = dict(scope["headers"])
        patterns = tuple(headers.get(b"x-tools", b"").decode().split())
        self.caller = Caller(id=headers.get(b"x-caller", b"ada").decode(), tools=patterns)
        self.version = context.protocol_version
        self.modern = self.version in MODERN_PROTOCOL_VERSIONS
        self.trace = None
        self.address = "127.0.0.1"


class Noting:
    """An audit log that keeps what it is given."""

    def __init__(self):
        self.entries = []

    def record_later(self, action, *, actor, about, details=None):
        self.entries.append((action, about.kind, about.id, details["outcome"]))


def authorizer_of(text=""):
    """Decides by the policies of a text; without any, everything is open."""
    if not text:
        return Authorizer(None, wall=lambda: 0.0)
    texts = (PolicyText(name="a.cedar", path="p/a.cedar", text=text),)
    documents = PolicyDocuments(folder="p", texts=texts, cases=(), zone=UTC, default="allow", digest=text.encode())
    return Authorizer(open_rules(documents), wall=lambda: 0.0)


class Site:
    """Where it is, and what the test may change or look at: `draining` says that it goes down; the last of `views` is what clients see."""

    draining = False

    def __init__(self, url, audit, server, views):
        self.views = views
        self.url = url
        self.audit = audit
        self.server = server

    @asynccontextmanager
    async def client(self, mode, caller="ada", tools=""):
        """The official client."""
        headers = {"x-caller": caller, "x-tools": tools}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode, cache=None) as client,
        ):
            yield client


@asynccontextmanager
async def site_over(hub, *, servers=("docs",), policies="", **view):
    """The handlers over a hub, served until the block ends."""
    seen = View(servers=frozenset(servers), authorizer=authorizer_of(policies), **view)
    audit, views = Noting(), [seen]
    handlers = more_handlers(McpOffers(hub.offers, lambda: views[-1], Asker, audit=audit), hub.changes)

    async def list_tools(context, params):
        return types.ListToolsResult(tools=[])

    server = Server("offers", on_list_tools=list_tools, **handlers)
    app = server.streamable_http_app(stateless_http=True)
    port = free_port()
    site = Site(f"http://127.0.0.1:{port}/mcp", audit, server, views)

    async def marked(scope, receive, send):
        scope["extensions"] = {**scope.get("extensions", {}), "switchgear.server": site}
        await app(scope, receive, send)

    config = uvicorn.Config(marked, host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=1)
    running, done = uvicorn.Server(config), anyio.Event()

    async def serve():
        # It is ended by being told to: broken off it would leave its sockets behind.
        with anyio.CancelScope(shield=True):
            await running.serve()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with anyio.fail_after(30):
            while not running.started:
                await anyio.sleep(0.01)
        try:
            yield site
        finally:
            handlers["on_subscriptions_listen"].close()
            running.should_exit = True
            with anyio.CancelScope(shield=True):
                await done.wait()


def folder(path: Path, name: str) -> Path:
    """A folder of its own for a server."""
    own = path / name
    own.mkdir()
    return own
