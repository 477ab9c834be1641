"""Tools and how they are to be used, both ways. Hosted tools are foreign to every other dialect and are kept whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.core.content import CustomTool, FunctionTool, Tool, ToolChoice
from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Json
from gateway.dialects.openai_responses.reader import Reader, wrong
from gateway.dialects.openai_responses.written import NAME, came_from_here, keep, own_fields
from gateway.dialects.rest import Leftovers

_NAMED = ("function", "custom")
_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}


def decode_tool(value: Json, path: str) -> Tool:
    """Read one tool."""
    reader = Reader(value, path)
    kind = reader.needed_string("type")
    if kind not in _NAMED:
        return Foreign(dialect=NAME, raw=value)
    name, description = reader.needed_string("name"), reader.string("description")
    if kind == "custom":
        form = reader.object("format")
        return CustomTool(name=name, description=description, format=form, rest=keep(reader.rest()))
    parameters, strict = reader.object("parameters"), reader.boolean("strict")
    return FunctionTool(
        name=name, description=description, parameters=parameters, strict=strict, rest=keep(reader.rest())
    )


def encode_tools(tools: Sequence[Tool], left: Leftovers) -> list[dict[str, Json]]:
    """Write the tools."""
    written = [_encode_tool(tool, left, f"tools[{number}]") for number, tool in enumerate(tools)]
    return [tool for tool in written if tool is not None]


def _encode_tool(tool: Tool, left: Leftovers, path: str) -> dict[str, Json] | None:
    if isinstance(tool, Foreign):
        if tool.dialect == NAME:
            return tool.raw
        left.alien("tool", tool, path)
        return None
    left.foreign(tool.rest, path + ".")
    fields: dict[str, Json] = {"type": "function" if isinstance(tool, FunctionTool) else "custom", "name": tool.name}
    if tool.description is not None:
        fields["description"] = tool.description
    if isinstance(tool, CustomTool):
        return {**own_fields(tool.rest), **fields, **({} if tool.format is None else {"format": tool.format})}
    if tool.cache is not None:
        left.hint("cache_control")
    here = came_from_here(tool.rest)
    if tool.parameters is not None or not here:
        fields["parameters"] = tool.parameters
    if tool.strict is not None or not here:
        # Elsewhere a function is lax unless it says strict; here it is strict unless it says lax.
        fields["strict"] = bool(tool.strict)
    return {**own_fields(tool.rest), **fields}


def decode_tool_choice(value: Json) -> ToolChoice | None:
    """Read `tool_choice`: a word, or an object that names tools."""
    if value is None:
        return None
    if isinstance(value, str):
        if (mode := _MODES.get(value)) is not None:
            return ToolChoice(mode=mode)
        msg = f"`tool_choice` must be auto, none, required or an object, not {value[:100]!r}."
        raise InvalidRequest(msg, param="tool_choice")
    if not isinstance(value, dict):
        raise wrong("tool_choice", "a string or an object", value)
    reader = Reader(value, "tool_choice")
    kind = reader.needed_string("type")
    if kind in _NAMED:
        name = reader.needed_string("name")
        return ToolChoice(mode="named", names=(name,))
    if kind == "allowed_tools":
        names = tuple(tool.string("name") or "" for tool in reader.each("tools"))
        mode = _MODES[reader.choice("mode", ("auto", "required")) or "auto"]
        if all(names) and all(tool.take("type") in _NAMED for tool in reader.each("tools")):
            return ToolChoice(mode=mode, names=names)
        return ToolChoice(mode=mode, raw={NAME: value})
    return ToolChoice(mode="required", raw={NAME: value})


def encode_tool_choice(choice: ToolChoice, tools: Sequence[Tool], left: Leftovers) -> Json:
    """Write `tool_choice`; None where it must be left out."""
    if choice.raw is not None:
        if NAME in choice.raw:
            return choice.raw[NAME]
        left.refuse("tool_choice")
        return None
    custom = {tool.name for tool in tools if isinstance(tool, CustomTool)}
    named = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
    if choice.mode == "named":
        return named[0]
    if named and choice.mode != "none":
        return {"type": "allowed_tools", "mode": choice.mode, "tools": named}
    return choice.mode
