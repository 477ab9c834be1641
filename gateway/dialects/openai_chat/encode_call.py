"""Prompt -> a chat completion request."""

from __future__ import annotations

from gateway.core.content import Prompt
from gateway.core.items import Json
from gateway.dialects.dialect import EncodedCall
from gateway.dialects.openai_chat.decode_call import read_choice, read_reasoning, read_stop
from gateway.dialects.openai_chat.encode_messages import encode_messages
from gateway.dialects.openai_chat.names import NAME, TITLE
from gateway.dialects.openai_chat.tools import decode_format, encode_choice, encode_format, encode_tools, names_of
from gateway.dialects.rest import Leftovers, note, own
from gateway.dialects.thinking import effort_of
from gateway.dialects.tool_choices import choice_among

_PLAIN = (
    *("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
    *("verbosity", "user", "parallel_tool_calls"),
)
_TIERS = {"auto", "default", "flex", "scale", "priority", "fast"}


def encode_call(prompt: Prompt, *, model: str, stream: bool, drop: bool) -> EncodedCall:
    """Translate a prompt, from whichever dialect it came. Raises UnsupportedParameter."""
    left = Leftovers(NAME, TITLE, drop=drop)
    mine = own(prompt.rest, NAME)
    left.foreign(prompt.rest)
    body: dict[str, Json] = {"model": model, "messages": encode_messages(prompt.items, left)}
    body |= encode_tools(prompt.tools, left)
    body |= {name: value for name in _PLAIN if (value := getattr(prompt, name)) is not None}
    if prompt.top_logprobs is not None and NAME not in prompt.rest:
        body["logprobs"] = True
    body |= _limit(prompt)
    body |= _formed(prompt, names_of(body), left)
    if NAME not in prompt.rest and "tools" not in body:
        body.pop("parallel_tool_calls", None)
    body |= _particular(prompt, left)
    _frame(body, mine, stream=stream)
    return EncodedCall(
        body={**body, **{name: value for name, value in mine.items() if name not in body}},
        dropped=left.dropped,
        refused=left.refused,
    )


def _limit(prompt: Prompt) -> dict[str, Json]:
    """`max_tokens` is deprecated and newer models refuse it, so it is used only by who used it."""
    limit, old = prompt.max_output_tokens, note(prompt.rest, NAME, "max_tokens")
    if limit is None:
        return {}
    if old is None:
        return {"max_completion_tokens": limit}
    return {"max_tokens": limit} if old == limit else {"max_completion_tokens": limit, "max_tokens": old}


def _formed(prompt: Prompt, names: list[str], left: Leftovers) -> dict[str, Json]:
    """Give the fields that can be written in several ways: as the caller wrote them, unless a stage changed the value."""
    forms: dict[str, Json] = note(prompt.rest, NAME, "forms") or {}
    kept = {name: forms[name] for name in _unchanged(prompt, forms) if name in forms}
    body: dict[str, Json] = dict(kept)
    if prompt.stop and "stop" not in kept:
        body["stop"] = list(prompt.stop)
    if prompt.output is not None and "response_format" not in kept:
        body["response_format"] = encode_format(prompt.output)
    if prompt.tool_choice is not None and kept.keys().isdisjoint(("tool_choice", "function_call")):
        # Its own client's choice goes out however odd it is.
        chosen = prompt.tool_choice if NAME in prompt.rest else choice_among(prompt.tool_choice, names, left)
        choice = None if chosen is None else encode_choice(chosen, prompt.tools, left)
        body |= {"tool_choice": choice} if choice is not None else {}
    if prompt.reasoning is not None and kept.keys().isdisjoint(("reasoning", "reasoning_effort")):
        left.foreign(prompt.reasoning.rest, "reasoning.")
        if prompt.reasoning.summary is not None:
            left.hint("reasoning.summary")
        effort = effort_of(prompt.reasoning, left)
        body |= {"reasoning_effort": effort} if effort is not None else {}
    return body


def _unchanged(prompt: Prompt, forms: dict[str, Json]) -> list[str]:
    if not forms:
        return []
    names: list[str] = []
    if read_stop(forms) == prompt.stop:
        names.append("stop")
    if "response_format" in forms and decode_format(forms["response_format"]) == prompt.output:
        names.append("response_format")
    if read_choice(forms) == prompt.tool_choice:
        names += ("tool_choice", "function_call")
    if read_reasoning(forms) == prompt.reasoning:
        names += ("reasoning", "reasoning_effort")
    return names


def _particular(prompt: Prompt, left: Leftovers) -> dict[str, Json]:
    """Give the fields that go only to an upstream whose own client set them, and judge them otherwise."""
    body: dict[str, Json] = {}
    at_home = NAME in prompt.rest
    if prompt.top_k is not None:
        if at_home:
            body["top_k"] = prompt.top_k
        else:
            left.refuse("top_k")
    if prompt.metadata is not None:
        if at_home:
            body["metadata"] = prompt.metadata
        else:
            # OpenAI takes it only together with `store`.
            left.hint("metadata")
    if prompt.service_tier is not None:
        if at_home or prompt.service_tier in _TIERS:
            body["service_tier"] = prompt.service_tier
        else:
            left.hint("service_tier")
    return body


def _frame(body: dict[str, Json], mine: dict[str, Json], *, stream: bool) -> None:
    """Say whether to stream; what the caller said about it holds only where it agrees."""
    options = mine.pop("stream_options", None)
    said = mine.pop("stream", ...)
    if stream:
        body["stream"] = True
        body["stream_options"] = {**(options or {}), "include_usage": True}
    elif not said:
        body["stream"] = said
