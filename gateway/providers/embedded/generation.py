"""Generation requests: what OpenAI's /v1/chat/completions and /v1/completions ask for, as requests to llama.cpp. Pure.

Accepted on both, all else is a 400 that names it (null, [] and {} ask for nothing and are let through):
model, stream, stream_options.include_usage, temperature, top_p, top_k, min_p, seed, presence_penalty, frequency_penalty,
repetition_penalty, logit_bias, stop, max_tokens, n, logprobs; and what changes no answer: the hints of `request_fields`,
structured_outputs (json, json_object, regex, choice, grammar: vLLM's), modalities=["text"], reasoning_effort=none, service_tier=auto|default.
Chat only: messages (text), max_completion_tokens, top_logprobs, response_format, tools (functions), tool_choice,
parallel_tool_calls (several calls in one answer only where it says true: a tiny model repeats itself), verbosity=medium.
Completions only: prompt (a string, strings, token ids), echo=false, best_of=1.
What is not given has llama.cpp's defaults: temperature 0.8, top_k 40, top_p 0.95, min_p 0.05. An answer without a limit of its
own ends after 512 tokens (completions: 16, as at OpenAI) with finish_reason length: a tiny model seldom ends by itself.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.providers.embedded import request_fields as field
from gateway.providers.embedded.conversation import read_messages
from gateway.providers.embedded.promises import Promise, read_promise
from gateway.providers.embedded.room import ROOM
from gateway.providers.embedded.structured import lark_grammar
from gateway.providers.embedded.tool_calls import ToolPlan, grammar
from gateway.providers.embedded.tool_choice import read_tools
from gateway.providers.vllm.fields import RENAMED

Kind = Literal["chat", "text"]

MOST_PROMPTS = 16
MOST_STOPS = 16
DEFAULT_LIMIT = 512
DEFAULT_TEXT_LIMIT = 16

_BOTH = frozenset(
    {
        *("model", "stream", "stream_options", "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty"),
        *("frequency_penalty", "repetition_penalty", "logit_bias", "stop", "max_tokens", "n", "logprobs"),
        "structured_outputs",
        *field.HINTS,
    },
)
_CHAT = _BOTH | {
    *(
        "messages",
        "max_completion_tokens",
        "top_logprobs",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
    ),
}
_TEXT = _BOTH | {"prompt"}
_INERT = {
    "modalities": (["text"],),
    "reasoning_effort": ("none",),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "echo": (False,),
    "best_of": (1,),
}


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask of the engine: one native request a choice, in the order of the choices, `n` for each prompt.

    `top_logprobs` is None where no log-probabilities are wanted, else how many alternatives a token gets. `promise` is what a
    finished text was promised to be.
    """

    kind: Kind
    requests: tuple[dict[str, Any], ...]
    n: int
    stream: bool
    include_usage: bool
    top_logprobs: int | None
    tools: ToolPlan | None = None
    promise: Promise | None = None


def read_chat(body: dict[str, Any], *, slots: int, end: int | None = None, room: int = ROOM) -> Generation:
    """Read the body of /v1/chat/completions; `end` is the model's end token, `room` the tokens that an answer can have.

    Raises InvalidRequest (or a kind of it) naming what is wrong.
    """
    field.refuse_unknown(body, _CHAT | RENAMED.keys(), inert=_INERT)
    tools = read_tools(body)
    native = _sampling(body)
    limit = field.integer(body, "max_completion_tokens", 1, 1_000_000)
    if limit is not None:
        native["max_tokens"] = limit
    native.setdefault("max_tokens", DEFAULT_LIMIT)
    promise = read_promise(body, room=room)
    constraint = _grammar(promise, tools, end, room)
    if constraint is not None:
        native["grammar"] = constraint
    top = field.integer(body, "top_logprobs", 0, 20)
    if top is not None and not body.get("logprobs"):
        raise InvalidRequest("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    if field.boolean(body, "logprobs"):
        top = top or 0
        native |= {"logprobs": True, "top_logprobs": max(1, top)}
    native["messages"] = read_messages(field.required(body, "messages"), tools)
    wanted = _generation(body, "chat", [native], slots=slots, top_logprobs=top, tools=tools)
    return msgspec.structs.replace(wanted, promise=promise)


def read_text(body: dict[str, Any], *, slots: int, end: int | None = None, room: int = ROOM) -> Generation:
    """Read the body of /v1/completions; `end` and `room` as above. Raises InvalidRequest (or a kind of it) naming what is wrong."""
    field.refuse_unknown(body, _TEXT | RENAMED.keys(), inert=_INERT)
    native = _sampling(body)
    native.setdefault("max_tokens", DEFAULT_TEXT_LIMIT)
    promise = read_promise(body, room=room)
    constraint = _grammar(promise, None, end, room)
    if constraint is not None:
        native["grammar"] = constraint
    top = field.integer(body, "logprobs", 0, 5)
    if top is not None:
        native["n_probs"] = max(1, top)
    prompts = [{**native, "prompt": prompt} for prompt in _prompts(field.required(body, "prompt"))]
    wanted = _generation(body, "text", prompts, slots=slots, top_logprobs=top)
    return msgspec.structs.replace(wanted, promise=promise)


def try_form(body: dict[str, Any], *, room: int) -> str | None:
    """Compile what a body asks of its answer's form, and give the grammar. Raises InvalidRequest (or a kind of it)."""
    return _grammar(read_promise(body, room=room), read_tools(body), None, room)


def _generation(
    body: dict[str, Any],
    kind: Kind,
    natives: list[dict[str, Any]],
    *,
    slots: int,
    top_logprobs: int | None,
    tools: ToolPlan | None = None,
) -> Generation:
    n = field.integer(body, "n", 1, slots) or 1
    options = field.mapping(body.get("stream_options") or {}, "stream_options")
    field.refuse_unknown(options, ("include_usage",), what="stream_options.", inert={"include_obfuscation": (False,)})
    seed = field.integer(body, "seed", -(2**63), 2**63 - 1)
    requests = tuple(_seeded(native, seed, number) for native in natives for number in range(n))
    return Generation(
        kind=kind,
        requests=requests,
        n=n,
        stream=bool(field.boolean(body, "stream")),
        include_usage=bool(field.boolean(options, "include_usage")),
        top_logprobs=top_logprobs,
        tools=tools,
    )


def _seeded(native: dict[str, Any], seed: int | None, number: int) -> dict[str, Any]:
    if seed is None:
        return native
    # A prompt that is read from the cache is computed in other batches, and rounds differently: not with a seed.
    return {**native, "seed": (seed + number) % 2**32, "cache_prompt": False}


def _sampling(body: dict[str, Any]) -> dict[str, Any]:
    values = {
        "temperature": field.number(body, "temperature", 0, 2),
        "top_p": field.number(body, "top_p", 0, 1),
        "top_k": field.integer(body, "top_k", 0, 1_000_000),
        "min_p": field.number(body, "min_p", 0, 1),
        "presence_penalty": field.number(body, "presence_penalty", -2, 2),
        "frequency_penalty": field.number(body, "frequency_penalty", -2, 2),
        "repeat_penalty": field.number(body, "repetition_penalty", 0.01, 10),
        "max_tokens": field.integer(body, "max_tokens", 1, 1_000_000),
        "logit_bias": _logit_bias(body.get("logit_bias")),
        "stop": _stops(body.get("stop")),
    }
    given = {name: value for name, value in values.items() if value is not None}
    # Only then does llama.cpp say which stop string it met.
    return {**given, "verbose": True} if "stop" in given else given


def _logit_bias(value: Any) -> list[list[float]] | None:
    if not value:
        return None
    biases = field.mapping(value, "logit_bias")
    for token, bias in biases.items():
        wrong = isinstance(bias, bool) or not isinstance(bias, (int, float)) or not -100 <= bias <= 100
        if wrong or not (token.isascii() and token.isdigit() and len(token) < 10):
            raise InvalidRequest("'logit_bias' maps token ids to numbers from -100 to 100.", param="logit_bias")
    return [[int(token), bias] for token, bias in biases.items()]


def _stops(value: Any) -> list[str] | None:
    if value is None or value == []:
        return None
    stops = [value] if isinstance(value, str) else field.sequence(value, "stop")
    if len(stops) > MOST_STOPS or not all(isinstance(stop, str) and stop for stop in stops):
        raise InvalidRequest(f"'stop' is a string or at most {MOST_STOPS} of them, none empty.", param="stop")
    return stops


def _prompts(value: Any) -> list[Any]:
    if isinstance(value, str) or (isinstance(value, list) and value and _is_token(value[0])):
        value = [value]
    prompts = value if isinstance(value, list) else ()
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        message = f"'prompt' is a string, an array of token ids, or an array of 1 to {MOST_PROMPTS} of either."
        raise InvalidRequest(message, param="prompt")
    for prompt in prompts:
        tokens = isinstance(prompt, list) and all(_is_token(token) for token in prompt)
        if not prompt or not (isinstance(prompt, str) or tokens):
            raise InvalidRequest("'prompt' takes non-empty strings or arrays of token ids.", param="prompt")
    return list(prompts)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _grammar(promise: Promise | None, tools: ToolPlan | None, end: int | None, room: int) -> str | None:
    if tools is None:
        return None if promise is None else lark_grammar(promise.rules, end=end)
    if promise is not None and promise.kind != "schema":
        raise InvalidRequest("'structured_outputs' with tools takes a schema only.", param=promise.param)
    document = None if promise is None else promise.rules.partition("%json ")[2]
    return grammar(tools, document=document, end=end, room=room)
