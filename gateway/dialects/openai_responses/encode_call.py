"""The hub's prompt to a request body for an upstream that speaks this API: OpenAI's, or vLLM's `/v1/responses`.

`store: false` is sent unless the client said otherwise in this dialect: who translates must not make others store. Encrypted
reasoning is asked for where the client did, and, for clients of other APIs, where they speak of reasoning: they send back what
this server made of it, and models that do not think refuse to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from gateway.core.content import OutputFormat, Prompt, ReasoningOptions
from gateway.core.errors import InvalidRequest
from gateway.core.items import Item, Json, Message, Text, ToolResult
from gateway.dialects.dialect import EncodedCall
from gateway.dialects.openai_responses.decode_call import LOGPROBS
from gateway.dialects.openai_responses.encode_items import encode_item
from gateway.dialects.openai_responses.tools import encode_tool_choice, encode_tools
from gateway.dialects.openai_responses.written import NAME, TITLE, came_from_here, own_fields, own_form
from gateway.dialects.rest import Leftovers, Rest, note
from gateway.dialects.thinking import effort_of
from gateway.dialects.tool_choices import calls_left_out, choice_among

_SAME_ELSEWHERE = (
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
)
"""Fields that Chat Completions has under the same name with the same meaning."""

_EXTENSIONS = ("top_k", "seed", "presence_penalty", "frequency_penalty")
"""Not in OpenAI's API, but some servers' take them: passed on for a client that wrote them in this dialect."""

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_ENCRYPTED = "reasoning.encrypted_content"


def encode_prompt(prompt: Prompt, *, model: str, stream: bool, drop: bool) -> EncodedCall:
    """Translate a prompt. Raises InvalidRequest where nothing is said, UnsupportedParameter, or names the loss when `drop` permits it."""
    left = Leftovers(NAME, TITLE, drop=drop)
    body: dict[str, Json] = {"model": model}
    _put_items(body, prompt.items, left)
    _put_tools(body, prompt, left)
    _put_sampling(body, prompt, left)
    _put_form(body, prompt, left)
    _put_rest(body, prompt, left)
    if not body["input"] and not came_from_here(prompt.rest):
        msg = f"The {TITLE}, which would serve this call, needs at least one message."
        raise InvalidRequest(msg, param="input")
    if stream:
        body["stream"] = True
    return EncodedCall(body=body, dropped=left.dropped, refused=left.refused)


def _put_items(body: dict[str, Json], items: Sequence[Item], left: Leftovers) -> None:
    written: list[Json] = []
    unheard = calls_left_out(items, NAME)
    for number, item in enumerate(items):
        if isinstance(item, ToolResult) and item.call_id in unheard:
            left.refuse(f"input[{number}]")
        elif "instructions" not in body and _is_instructions(item):
            body["instructions"] = "\n\n".join(part.text for part in item.parts if isinstance(part, Text))
        elif (wire := encode_item(item, number, left)) is not None:
            written.append(wire)
    said = items[-1] if items else None
    if len(written) == 1 and isinstance(said, Message) and own_form(said.rest).get("input") == "string":
        body["input"] = written[0]["content"]
    else:
        body["input"] = written


def _is_instructions(item: Item) -> TypeGuard[Message]:
    return isinstance(item, Message) and own_form(item.rest).get("field") == "instructions"


def _put_tools(body: dict[str, Json], prompt: Prompt, left: Leftovers) -> None:
    if tools := encode_tools(prompt.tools, left):
        body["tools"] = tools
    names = [str(tool.get("name")) for tool in tools]
    # Its own client's choice goes out however odd it is.
    chosen = prompt.tool_choice if came_from_here(prompt.rest) else choice_among(prompt.tool_choice, names, left)
    if chosen is not None and (choice := encode_tool_choice(chosen, prompt.tools, left)) is not None:
        body["tool_choice"] = choice
    if prompt.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = prompt.parallel_tool_calls


def _put_sampling(body: dict[str, Json], prompt: Prompt, left: Leftovers) -> None:
    for name in ("max_output_tokens", "temperature", "top_p", "top_logprobs"):
        if (value := getattr(prompt, name)) is not None:
            body[name] = value
    extensions = {name: getattr(prompt, name) for name in _EXTENSIONS} | {"stop": _stop(prompt)}
    for name, value in extensions.items():
        if value is None:
            continue
        if came_from_here(prompt.rest):
            body[name] = value
        elif not (name.endswith("penalty") and value == 0):
            left.refuse(name)


def _stop(prompt: Prompt) -> list[str] | str | None:
    one = len(prompt.stop) == 1 and own_form(prompt.rest).get("stop") == "string"
    return prompt.stop[0] if one else list(prompt.stop) or None


def _put_form(body: dict[str, Json], prompt: Prompt, left: Leftovers) -> None:
    text: dict[str, Json] = {} if prompt.output is None else {"format": _format(prompt.output)}
    if prompt.verbosity is not None:
        text["verbosity"] = prompt.verbosity
    if text:
        body["text"] = text
    if prompt.reasoning is not None and (reasoning := _reasoning(prompt.reasoning, left)) is not None:
        body["reasoning"] = reasoning


def _format(output: OutputFormat) -> dict[str, Json]:
    if output.kind != "json_schema":
        return {"type": output.kind}
    fields: dict[str, Json] = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema or {}}
    if output.description is not None:
        fields["description"] = output.description
    if output.strict is not None:
        fields["strict"] = output.strict
    return fields


def _reasoning(options: ReasoningOptions, left: Leftovers) -> dict[str, Json] | None:
    left.foreign(options.rest, "reasoning.")
    fields: dict[str, Json] = {}
    if (effort := effort_of(options, left)) is not None:
        fields["effort"] = effort
    if options.summary is not None:
        fields["summary"] = options.summary
    fields = {**own_fields(options.rest), **fields}
    return fields if fields or came_from_here(options.rest) else None


def _put_rest(body: dict[str, Json], prompt: Prompt, left: Leftovers) -> None:
    if prompt.metadata is not None:
        body["metadata"] = prompt.metadata
    if prompt.service_tier is not None:
        if prompt.service_tier in _TIERS or came_from_here(prompt.rest):
            body["service_tier"] = prompt.service_tier
        else:
            left.hint("service_tier")
    _put_foreign(body, prompt.rest, left)
    for name, value in own_fields(prompt.rest).items():
        body[name] = _merged(value, body[name]) if name in body else value
    if prompt.user is not None and prompt.user != body.get("safety_identifier"):
        body["user"] = prompt.user
    if prompt.logprobs:
        body["include"] = note(prompt.rest, NAME, "include") or [*body.get("include", ()), LOGPROBS]
    if not came_from_here(prompt.rest) and _speaks_of_reasoning(body):
        body["include"] = [*body.get("include", ()), _ENCRYPTED]
    body.setdefault("store", False)


def _speaks_of_reasoning(body: dict[str, Json]) -> bool:
    asked = body.get("reasoning")
    if asked is not None:
        return bool(asked.get("effort") != "none")
    return any(isinstance(item, dict) and item.get("type") == "reasoning" for item in body["input"])


def _put_foreign(body: dict[str, Json], rest: Rest, left: Leftovers) -> None:
    chat = rest.get("openai_chat", {})
    body.update({name: chat[name] for name in _SAME_ELSEWHERE if chat.get(name) is not None})
    unplaced = {name: value for name, value in chat.items() if name not in _SAME_ELSEWHERE}
    left.foreign({**rest, "openai_chat": unplaced} if chat else rest)


def _merged(kept: Json, said: Json) -> Json:
    """Put unknown fields back beside the known ones, which win: a stage may have changed them."""
    if not isinstance(kept, dict) or not isinstance(said, dict):
        return said
    return {**kept, **{name: _merged(kept[name], value) if name in kept else value for name, value in said.items()}}
