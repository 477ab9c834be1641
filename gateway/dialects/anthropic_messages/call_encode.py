"""A Prompt to a request for `/v1/messages` or `/v1/messages/count_tokens`.

| the hub | the wire |
|---|---|
| max_output_tokens | `max_tokens`, which the API demands: 4096 when absent, on top of the thinking budget if there is one |
| temperature over 1 | unsupported, never clamped |
| reasoning.budget | `thinking` enabled with `budget_tokens` |
| reasoning.effort none | `thinking` disabled |
| reasoning.effort minimal, low / medium / high / xhigh / max | `thinking` adaptive, `output_config.effort` low / the same |
| reasoning.mode | the type of `thinking` as it is; `effort` then goes to `output_config` alone |
| reasoning.summary | `thinking.display` summarized, where thinking is on |
| output json_schema | `output_config.format`; name, description and strict have no place there |
| output json_object | unsupported: the API promises JSON only with a schema |
| tool_choice required, named | `any`, `tool`; with several allowed names only those tools are sent |
| parallel_tool_calls | `tool_choice.disable_parallel_tool_use`, negated |
| user | `metadata.user_id`; OpenAI's own `metadata` is a label and left out |
| service_tier default | `standard_only`; flex, priority and others are unsupported |
"""

from __future__ import annotations

from gateway.core.content import FunctionTool, OutputFormat, Prompt, ReasoningOptions, Tool, ToolChoice
from gateway.core.items import Foreign, Json
from gateway.dialects.anthropic_messages.messages_encode import encode_messages
from gateway.dialects.anthropic_messages.names import NAME, TITLE
from gateway.dialects.dialect import EncodedCall
from gateway.dialects.rest import Leftovers, note, own
from gateway.dialects.tool_choices import choice_among

Raw = dict[str, Json]

DEFAULT_MAX_TOKENS = 4096

_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only"}
_CHOICES = {"auto": "auto", "required": "any", "none": "none", "named": "tool"}
_NOT_COUNTED = frozenset(
    {"max_tokens", "metadata", "service_tier", "stop_sequences", "stream", "temperature", "top_k", "top_p"}
)


def encode_message_call(prompt: Prompt, *, model: str, stream: bool, drop: bool) -> EncodedCall:
    """Give the request that generates. Raises UnsupportedParameter."""
    left = Leftovers(NAME, TITLE, drop=drop)
    body = _body(prompt, model, left)
    if stream:
        body["stream"] = True
    return EncodedCall(body=body, dropped=left.dropped, refused=left.refused)


def encode_count_call(prompt: Prompt, *, model: str, drop: bool) -> EncodedCall:
    """Give the request that counts: what generates, less what does not change the number. Raises UnsupportedParameter."""
    left = Leftovers(NAME, TITLE, drop=drop)
    body = _body(prompt, model, left)
    return EncodedCall(
        body={name: value for name, value in body.items() if name not in _NOT_COUNTED},
        dropped=left.dropped,
        refused=left.refused,
    )


def _body(prompt: Prompt, model: str, left: Leftovers) -> Raw:
    left.foreign(prompt.rest)
    system, messages = encode_messages(prompt.items, left)
    # Mended fields that hold more than the hub knows are put together from both sides.
    mine = own(prompt.rest, NAME)
    body: Raw = {"model": model, "max_tokens": _max_tokens(prompt)}
    if system is not None:
        body["system"] = system
    tools = _tools(prompt, left)
    if tools or note(prompt.rest, NAME, "tools") is not None:
        body["tools"] = tools
    if (choice := _tool_choice(prompt, tools, left)) is not None:
        body["tool_choice"] = choice
    body["messages"] = messages
    _sampling(prompt, body, left)
    _thinking(prompt, body, left)
    _output(prompt, body, _taken(mine, "output_config"), left)
    _labels(prompt, body, _taken(mine, "metadata"), left)
    if note(prompt.rest, NAME, "stream") is False:
        body["stream"] = False
    body.update(mine)
    return body


def _taken(mine: Raw, name: str) -> Raw | None:
    """Take out the object that the hub's own words will be put on; a null stays where it is."""
    return mine.pop(name) if isinstance(mine.get(name), dict) else None


def _max_tokens(prompt: Prompt) -> int:
    if prompt.max_output_tokens is not None:
        return prompt.max_output_tokens
    budget = prompt.reasoning.budget if prompt.reasoning else None
    return DEFAULT_MAX_TOKENS + (budget or 0)


def _tools(prompt: Prompt, left: Leftovers) -> list[Raw]:
    choice = prompt.tool_choice
    allowed = set(choice.names) if choice and choice.mode != "named" and choice.names else None
    tools: list[Raw] = []
    for number, tool in enumerate(prompt.tools):
        if allowed is not None and (not isinstance(tool, FunctionTool) or tool.name not in allowed):
            continue
        if (raw := _tool(tool, f"tools[{number}]", left)) is not None:
            tools.append(raw)
    return tools


def _tool(tool: Tool, path: str, left: Leftovers) -> Raw | None:
    if isinstance(tool, Foreign) and tool.dialect == NAME:
        return tool.raw
    if not isinstance(tool, FunctionTool):
        if isinstance(tool, Foreign):
            left.alien("tool", tool, path)
        else:
            left.refuse(path, "A tool of type 'custom', which takes free text,")
        return None
    left.foreign(tool.rest, path + ".")
    raw: Raw = {}
    if (kind := note(tool.rest, NAME, "type")) is not None:
        raw["type"] = kind
    raw["name"] = tool.name
    if tool.description is not None:
        raw["description"] = tool.description
    raw["input_schema"] = _schema(tool)
    if tool.strict is not None:
        raw["strict"] = tool.strict
    if tool.cache is not None:
        raw["cache_control"] = tool.cache
    return {**raw, **own(tool.rest, NAME)}


def _schema(tool: FunctionTool) -> Raw:
    schema = tool.parameters or {}
    untyped = "type" not in schema and note(tool.rest, NAME, "untyped") is None
    return {"type": "object", **schema} if untyped else schema


def _tool_choice(prompt: Prompt, tools: list[Raw], left: Leftovers) -> Raw | None:
    names = [tool.get("name", "") for tool in tools]
    # Its own client's choice goes out however odd it is.
    choice = prompt.tool_choice if NAME in prompt.rest else choice_among(prompt.tool_choice, names, left)
    parallel = prompt.parallel_tool_calls
    if choice is None:
        if parallel is False and tools:
            return {"type": "auto", "disable_parallel_tool_use": True}
        return None
    if choice.raw is not None and NAME not in choice.raw:
        left.refuse("tool_choice", "Such a `tool_choice`")
        return None
    wire = _choice(choice)
    if parallel is not None and (wire["type"] != "none" or choice.raw is not None):
        wire["disable_parallel_tool_use"] = not parallel
    return wire


def _choice(choice: ToolChoice) -> Raw:
    if choice.raw is not None:
        return dict(choice.raw[NAME])
    wire: Raw = {"type": _CHOICES[choice.mode]}
    if choice.mode == "named":
        wire["name"] = choice.names[0]
    return wire


def _sampling(prompt: Prompt, body: Raw, left: Leftovers) -> None:
    if prompt.temperature is not None:
        if prompt.temperature > 1:
            left.refuse("temperature", "A `temperature` over 1")
        else:
            body["temperature"] = prompt.temperature
    if prompt.top_p is not None:
        body["top_p"] = prompt.top_p
    if prompt.top_k is not None:
        body["top_k"] = prompt.top_k
    stop = list(prompt.stop)
    if stop or note(prompt.rest, NAME, "stop_sequences") is not None:
        body["stop_sequences"] = stop
    for name, value, neutral in (
        ("seed", prompt.seed, None),
        ("presence_penalty", prompt.presence_penalty, 0),
        ("frequency_penalty", prompt.frequency_penalty, 0),
        ("logprobs", prompt.logprobs, False),
        ("top_logprobs", prompt.top_logprobs, 0),
        ("verbosity", prompt.verbosity, "medium"),
    ):
        if value is not None and value != neutral:
            left.refuse(name)


def _thinking(prompt: Prompt, body: Raw, left: Leftovers) -> None:
    options = prompt.reasoning
    if options is None:
        return
    left.foreign(options.rest, "reasoning.")
    if (thinking := _thinking_config(options)) is not None:
        display = note(options.rest, NAME, "display")
        if display is None and options.summary is not None and thinking["type"] in ("enabled", "adaptive"):
            display = "summarized"
        if display is not None:
            thinking["display"] = display
        body["thinking"] = {**thinking, **own(options.rest, NAME)}
    effort = options.effort
    if effort is None or effort == "none":
        return
    if options.mode is None and effort not in _EFFORTS:
        left.refuse("reasoning.effort", f"A reasoning effort of {effort!r}")
        return
    body["output_config"] = {"effort": _EFFORTS.get(effort, effort)}


def _thinking_config(options: ReasoningOptions) -> Raw | None:
    if options.mode is not None:
        budget = {} if options.budget is None else {"budget_tokens": options.budget}
        return {"type": options.mode, **budget}
    if options.budget is not None:
        return {"type": "enabled", "budget_tokens": options.budget}
    if options.effort == "none":
        return {"type": "disabled"}
    alone = note(options.rest, NAME, "alone")
    return {"type": "adaptive"} if options.effort in _EFFORTS and not alone else None


def _output(prompt: Prompt, body: Raw, more: Raw | None, left: Leftovers) -> None:
    config: Raw = {**body.pop("output_config", {})}
    if (schema_format := _format(prompt.output, left)) is not None:
        schema_format.update(note(prompt.rest, NAME, "format") or {})
        if note(prompt.rest, NAME, "output_format"):
            body["output_format"] = schema_format
        else:
            config["format"] = schema_format
    noted = note(prompt.rest, NAME, "output_config")
    config.update(more or noted or {})
    if config or noted is not None:
        body["output_config"] = config


def _format(output: OutputFormat | None, left: Leftovers) -> Raw | None:
    if output is None or output.kind == "text":
        return None
    if output.kind == "json_object":
        left.refuse("response_format", "JSON without a schema")
        return None
    return {"type": "json_schema", "schema": output.schema if output.schema is not None else {}}


def _labels(prompt: Prompt, body: Raw, more: Raw | None, left: Leftovers) -> None:
    if prompt.metadata is not None:
        left.hint("metadata")
    metadata: Raw = {**({"user_id": prompt.user} if prompt.user is not None else {}), **(more or {})}
    if metadata or more is not None:
        body["metadata"] = metadata
    tier = prompt.service_tier
    if tier in _SERVICE_TIERS:
        body["service_tier"] = _SERVICE_TIERS[tier]
    elif tier is not None:
        left.refuse("service_tier", f"A `service_tier` of {tier!r}")
