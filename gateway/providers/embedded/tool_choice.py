"""Tool choice: reads tools, tool_choice and parallel_tool_calls of a chat request. Pure."""

from __future__ import annotations

import re
from typing import Any

from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.providers.embedded import request_fields as field
from gateway.providers.embedded.tool_calls import Tool, ToolPlan

MOST_TOOLS = 32
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read_tools(body: dict[str, Any]) -> ToolPlan | None:
    """Give the plan, or None where no tool may be called. Raises InvalidRequest naming what is wrong."""
    parallel = bool(field.boolean(body, "parallel_tool_calls"))
    given = field.sequence(body.get("tools") or [], "tools")
    choice = body.get("tool_choice")
    if not given:
        if choice not in (None, "none", "auto"):
            raise InvalidRequest("'tool_choice' asks for a tool, and there are no 'tools'.", param="tool_choice")
        return None
    if len(given) > MOST_TOOLS:
        raise InvalidRequest(f"The embedded model takes at most {MOST_TOOLS} tools.", param="tools")
    tools = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(given))
    if len({tool.name for tool in tools}) != len(tools):
        raise InvalidRequest("Two tools have the same name.", param="tools")
    if choice == "none":
        return None
    if choice in (None, "auto"):
        return ToolPlan(tools=tools, mode="auto", parallel=parallel)
    if choice == "required":
        return ToolPlan(tools=tools, mode="required", parallel=parallel)
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return _allowed(tools, choice, parallel=parallel)
    return ToolPlan(tools=(_named(tools, choice, "tool_choice"),), mode="required", parallel=parallel)


def _allowed(tools: tuple[Tool, ...], choice: dict[str, Any], *, parallel: bool) -> ToolPlan:
    where = "tool_choice.allowed_tools"
    allowed = field.mapping(choice.get("allowed_tools"), where)
    mode = allowed.get("mode")
    if mode not in ("auto", "required"):
        raise InvalidRequest("The mode is auto or required.", param=f"{where}.mode")
    given = field.sequence(allowed.get("tools"), f"{where}.tools")
    if not given:
        raise InvalidRequest("At least one tool is to be allowed.", param=f"{where}.tools")
    named = {_named(tools, tool, f"{where}.tools[{number}]").name for number, tool in enumerate(given)}
    subset = tuple(tool for tool in tools if tool.name in named)
    return ToolPlan(tools=subset, mode=mode, parallel=parallel)


def _named(tools: tuple[Tool, ...], choice: Any, where: str) -> Tool:
    if not isinstance(choice, dict) or choice.get("type") != "function":
        message = "'tool_choice' is none, auto, required, a function or a list of allowed functions."
        raise UnsupportedParameter(message, param=where)
    name = field.mapping(choice.get("function"), f"{where}.function").get("name")
    for tool in tools:
        if tool.name == name:
            return tool
    raise InvalidRequest(f"There is no tool {str(name)[:64]!r}.", param=f"{where}.function.name")


def _tool(value: Any, where: str) -> Tool:
    tool = field.mapping(value, where)
    if tool.get("type") != "function":
        raise UnsupportedParameter("The embedded model takes function tools only.", param=f"{where}.type")
    where = f"{where}.function"
    function = field.mapping(tool.get("function"), where)
    field.refuse_unknown(function, ("name", "description", "parameters", "strict"), what=f"{where}.")
    name = field.text(function.get("name"), f"{where}.name")
    if not _NAME.fullmatch(name):
        raise InvalidRequest("A name has 1 to 64 letters, digits, _, - or dots.", param=f"{where}.name")
    # Without parameters there are no arguments, says OpenAI's reference.
    parameters = function.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}, "additionalProperties": False}
    schema = {"type": "object", **field.mapping(parameters, f"{where}.parameters")}
    if schema["type"] != "object":
        raise InvalidRequest("A tool's parameters are an object.", param=f"{where}.parameters")
    description = function.get("description")
    return Tool(
        name=name,
        description="" if description is None else field.text(description, f"{where}.description"),
        parameters=schema,
        where=where,
    )
