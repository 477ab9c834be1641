"""A real MCP server, written with the official package's low-level server, whose tools misbehave on request. Run as a program by stdio, or by HTTP.

    python tests/mcp_server_double.py stdio FOLDER
    python tests/mcp_server_double.py http FOLDER PORT

It notes what happens to it in files of FOLDER: `calls.jsonl` has a line for each call, `started` one for each start, and while the file
`definition` exists its text is the description of the tool `echo`. The words of the file `extra` are names of further tools; `pause` takes its time.
"""

import json
import math
import os
import sys
from pathlib import Path

import anyio
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}, "key": {"type": "string"}}, "required": ["text"]}
LONG = {"hang": math.inf, "pause": 0.2}
"""Seconds that tools take. Where somebody is killed at random, it is to be in the middle of a call now and then: `pause`."""
EMPTY = {"type": "object", "properties": {}}
NAMES = (
    "echo", "zebra", "fail", "raise", "hang", "huge", "blocks", "structured", "unstructured", "environment", "die", "count", "with.dots", "spawn",
)  # fmt: skip


class Double:
    """The tools, and what is noted of their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def note(self, file: str, **fields: object) -> None:
        with (self.folder / file).open("a") as notes:
            notes.write(json.dumps(fields) + "\n")

    def tools(self) -> list[types.Tool]:
        said = self.folder / "definition"
        description = said.read_text() if said.exists() else "Gives the text back."
        more = self.folder / "extra"
        names = (*NAMES, *(more.read_text().split() if more.exists() else ()))
        found = [
            types.Tool(
                name=name,
                description=description if name == "echo" else f"The tool {name}.",
                input_schema=SCHEMA if name in ("echo", "count", "pause") else EMPTY,
                output_schema=(
                    {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
                    if "structured" in name
                    else None
                ),
            )
            for name in names
        ]
        return sorted(found, key=lambda tool: tool.name, reverse=True)

    async def list_tools(self, ctx: object, params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self.tools())

    async def call_tool(self, ctx: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        meta = dict(params.meta or {})
        self.note(
            "calls.jsonl", tool=params.name, arguments=params.arguments, key=meta.get("switchgear/idempotency-key")
        )
        arguments = params.arguments or {}
        try:
            return await self._call(params.name, arguments)
        except anyio.get_cancelled_exc_class():
            self.note("cancelled.jsonl", tool=params.name)
            raise

    async def _call(self, name: str, arguments: dict[str, object]) -> types.CallToolResult:
        if name == "raise":
            raise RuntimeError("the secret of the house")
        if name in LONG:
            await anyio.sleep(LONG[name])
        if name == "die":
            os._exit(7)
        if name == "spawn":
            child = await anyio.open_process([sys.executable, "-c", "import time; time.sleep(600)"])
            return text(str(child.pid))
        if name == "huge":
            return text("x" * 100_000_000)
        if name == "environment":
            return text(json.dumps(dict(os.environ)))
        if name == "blocks":
            return types.CallToolResult(
                content=[
                    types.TextContent(text="see:"),
                    types.ImageContent(data="A" * 4000, mime_type="image/png"),
                    types.ResourceLink(uri="file:///a.txt", name="a"),
                ]
            )
        if name == "structured":
            return types.CallToolResult(content=[types.TextContent(text='{"n": 3}')], structured_content={"n": 3})
        if name == "unstructured":
            return types.CallToolResult(content=[types.TextContent(text="three")], structured_content={"n": "three"})
        return types.CallToolResult(
            content=[types.TextContent(text=str(arguments.get("text", name)))], is_error=name == "fail"
        )


def text(words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=words)])


def server_of(double: Double) -> Server:
    return Server("double", version="1", on_list_tools=double.list_tools, on_call_tool=double.call_tool)


async def serve_stdio(double: Double) -> None:
    server = server_of(double)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def serve_http(double: Double, port: int) -> None:
    app = server_of(double).streamable_http_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    double = Double(Path(sys.argv[2]))
    double.note("started", pid=os.getpid())
    if sys.argv[1] == "stdio":
        anyio.run(serve_stdio, double)
    else:
        serve_http(double, int(sys.argv[3]))
