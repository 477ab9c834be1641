"""An MCP server over HTTP as `switchgear mcp` finds it, written with the official low-level server, and the real command between it and a client."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types as types
from mcp import StdioServerParameters
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import JSONResponse

from tests.mcp_door_world import listening
from tests.tool_world import free_port

ROOT = Path(__file__).resolve().parents[1]
KEY = "a-key-that-nobody-guesses"
TEXT = {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}}
SCHEMAS = {"echo": TEXT, "steps": {"type": "object"}, "hang": {"type": "object"}, "ask": {"type": "object"}}


class UpstreamDouble:
    """What stands for the gateway. `calls` has each call with its headers; `cancelled` is set when a call was."""

    def __init__(self, *, stateless=True, as_json=False):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.stateless, self.as_json = stateless, as_json
        self.calls = []
        self.began, self.cancelled = anyio.Event(), anyio.Event()
        self.listed = 0

    @asynccontextmanager
    async def there(self):
        """It is there until the block ends, and knows no session of a time before."""
        server = Server("upstream", version="1", on_list_tools=self.list_tools, on_call_tool=self.call_tool)
        manager = StreamableHTTPSessionManager(server, json_response=self.as_json, stateless=self.stateless)

        async def app(scope, receive, send):
            if dict(scope["headers"]).get(b"authorization") != f"Bearer {KEY}".encode():
                return await JSONResponse({"error": {"message": "no such key"}}, status_code=401)(scope, receive, send)
            return await manager.handle_request(scope, receive, send)

        async with manager.run(), listening(app, self.port):
            yield

    async def list_tools(self, ctx, params):
        self.listed += 1
        return types.ListToolsResult(
            tools=[types.Tool(name=name, input_schema=schema) for name, schema in SCHEMAS.items()]
        )

    async def call_tool(self, ctx, params):
        self.calls.append((params.name, dict(ctx.request.headers)))
        if params.name == "hang":
            self.began.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.cancelled.set()
        if params.name == "steps":
            for step in (1, 2, 3):
                await ctx.session.report_progress(step, 3, f"step {step}")
        if params.name == "ask":
            await ctx.session.send_tool_list_changed()
            asked = await ctx.session.elicit_form("Which?", {"type": "object", "properties": {"a": {"type": "string"}}})
            return text(f"{asked.action} {asked.content}")
        return text((params.arguments or {}).get("text", params.name))


def text(words):
    return types.CallToolResult(content=[types.TextContent(text=words)])


def command(url, *more, key=KEY, cwd="/"):
    """The real command, as an assistant starts it."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "gateway", "mcp", "--url", url, *more],
        env={"PYTHONPATH": str(ROOT), "SWITCHGEAR_API_KEY": key},
        cwd=str(cwd),
    )
