"""A request of `/v1/messages` or `/v1/messages/count_tokens`: from the wire to a Prompt.

Thinking becomes ReasoningOptions: `type` is its `mode`, `budget_tokens` its `budget`, `output_config.effort` its `effort`,
and a `display` of "summarized" asks for a `summary` ("auto"). A `service_tier` of "standard_only" is OpenAI's "default".
"""

from __future__ import annotations

from gateway.core.content import (
    FunctionTool,
    OutputFormat,
    Prompt,
    ReasoningOptions,
    Tool,
    ToolChoice,
)
from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Item, Json
from gateway.dialects.anthropic_messages.messages_decode import decode_messages, decode_system
from gateway.dialects.anthropic_messages.names import NAME, rest_of
from gateway.dialects.anthropic_messages.shapes import (
    Body,
    Choice,
    Metadata,
    OutputConfig,
    SchemaFormat,
    Thinking,
    ToolDefinition,
)
from gateway.dialects.rest import extras
from gateway.dialects.shapes import check

Raw = dict[str, Json]

SERVICE_TIERS = {"auto": "auto", "standard_only": "default"}

_LOWERED = frozenset(
    {
        "max_tokens", "messages", "metadata", "model", "output_config", "output_format", "service_tier", "stop_sequences",
        "stream", "system", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p",
    }
)  # fmt: skip
_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}


def decode_message_call(fields: Raw) -> Prompt:
    """Translate a request that generates. Raises InvalidRequest with `param`."""
    prompt = decode_prompt(fields)
    if prompt.max_output_tokens is None:
        msg = "Missing required parameter: `max_tokens`."
        raise InvalidRequest(msg, param="max_tokens")
    return prompt


def decode_prompt(fields: Raw) -> Prompt:
    """Translate a request, `max_tokens` or not. Raises InvalidRequest with `param`."""
    body = check(fields, Body)
    rest = extras(fields, _LOWERED)
    choice = _choice(body.tool_choice) if body.tool_choice is not None else None
    return Prompt(
        items=tuple(_items(body)),
        tools=tuple(_tool(raw, f"tools[{number}]") for number, raw in enumerate(body.tools or ())),
        tool_choice=choice,
        parallel_tool_calls=_parallel(body.tool_choice),
        output=_output(body, rest),
        max_output_tokens=body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=tuple(body.stop_sequences or ()),
        reasoning=_reasoning(body, rest),
        user=_user(body.metadata, rest),
        service_tier=_service_tier(body.service_tier, rest),
        # Even if it holds nothing, it says where the prompt came from.
        rest={NAME: {**rest, **_empties(fields)}},
    )


def _items(body: Body) -> list[Item]:
    items = decode_messages(body.messages)
    return items if body.system is None else [decode_system(body.system), *items]


def _empties(fields: Raw) -> Raw:
    """Note what says nothing but was there: it goes back as it came."""
    notes: Raw = {}
    if fields.get("stream") is False:
        notes["$stream"] = False
    if fields.get("tools") == []:
        notes["$tools"] = []
    if fields.get("stop_sequences") == []:
        notes["$stop_sequences"] = []
    return notes


def _tool(raw: Raw, path: str) -> Tool:
    kind = raw.get("type")
    if kind not in (None, "custom"):
        if not isinstance(kind, str):
            msg = f"Expected a string: `{path}.type`."
            raise InvalidRequest(msg, param=f"{path}.type")
        return Foreign(dialect=NAME, raw=raw)
    definition = check(raw, ToolDefinition, path)
    unknown = extras(raw, {*ToolDefinition.__struct_fields__})
    if kind:
        unknown["$type"] = kind
    if "type" not in definition.input_schema:
        unknown["$untyped"] = True
    return FunctionTool(
        name=definition.name,
        description=definition.description,
        parameters=definition.input_schema,
        strict=definition.strict,
        cache=definition.cache_control,
        rest=rest_of(unknown),
    )


def _choice(raw: Raw) -> ToolChoice:
    choice = check(raw, Choice, "tool_choice")
    if choice.type == "tool" and choice.name is None:
        msg = "Missing required parameter: `tool_choice.name`."
        raise InvalidRequest(msg, param="tool_choice.name")
    mode = _MODES[choice.type]
    names = (choice.name,) if choice.type == "tool" and choice.name is not None else ()
    has_more = bool(extras(raw, {"type", "name", "disable_parallel_tool_use"}))
    return ToolChoice(mode=mode, names=names, raw={NAME: raw} if has_more else None)  # type: ignore[arg-type]  # the table has only its words


def _parallel(raw: Raw | None) -> bool | None:
    disabled = raw.get("disable_parallel_tool_use") if raw else None
    return None if disabled is None else not disabled


def _output(body: Body, rest: Raw) -> OutputFormat | None:
    if body.output_config is not None and isinstance(raw := body.output_config.get("format"), dict):
        path = "output_config.format"
        if body.output_format is not None:
            rest["output_format"] = body.output_format
    elif body.output_format is not None:
        raw, path = body.output_format, "output_format"
        rest["$output_format"] = True
    else:
        return None
    wanted = check(raw, SchemaFormat, path)
    if unknown := extras(raw, {"type", "schema"}):
        rest["$format"] = unknown
    return OutputFormat(kind="json_schema", schema=wanted.schema)


def _reasoning(body: Body, rest: Raw) -> ReasoningOptions | None:
    if body.output_config is not None:
        check(body.output_config, OutputConfig, "output_config")
        unknown = extras(body.output_config, {"effort", "format"})
        if unknown or not body.output_config:
            # Nothing but nulls asks for nothing: a note, which other dialects pass over.
            asks = any(value is not None for value in unknown.values())
            rest["output_config" if asks else "$output_config"] = unknown
    effort = body.output_config.get("effort") if body.output_config else None
    if body.thinking is None:
        return ReasoningOptions(effort=effort, rest=rest_of({"$alone": True})) if effort is not None else None
    thinking = check(body.thinking, Thinking, "thinking")
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        msg = "Missing required parameter: `thinking.budget_tokens`."
        raise InvalidRequest(msg, param="thinking.budget_tokens")
    unknown = extras(body.thinking, {"type", "budget_tokens", "display"})
    if thinking.display not in (None, "summarized"):
        # How thinking is shown does not change the answer: a note, which other dialects pass over.
        unknown["$display"] = thinking.display
    return ReasoningOptions(
        effort=effort,
        budget=thinking.budget_tokens,
        mode=thinking.type,
        summary="auto" if thinking.display == "summarized" else None,
        rest=rest_of(unknown),
    )


def _user(metadata: Raw | None, rest: Raw) -> str | None:
    if metadata is None:
        return None
    found = check(metadata, Metadata, "metadata")
    unknown = extras(metadata, {"user_id"})
    if unknown or not metadata:
        rest["metadata"] = unknown
    return found.user_id


def _service_tier(tier: str | None, rest: Raw) -> str | None:
    if tier is None or tier in SERVICE_TIERS:
        return SERVICE_TIERS.get(tier or "")
    rest["service_tier"] = tier
    return None
