"""The door of /mcp over HTTP, with what stands for the endpoint behind it, and an authorization server whose tokens are for it.

`DoorDouble` is the endpoint's double: a low-level MCP server with three tools. What is tested is the door, the rest is real: the official
package's server and client, signed tokens, keys that are fetched, sockets.
"""

import time
from contextlib import asynccontextmanager

import anyio
import jwt
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.api.edge import Edge
from gateway.api.identity import Identities
from gateway.api.mcp_door import Aimed, Entrance, Guarded, metadata
from gateway.api.plain import CALLER
from gateway.config.access_settings import AccessSettings, JwtSettings
from gateway.config.mcp_door_settings import McpAuthorizationSettings, McpDoorSettings, McpScopeSettings
from gateway.config.settings import Settings
from gateway.core.clock import SYSTEM_CLOCK
from tests.oauth_double import OAuthSite, oauth_site
from tests.security.jwt_issuer import jwk, rsa_key
from tests.tool_world import free_port

EFFECTS = {"read": "read", "who": "read", "write": "once"}
SCOPES = {"tools:read": McpScopeSettings(effects=("read",)), "tools:write": McpScopeSettings(tools=("desk/write",))}


class TokenSite(OAuthSite):
    """An authorization server whose tokens are signed and say whom they are for."""

    def __init__(self, port):
        super().__init__(port)
        self.key = rsa_key("door")
        self.audience = None
        self.person = "ada"
        self.given = []
        self.app.router.routes.insert(0, Route("/keys", self.keys))

    async def keys(self, request):
        return JSONResponse({"keys": [jwk(self.key, "one", "RS256")]})

    def token_for(self, person="ada", *, scope="", audience=None, lives=600, issuer=None):
        now = int(time.time())
        claims = {"iss": issuer or self.issuer, "aud": audience or self.url, "sub": person, "iat": now - 1000}
        claims |= {"exp": now + lives, "scope": scope}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "one", "typ": "at+jwt"})

    def _give(self, person, scope, refresh=True):
        token = self.token_for(person, scope=scope, audience=self.audience)
        self.given.append(token)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope})

    def settings(self, **changes):
        fine = {"issuer": self.issuer, "audience": ("https://elsewhere.example",), "jwks_url": f"{self.issuer}/keys"}
        return JwtSettings(**(fine | changes))


class DoorDouble:
    """The endpoint's double behind the real door. `seen` has what came through: (tool, caller, header names)."""

    def __init__(self, port, site, door=None, keys=(), anonymous="auto"):
        self.url = f"http://127.0.0.1:{port}/mcp"
        self.port = port
        self.seen = []
        site.url = self.url
        self.door = door or McpDoorSettings(
            authorization=McpAuthorizationSettings(resource=self.url, required=("mcp",), scopes=SCOPES)
        )
        access = AccessSettings(jwt={"corp": site.settings()}, anonymous=anonymous)
        settings = Settings(providers={}, models={}, access=access)
        identities = Identities()
        self.entrance = Entrance.of(self.door, settings, identities)
        self.identity = identities.of(settings)
        self.server = Server("desk", on_list_tools=self.list_tools, on_call_tool=self.call_tool)
        inner = self.server.streamable_http_app(stateless_http=True, transport_security=None, host="0.0.0.0")
        edge = Edge(
            current=None,
            take_record=None,
            clock=SYSTEM_CLOCK,
            new_id=None,
            body_bytes=0,
            json_depth=0,
            configuration=dict,
        )
        self.paths = {
            "/mcp": Guarded(inner, lambda: self.entrance, self.find, body_bytes=100_000),
            **metadata.endpoints(edge, lambda: self.entrance),
        }

    def find(self, caller, name):
        return Aimed(id=f"desk/{name}", effect=EFFECTS[name]) if name in EFFECTS else None

    async def list_tools(self, ctx, params):
        empty = {"type": "object", "properties": {}}
        return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=empty) for name in EFFECTS])

    async def call_tool(self, ctx, params):
        caller = ctx.request.scope[CALLER]
        self.seen.append((params.name, caller.id, dict(ctx.request.headers)))
        return types.CallToolResult(content=[types.TextContent(text=f"{params.name} for {caller.id}")])

    async def app(self, scope, receive, send):
        await self.paths[scope["path"]](scope, receive, send)


@asynccontextmanager
async def listening(app, port):
    """An ASGI application behind a port, until the block ends."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="critical",
        interface="asgi3",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server, done = uvicorn.Server(config), anyio.Event()

    async def serve():
        # It is ended by being told to: broken off it would leave its sockets behind.
        with anyio.CancelScope(shield=True):
            await server.serve()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with anyio.fail_after(20):
            while not server.started:
                await anyio.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await done.wait()


@asynccontextmanager
async def door_world(**made):
    """The authorization server and the door, until the block ends: gives (site, double)."""
    async with oauth_site(TokenSite) as site:
        double = DoorDouble(free_port(), site, **made)
        async with double.server.session_manager.run(), listening(double.app, double.port):
            yield site, double
