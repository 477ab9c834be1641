"""Tools, the choice among them and the answer's format, both ways."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.content import CustomTool, FunctionTool, OutputFormat, Tool, ToolChoice
from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Json
from gateway.dialects.openai_chat.names import MARK, NAME, rest_of
from gateway.dialects.openai_chat.shapes import CHOICES, TOOLS, FunctionDefinition, SchemaFormat
from gateway.dialects.rest import Leftovers, extras, note, own
from gateway.dialects.shapes import check, kind_of

_FUNCTION = {"name", "description", "parameters", "strict"}
_CUSTOM = {"name", "description", "format"}


def decode_tools(fields: dict[str, Json]) -> tuple[Tool, ...]:
    """Translate `tools` and the deprecated `functions`. Raises InvalidRequest."""
    tools = [_decode_tool(raw, f"tools[{number}]") for number, raw in enumerate(fields.get("tools") or ())]
    for number, raw in enumerate(fields.get("functions") or ()):
        check(raw, FunctionDefinition, f"functions[{number}]")
        tools.append(_function(raw, {"$deprecated": True, **extras(raw, _FUNCTION)}))
    return tuple(tools)


def _decode_tool(raw: dict[str, Json], path: str) -> Tool:
    kind = kind_of(raw, path, "A tool")
    if kind not in TOOLS:
        return Foreign(dialect=NAME, raw=raw)
    check(raw, TOOLS[kind], path)
    body = raw[kind]
    rest = extras(raw, {"type", kind, "cache_control"} if kind == "function" else {"type", kind})
    if nested := extras(body, _FUNCTION if kind == "function" else _CUSTOM):
        rest[kind] = nested
    if kind == "function":
        return _function(body, rest, raw.get("cache_control"))
    return CustomTool(
        name=body["name"],
        description=body.get("description"),
        format=_flat(body.get("format")),
        rest=rest_of(rest),
    )


def _function(body: dict[str, Json], rest: dict[str, Json], cache: dict[str, Json] | None = None) -> FunctionTool:
    return FunctionTool(
        name=body["name"],
        description=body.get("description"),
        parameters=body.get("parameters"),
        strict=body.get("strict"),
        cache=cache,
        rest=MARK if cache and not rest else rest_of(rest),
    )


def _flat(form: dict[str, Json] | None) -> dict[str, Json] | None:
    """Chat nests a grammar under `grammar`; the hub has it flat, as the Responses API does."""
    if form and form.get("type") == "grammar" and isinstance(form.get("grammar"), dict):
        return {"type": "grammar", **form["grammar"]}
    return form


def _nested(form: dict[str, Json]) -> dict[str, Json]:
    if form.get("type") == "grammar":
        return {"type": "grammar", "grammar": {name: value for name, value in form.items() if name != "type"}}
    return form


def encode_tools(tools: Sequence[Tool], left: Leftovers) -> dict[str, Json]:
    """Give `tools`, and `functions` for those that came so."""
    wire: list[Json] = []
    functions: list[Json] = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if isinstance(tool, Foreign):
            if tool.dialect == NAME:
                wire.append(tool.raw)
            else:
                left.alien("tool", tool, path)
            continue
        left.foreign(tool.rest, path + ".")
        if note(tool.rest, NAME, "deprecated"):
            functions.append(_encode_function(tool, own(tool.rest, NAME)))
        else:
            wire.append(_encode_tool(tool, left))
    return {name: value for name, value in (("tools", wire), ("functions", functions)) if value}


def names_of(body: dict[str, Json]) -> list[str]:
    """Give the names of the tools in a body that `encode_tools` made."""
    return [tool[tool["type"]]["name"] for tool in body.get("tools", ()) if tool["type"] in TOOLS]


def _encode_tool(tool: FunctionTool | CustomTool, left: Leftovers) -> dict[str, Json]:
    mine = own(tool.rest, NAME)
    if isinstance(tool, CustomTool):
        body: dict[str, Json] = {"name": tool.name, **_given(description=tool.description)}
        if tool.format is not None:
            body["format"] = _nested(tool.format)
        return {"type": "custom", "custom": {**body, **mine.pop("custom", {})}, **mine}
    node = {"type": "function", "function": _encode_function(tool, mine.pop("function", {})), **mine}
    if tool.cache and NAME in tool.rest:
        node["cache_control"] = tool.cache
    elif tool.cache:
        left.hint("cache_control")
    return node


def _encode_function(tool: Tool, more: dict[str, Json]) -> dict[str, Json]:
    assert isinstance(tool, FunctionTool)  # noqa: S101  # custom tools never carry the note that leads here
    given = _given(description=tool.description, parameters=tool.parameters, strict=tool.strict)
    return {"name": tool.name, **given, **more}


def _given(**values: Json) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None}


def decode_choice(raw: str | dict[str, Json], path: str = "tool_choice") -> ToolChoice:
    """Translate `tool_choice`, or the deprecated `function_call`. Raises InvalidRequest."""
    if isinstance(raw, str):
        if raw not in ("auto", "none", "required"):
            msg = f"Expected 'auto', 'none', 'required' or an object: `{path}`."
            raise InvalidRequest(msg, param=path)
        return ToolChoice(mode=raw)  # type: ignore[arg-type]  # checked in the line above
    kind = raw.get("type")
    if kind is None and isinstance(raw.get("name"), str):
        return ToolChoice(mode="named", names=(raw["name"],))
    if kind not in CHOICES:
        return ToolChoice(mode="auto", raw={NAME: raw})
    check(raw, CHOICES[kind], path)
    if kind != "allowed_tools":
        return ToolChoice(mode="named", names=(raw[kind]["name"],))
    allowed = raw["allowed_tools"]
    names = [_allowed_name(tool) for tool in allowed["tools"]]
    if None in names:
        return ToolChoice(mode=allowed["mode"], raw={NAME: raw})
    return ToolChoice(mode=allowed["mode"], names=tuple(name for name in names if name is not None))


def _allowed_name(tool: dict[str, Json]) -> str | None:
    body = tool.get(tool.get("type") or "")
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def encode_choice(choice: ToolChoice, tools: Sequence[Tool], left: Leftovers) -> Json:
    """Give `tool_choice`, None where it was left out by permission."""
    if choice.raw is not None:
        if NAME in choice.raw:
            return choice.raw[NAME]
        left.refuse("tool_choice")
        return None
    custom = {tool.name for tool in tools if isinstance(tool, CustomTool)}
    named = [
        {"type": kind, kind: {"name": name}}
        for name in choice.names
        for kind in ["custom" if name in custom else "function"]
    ]
    if choice.mode == "named":
        return named[0]
    if named and choice.mode != "none":
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}
    return choice.mode


def decode_format(raw: dict[str, Json]) -> OutputFormat | None:
    """Translate `response_format`; None for a form that only its upstream knows. Raises InvalidRequest."""
    kind = raw.get("type")
    if kind in ("text", "json_object"):
        return OutputFormat(kind=kind)
    if kind != "json_schema":
        check(raw, dict, "response_format")
        return None
    check(raw, SchemaFormat, "response_format")
    schema = raw["json_schema"]
    return OutputFormat(
        kind="json_schema",
        name=schema["name"],
        description=schema.get("description"),
        schema=schema.get("schema"),
        strict=schema.get("strict"),
    )


def encode_format(output: OutputFormat) -> dict[str, Json]:
    """Give `response_format`."""
    if output.kind != "json_schema":
        return {"type": output.kind}
    given = _given(description=output.description, schema=output.schema, strict=output.strict)
    return {"type": "json_schema", "json_schema": {"name": output.name or "answer", **given}}
