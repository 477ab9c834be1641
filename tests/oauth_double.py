"""A server of tools that lets nobody in without a token, and the authorization server that gives them out, in one process: the true wire formats.

    async with oauth_site() as site: site.url is the MCP server, built with the official package; `site.issuer` gives out tokens.

It checks what a careful authorization server checks: PKCE, redirect address, resource, one use of a code and of a refresh token. `requests` has
what was asked of it; `scopes` is what a tool needs; what it does wrong on purpose is in `faults`.
"""

import base64
import hashlib
import secrets
import time
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx2
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from tests.tool_world import free_port


class OAuthSite:
    def __init__(self, port):
        self.issuer = f"http://127.0.0.1:{port}"
        self.url = f"{self.issuer}/mcp"
        self.requests = []
        self.clients = {}
        self.codes = {}
        self.tokens = {}
        self.refresh_tokens = {}
        self.calls = []
        self.needs = {"write": "write"}
        self.lives = 3600
        self.person = "ada"
        self.faults = {}
        self.server = Server("guarded", on_list_tools=self.list_tools, on_call_tool=self.call_tool)
        self.mcp = self.server.streamable_http_app(stateless_http=True, json_response=True)
        self.app = Starlette(
            routes=[
                Route("/.well-known/oauth-protected-resource/mcp", self.resource),
                Route("/.well-known/oauth-authorization-server", self.metadata),
                Route("/register", self.register, methods=["POST"]),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/revoke", self.revoke, methods=["POST"]),
                Mount("/", app=self.guarded),
            ]
        )

    async def list_tools(self, ctx, params):
        empty = {"type": "object", "properties": {}}
        names = ("read", "who", "write")
        return types.ListToolsResult(
            tools=[types.Tool(name=name, description=name, input_schema=empty) for name in names]
        )

    async def call_tool(self, ctx, params):
        person = self.tokens[ctx.request.headers["authorization"].removeprefix("Bearer ")]["person"]
        self.calls.append((params.name, person))
        return types.CallToolResult(content=[types.TextContent(text=f"{params.name} for {person}")])

    async def guarded(self, scope, receive, send):
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        known = self.tokens.get(token)
        where = f'resource_metadata="{self.issuer}/.well-known/oauth-protected-resource/mcp"'
        if known is None or known["expires"] < time.time():
            answer = Response(status_code=401, headers={"www-authenticate": f'Bearer {where}, scope="read"'})
            return await answer(scope, receive, send)
        name = headers.get(b"mcp-name", b"").decode()
        need = self.needs.get(name, "")
        if need and need not in known["scope"].split():
            told = f'Bearer error="insufficient_scope", scope="{need}", {where}'
            return await Response(status_code=403, headers={"www-authenticate": told})(scope, receive, send)
        return await self.mcp(scope, receive, send)

    async def resource(self, request):
        document = {"resource": self.url, "authorization_servers": [self.issuer], "scopes_supported": ["read", "write"]}
        return JSONResponse(document | self.faults.get("resource", {}))

    async def metadata(self, request):
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse(document | self.faults.get("metadata", {}))

    async def register(self, request):
        asked = await request.json()
        name = f"client-{len(self.clients) + 1}"
        self.clients[name] = asked
        return JSONResponse({**asked, "client_id": name}, status_code=201)

    async def authorize(self, request):
        """What the browser shows, and the person agrees to."""
        query = dict(request.query_params)
        self.requests.append(("authorize", query))
        client = self.clients[query["client_id"]]
        assert query["redirect_uri"] in client["redirect_uris"]
        assert query["code_challenge_method"] == "S256"
        assert query["resource"] == self.url
        code = secrets.token_urlsafe(8)
        self.codes[code] = query | {"person": self.person}
        answer = {"code": code, "state": query["state"], "iss": self.issuer} | self.faults.get("answer", {})
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}")

    async def token(self, request):
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.requests.append(("token", form))
        if self.faults.get("token"):
            return JSONResponse({"error": "temporarily_unavailable"}, status_code=503)
        if form["grant_type"] == "client_credentials":
            pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            if pair != "robot:s3cret" or form["resource"] != self.url:
                return JSONResponse({"error": "invalid_client"}, status_code=401)
            return self._give("robot", form.get("scope", ""), refresh=False)
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            good = asked is not None and (
                asked["code_challenge"] == challenge.rstrip(b"=").decode()
                and asked["redirect_uri"] == form["redirect_uri"]
                and asked["client_id"] == form["client_id"]
                and form["resource"] == self.url
            )
            if not good:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            return self._give(asked["person"], asked.get("scope", ""))
        known = self.refresh_tokens.pop(form["refresh_token"], None)
        if known is None:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        return self._give(*known)

    def _give(self, person, scope, refresh=True):
        access, again = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        self.tokens[access] = {"person": person, "scope": scope, "expires": time.time() + self.lives}
        document = {"access_token": access, "token_type": "Bearer", "expires_in": self.lives, "scope": scope}
        if refresh:
            self.refresh_tokens[again] = (person, scope)
            document["refresh_token"] = again
        return JSONResponse(document)

    async def revoke(self, request):
        form = parse_qs((await request.body()).decode())
        self.requests.append(("revoke", {name: values[0] for name, values in form.items()}))
        for kept in (self.tokens, self.refresh_tokens):
            kept.pop(form["token"][0], None)
        return Response(status_code=200)

    async def agree(self, url):
        """Do what a person's browser does; give the parameters that it comes back with."""
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url, follow_redirects=False)
        assert answer.status_code == 307, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def asked(self, what, field):
        return [form.get(field) for kind, form in self.requests if kind == what]


@asynccontextmanager
async def oauth_site(make=OAuthSite):
    """Run it."""
    port = free_port()
    site = make(port)
    server = uvicorn.Server(
        uvicorn.Config(
            site.app, host="127.0.0.1", port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
    )
    done = anyio.Event()

    async def serve():
        # It is ended by being told to: broken off it would leave its sockets behind.
        with anyio.CancelScope(shield=True):
            await server.serve()
        done.set()

    async with anyio.create_task_group() as tasks, site.server.session_manager.run():
        tasks.start_soon(serve)
        with anyio.fail_after(20):
            while not server.started:
                await anyio.sleep(0.01)
        try:
            yield site
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await done.wait()
