"""A chat completion request -> Prompt."""

from __future__ import annotations

from gateway.core.content import Prompt, ReasoningOptions, ToolChoice
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.dialects.openai_chat.decode_messages import decode_messages
from gateway.dialects.openai_chat.names import NAME
from gateway.dialects.openai_chat.shapes import Body
from gateway.dialects.openai_chat.tools import decode_choice, decode_format, decode_tools
from gateway.dialects.rest import extras
from gateway.dialects.shapes import check

SAME = (
    *("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
    *("verbosity", "user", "metadata", "service_tier", "parallel_tool_calls"),
)
"""Fields that the hub has under the same name and in the same form."""

FORMED = ("stop", "response_format", "tool_choice", "function_call", "reasoning_effort", "reasoning")
"""Fields that can be written in several ways: the way is noted, and taken again while the hub's value is still the same."""

_HUB_FIELDS = {"model", "messages", "tools", "functions", "max_tokens", "max_completion_tokens", *SAME, *FORMED}


def decode_call(fields: dict[str, Json]) -> Prompt:
    """Translate a request body. Raises InvalidRequest with `param` set to the path of the fault."""
    check(fields, Body)
    if not fields["messages"]:
        msg = "`messages` must hold at least one message."
        raise InvalidRequest(msg, param="messages")
    rest = extras(fields, _HUB_FIELDS)
    _note_forms(fields, rest)
    output = decode_format(fields["response_format"]) if fields.get("response_format") else None
    if output is None and fields.get("response_format"):
        rest["response_format"] = fields["response_format"]
    return Prompt(
        items=decode_messages(fields["messages"]),
        tools=decode_tools(fields),
        tool_choice=read_choice(fields),
        output=output,
        max_output_tokens=_first(fields, "max_completion_tokens", "max_tokens"),
        stop=read_stop(fields),
        reasoning=read_reasoning(fields),
        rest={NAME: rest},
        **{name: fields[name] for name in SAME if fields.get(name) is not None},
    )


def _note_forms(fields: dict[str, Json], rest: dict[str, Json]) -> None:
    if forms := {name: fields[name] for name in FORMED if fields.get(name) is not None}:
        rest["$forms"] = forms
    if (limit := fields.get("max_tokens")) is not None:
        rest["$max_tokens"] = limit
    for name in ("tools", "functions"):
        if fields.get(name) == []:
            rest[name] = []


def _first(fields: dict[str, Json], *names: str) -> Json:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def read_stop(fields: dict[str, Json]) -> tuple[str, ...]:
    """Give the stop sequences."""
    stop = fields.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def read_choice(fields: dict[str, Json]) -> ToolChoice | None:
    """Give the choice of tools, from either field. Raises InvalidRequest."""
    if fields.get("tool_choice") is not None:
        return decode_choice(fields["tool_choice"])
    if fields.get("function_call") is not None:
        return decode_choice(fields["function_call"], "function_call")
    return None


def read_reasoning(fields: dict[str, Json]) -> ReasoningOptions | None:
    """Give how much to think: `reasoning_effort`, or OpenRouter's object `reasoning`. Raises InvalidRequest."""
    options: dict[str, Json] = fields.get("reasoning") or {}
    effort = fields.get("reasoning_effort") or options.get("effort")
    budget = options.get("max_tokens")
    for name, value, kind in (("effort", effort, str), ("max_tokens", budget, int)):
        if value is not None and not isinstance(value, kind):
            msg = f"Expected {'a string' if kind is str else 'an integer'}: `reasoning.{name}`."
            raise InvalidRequest(msg, param=f"reasoning.{name}")
    if options.get("enabled") is False:
        effort = "none"
    enabled = options.get("enabled") is True and effort is None and budget is None
    if effort is None and budget is None and not enabled:
        return None
    return ReasoningOptions(effort=effort, budget=budget, mode="enabled" if enabled else None)
