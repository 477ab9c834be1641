"""What a program of this folder offers: verbs with schemas, checked before they run, bounded, and without a word of what went wrong inside.

The official package's low-level server does not check arguments, and passes on what a handler raises: both are done here.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import mcp_types as types
import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from mcp.server.lowlevel import Server

log = structlog.get_logger()

Json = Any
MOST_AT_ONCE: Final = 16
"""Calls that one program makes at once; others wait."""
_SHOWN: Final = 200


class Refused(Exception):
    """The call is not made, or not answered; the text says why, and goes to the model."""


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One tool. `run` gives an object that fits `output`; it raises Refused.

    `effect` is what a second call would do: read changes nothing, idempotent nothing more than the first, once may do it again.
    """

    name: str
    description: str
    run: Callable[[dict[str, Json]], Awaitable[dict[str, Json]]]
    properties: Mapping[str, Json] = field(default_factory=dict)
    required: Sequence[str] = ()
    output: Mapping[str, Json] = field(default_factory=dict)
    effect: str = "read"
    destructive: bool = False
    open_world: bool = False

    @property
    def schema(self) -> dict[str, Json]:
        """What it takes, as a JSON Schema."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }

    @property
    def tool(self) -> types.Tool:
        """Itself, as MCP shows it."""
        return types.Tool(
            name=self.name,
            description=self.description,
            input_schema=self.schema,
            output_schema={"type": "object", "properties": dict(self.output), "required": list(self.output)},
            annotations=types.ToolAnnotations(
                read_only_hint=self.effect == "read",
                destructive_hint=self.destructive,
                idempotent_hint=self.effect != "once",
                open_world_hint=self.open_world,
            ),
        )


def _pattern(validator: object, pattern: str, value: Json, schema: object) -> Iterator[ValidationError]:
    """JSON Schema's `$` is the end; Python's stands before a last line break, too."""
    del validator, schema
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_Validator: Final = extend(Draft202012Validator, {"pattern": _pattern})


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


def server_of(
    name: str,
    instructions: str,
    verbs: Sequence[Verb],
    *,
    opened: Callable[[], AbstractAsyncContextManager[None]] = _nothing,
) -> Server[Any]:
    """Give a server that offers verbs; `opened` is what has to be at work while it serves. Raises ValueError for two of one name."""
    known = {verb.name: verb for verb in verbs}
    if len(known) != len(verbs):
        msg = "two verbs have one name"
        raise ValueError(msg)
    checks = {verb.name: _Validator(verb.schema) for verb in verbs}
    tools = [known[each].tool for each in sorted(known)]
    room = anyio.CapacityLimiter(MOST_AT_ONCE)

    async def list_tools(ctx: object, params: object) -> types.ListToolsResult:
        del ctx, params
        return types.ListToolsResult(tools=tools)

    async def call_tool(ctx: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        del ctx
        verb, arguments = known.get(params.name), params.arguments or {}
        if verb is None:
            return _failed(f"There is no tool {params.name[:_SHOWN]!r} here.")
        wrong = best_match(checks[verb.name].iter_errors(arguments))
        if wrong is not None:
            said = wrong.message if len(wrong.message) <= _SHOWN else f"…{wrong.message[-_SHOWN:]}"
            return _failed(f"The arguments are not what the tool takes: {wrong.json_path}: {said}")
        try:
            async with room:
                found = await verb.run(arguments)
        except Refused as refused:
            return _failed(str(refused))
        except Exception:
            # What a driver or a system says may quote secrets: it is for the log of whoever runs this.
            log.exception("verb.crashed", verb=verb.name)
            return _failed("Something went wrong inside the tool; its log says what.")
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=found)

    @asynccontextmanager
    async def lifespan(server: Server[None]) -> AsyncIterator[None]:
        del server
        async with opened():
            yield

    return Server(
        name,
        version="0.1.0",
        instructions=instructions,
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
