"""A real MCP server whose tools ask people for something while they are called, in both revisions of the protocol. Run as a program by stdio, or by HTTP.

    python tests/mcp_asking_double.py stdio FOLDER
    python tests/mcp_asking_double.py http FOLDER PORT

`book` asks for a form and then notes the booking in `booked.jsonl`; `twice` asks for two things, one after the other; `pay` sends people to
a page; `model` and `folders` want the client's program to be asked, and note its answer in `answers.jsonl`; `needs` does nothing for a client
without a model; `talk` logs. `calls.jsonl` has a line for each call.
"""

import json
import sys
from pathlib import Path

import anyio
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

FORM = {
    "type": "object",
    "properties": {
        "seats": {"type": "integer", "minimum": 1, "maximum": 9},
        "window": {"type": "boolean", "description": "At the window?"},
    },
    "required": ["seats"],
}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
PAGE = "https://bank.example/pay"
NAMES = ("book", "folders", "model", "needs", "pay", "plain", "talk", "twice")


class Asking:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def note(self, file: str, **fields: object) -> None:
        with (self.folder / file).open("a") as notes:
            notes.write(json.dumps(fields) + "\n")

    async def list_tools(self, ctx, params) -> types.ListToolsResult:
        empty = {"type": "object", "properties": {}}
        return types.ListToolsResult(
            tools=[types.Tool(name=name, description=f"The tool {name}.", input_schema=empty) for name in NAMES]
        )

    async def call_tool(self, ctx, params):
        meta = dict(params.meta or {})
        self.note("calls.jsonl", tool=params.name, key=meta.get("switchgear/idempotency-key"))
        newest = ctx.protocol_version >= "2026-07-28"
        ask = self._ask_again if newest else self._ask_now
        if params.name in ("needs", "plain", "talk"):
            return await getattr(self, f"_{params.name}")(ctx)
        if params.name in ("folders", "model"):
            return await self._program(ctx, params, newest)
        if params.name == "pay":
            return await self._pay(ctx, params, newest)
        if params.name == "twice":
            first = await ask(ctx, params, "name", "What is your name?", NAME)
            if not isinstance(first, dict):
                return first
            second = await ask(ctx, params, "seats", f"How many seats, {first['name']}?", FORM, kept=first)
            if not isinstance(second, dict):
                return second
            return _said(f"{first['name']} has {second['seats']}")
        answer = await ask(ctx, params, "seats", "How many seats?", FORM)
        if not isinstance(answer, dict):
            return answer
        self.note("booked.jsonl", **answer)
        return _said(f"booked {json.dumps(answer, sort_keys=True)}")

    async def _plain(self, ctx):
        return _said("plain")

    async def _needs(self, ctx):
        said = ctx.session.client_capabilities
        if said is None or said.sampling is None:
            raise MCPError(-32021, "a model is wanted", {"requiredCapabilities": {"sampling": {}}})
        return _said("there is a model")

    async def _talk(self, ctx):
        for level in ("debug", "info", "error"):
            log = types.LoggingMessageNotificationParams(level=level, logger="office", data=f"an {level}")
            await ctx.session.send_notification(types.LoggingMessageNotification(params=log), ctx.request_id)
        return _said("talked")

    async def _program(self, ctx, params, newest):
        """Ask the client's program."""
        message = types.SamplingMessage(role="user", content=types.TextContent(text="hello"))
        asked = types.CreateMessageRequestParams(messages=[message], max_tokens=10, include_context="allServers")
        wanted = types.ListRootsRequest() if params.name == "folders" else types.CreateMessageRequest(params=asked)
        if newest:
            given = (params.input_responses or {}).get("m")
            if given is None:
                return types.InputRequiredResult(input_requests={"m": wanted}, request_state="s")
        else:
            form = types.ListRootsResult if params.name == "folders" else types.CreateMessageResult
            related = ServerMessageMetadata(related_request_id=ctx.request_id)
            try:
                given = await ctx.session.send_request(wanted, form, metadata=related)
            except MCPError as error:
                return _said(f"not answered: {error.error.message}")
        said = given.model_dump(by_alias=True, mode="json", exclude_none=True)
        self.note("answers.jsonl", **said)
        return _said(said["roots"][0]["uri"] if params.name == "folders" else said["content"]["text"])

    async def _pay(self, ctx, params, newest):
        if newest:
            if (params.input_responses or {}).get("paid"):
                return _said("paid")
            page = types.ElicitRequest(params=types.ElicitRequestURLParams(message="Pay first.", url=PAGE))
            return types.InputRequiredResult(input_requests={"paid": page}, request_state="s")
        paid = self.folder / "paid"
        if paid.exists():
            return _said("paid")
        page = types.ElicitRequestURLParams(message="Pay first.", url=PAGE, elicitation_id="e1")
        raise MCPError(-32042, "URL elicitation required", {"elicitations": [page.model_dump(by_alias=True)]})

    async def _ask_now(self, ctx, params, key, message, schema, kept=None):
        """Ask in the midst of the call, as in 2025-11-25."""
        answer = await ctx.session.elicit_form(message, schema, ctx.request_id)
        self.note("answers.jsonl", action=answer.action)
        return answer.content if answer.action == "accept" else _said(f"{answer.action}: nothing was booked")

    async def _ask_again(self, ctx, params, key, message, schema, kept=None):
        """End the call with what is needed, as in 2026-07-28: the state is what was said before."""
        known = json.loads(params.request_state or "{}")
        if key in known:
            return known[key]
        given = (params.input_responses or {}).get(key)
        if given is not None:
            self.note("answers.jsonl", action=given.action)
            if given.action != "accept":
                return _said(f"{given.action}: nothing was booked")
            known[key] = given.content
            params.request_state = json.dumps(known)
            return given.content
        wanted = types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))
        return types.InputRequiredResult(input_requests={key: wanted}, request_state=json.dumps(known))


def _said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


def main() -> None:
    mode, folder = sys.argv[1], Path(sys.argv[2])
    double = Asking(folder)
    server = Server("asking", on_list_tools=double.list_tools, on_call_tool=double.call_tool)
    if mode == "http":
        application = server.streamable_http_app()
        uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[3]), log_level="critical")
        return

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


if __name__ == "__main__":
    main()
