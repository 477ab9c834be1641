"""A real MCP server that offers resources, templates, prompts and completion, and tells of changes, in both revisions of the protocol.

    python tests/mcp_offering_double.py stdio FOLDER
    python tests/mcp_offering_double.py http FOLDER PORT

`asked.jsonl` has a line for each read, prompt and completion, `cancelled.jsonl` one for each that was cancelled. The words of the file
`prompts` are names of further prompts. The tool `change` adds to them the word that it is called with, and tells of it; called with a URI it
tells that this resource is another; with `stall` it tells how far it is, and goes no further: `stalled.jsonl` has a line for each. `watched.jsonl` says
which are watched. `advance` tells how far it is. Where a file `toolless` is there from the beginning, the server knows nothing of tools.
"""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, PromptsListChanged, ResourceUpdated
from mcp.shared.exceptions import MCPError

WORD = {"type": "object", "properties": {"word": {"type": "string"}}}
URIS = ("memo://zeta", "memo://one", "memo://two", "memo://picture", "memo://hang", "memo://broken", "memo://huge")
TEMPLATES = {"note": "memo://notes/{id}", "file": "memo://files/{+path}", "hidden": "memo://hidden/{id}"}
PAGE = 2
STALL = "stall"


class Offering:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bus = InMemorySubscriptionBus()
        self.watched = set()
        self.toolless = (folder / "toolless").exists()

    def note(self, file: str, **fields: object) -> None:
        with (self.folder / file).open("a") as notes:
            notes.write(json.dumps(fields) + "\n")

    async def list_tools(self, ctx, params):
        return types.ListToolsResult(
            tools=[types.Tool(name=name, input_schema=WORD) for name in ("advance", "change", "link")]
        )

    async def call_tool(self, ctx, params):
        if params.name == "advance":
            for step in (1, 2, 3):
                await ctx.session.report_progress(step, 3, f"step {step}")
                await anyio.sleep(0.07)
        if params.name == "change" and params.arguments["word"] == STALL:
            self.note("stalled.jsonl", tool=params.name)
            await ctx.session.report_progress(1, 3, "step 1")
            await anyio.sleep_forever()
        if params.name == "change" and str(params.arguments["word"]).startswith("memo://"):
            uri = params.arguments["word"]
            if ctx.protocol_version >= "2026-07-28":
                await self.bus.publish(ResourceUpdated(uri=uri))
            elif uri in self.watched:
                await ctx.session.send_resource_updated(uri)
        elif params.name == "change":
            with (self.folder / "prompts").open("a") as more:
                more.write(f"{params.arguments['word']}\n")
            if ctx.protocol_version >= "2026-07-28":
                await self.bus.publish(PromptsListChanged())
            else:
                await ctx.session.send_prompt_list_changed()
        if params.name == "link":
            return types.CallToolResult(
                content=[
                    types.ResourceLink(uri="memo://notes/7", name="seven"),
                    types.ResourceLink(uri="memo://hidden/7", name="hidden"),
                ]
            )
        return types.CallToolResult(content=[types.TextContent(text=params.name)])

    async def watch(self, ctx, params):
        self.watched.add(params.uri)
        self.note("watched.jsonl", uri=params.uri, on=True)
        return types.EmptyResult()

    async def unwatch(self, ctx, params):
        self.watched.discard(params.uri)
        self.note("watched.jsonl", uri=params.uri, on=False)
        return types.EmptyResult()

    async def list_resources(self, ctx, params):
        start = int((params.cursor if params else None) or 0)
        kept = [types.Resource(uri=uri, name=uri[7:], mime_type="text/plain") for uri in URIS[start : start + PAGE]]
        following = str(start + PAGE) if start + PAGE < len(URIS) else None
        return types.ListResourcesResult(resources=kept, next_cursor=following)

    async def list_templates(self, ctx, params):
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(name=name, uri_template=written) for name, written in TEMPLATES.items()
            ]
        )

    async def read(self, ctx, params):
        self.note("asked.jsonl", uri=params.uri, authorization=None)
        if params.uri == "memo://hang":
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                self.note("cancelled.jsonl", uri=params.uri)
                raise
        if params.uri == "memo://broken":
            raise RuntimeError("the secret of the house")
        if params.uri == "memo://huge":
            return types.ReadResourceResult(contents=[types.TextResourceContents(uri=params.uri, text="x" * 9_000_000)])
        if params.uri == "memo://picture":
            return types.ReadResourceResult(
                contents=[types.BlobResourceContents(uri=params.uri, blob="AAAA", mime_type="image/png")]
            )
        if params.uri == "memo://notes/gone":
            raise MCPError(types.INVALID_PARAMS, "There is no such note.")
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=params.uri, text=f"this is {params.uri}")]
        )

    async def list_prompts(self, ctx, params):
        more = self.folder / "prompts"
        names = ("greet", "hidden", *(more.read_text().split() if more.exists() else ()))
        arguments = [types.PromptArgument(name="name", required=True)]
        return types.ListPromptsResult(
            prompts=[types.Prompt(name=name, title=name.title(), arguments=arguments) for name in names]
        )

    async def get_prompt(self, ctx, params):
        self.note("asked.jsonl", prompt=params.name, arguments=params.arguments)
        who = (params.arguments or {}).get("name")
        if who is None:
            raise MCPError(types.INVALID_PARAMS, "The argument 'name' is missing.")
        inside = types.TextResourceContents(uri="memo://one", text="one")
        return types.GetPromptResult(
            messages=[
                types.PromptMessage(role="user", content=types.TextContent(text=f"Greet {who}.")),
                types.PromptMessage(role="user", content=types.EmbeddedResource(resource=inside)),
            ]
        )

    async def complete(self, ctx, params):
        self.note("asked.jsonl", ref=params.ref.model_dump(), argument=params.argument.name)
        words = ("paris", "park", "party", "rome")
        found = [word for word in words if word.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=found, total=len(found), has_more=False))


def server_of(double: Offering) -> Server:
    tools: Any = {} if double.toolless else {"on_list_tools": double.list_tools, "on_call_tool": double.call_tool}
    server = Server(
        "offering",
        version="1",
        **tools,
        on_list_resources=double.list_resources,
        on_list_resource_templates=double.list_templates,
        on_read_resource=double.read,
        on_list_prompts=double.list_prompts,
        on_get_prompt=double.get_prompt,
        on_completion=double.complete,
        on_subscriptions_listen=ListenHandler(double.bus),
    )
    # The library warns of the constructor's parameters for these.
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, double.watch)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, double.unwatch)
    return server


async def serve_stdio(double: Offering) -> None:
    server = server_of(double)
    changing = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options(changing))


if __name__ == "__main__":
    double = Offering(Path(sys.argv[2]))
    if sys.argv[1] == "stdio":
        anyio.run(serve_stdio, double)
    else:
        app = server_of(double).streamable_http_app()
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning")
