"""What the lines of a batch used together, added up from its output when it ends: each answer says it in the way of its API."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.stores.batches import BatchUsage


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Chat Completions, Completions and Embeddings say prompt and completion, Responses input and output."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Body(msgspec.Struct):
    usage: _Usage | None = None


class _Response(msgspec.Struct):
    body: _Body | None = None


class _Line(msgspec.Struct):
    response: _Response | None = None


_read = msgspec.json.Decoder(_Line).decode
_NONE = _Details()


def used(output: Path) -> BatchUsage:
    """Add up an output file. It blocks: for a thread. A line that does not say what it used adds nothing. Raises OSError."""
    total = BatchUsage()
    with output.open("rb") as file:
        for line in file:
            try:
                found = _read(line)
            except msgspec.DecodeError:
                continue
            body = None if found.response is None else found.response.body
            if body is not None and body.usage is not None:
                total = _added(total, body.usage)
    return total


def _added(total: BatchUsage, usage: _Usage) -> BatchUsage:
    into = usage.prompt_tokens_details or usage.input_tokens_details or _NONE
    out = usage.completion_tokens_details or usage.output_tokens_details or _NONE
    return BatchUsage(
        input_tokens=total.input_tokens + (usage.prompt_tokens or usage.input_tokens or 0),
        cached_tokens=total.cached_tokens + (into.cached_tokens or 0),
        output_tokens=total.output_tokens + (usage.completion_tokens or usage.output_tokens or 0),
        reasoning_tokens=total.reasoning_tokens + (out.reasoning_tokens or 0),
    )
