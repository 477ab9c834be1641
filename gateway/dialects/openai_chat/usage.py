"""OpenAI's `usage` object and the hub's disjoint buckets, both ways. Also for the APIs beside chat that share its form."""

from __future__ import annotations

import msgspec

from gateway.core.items import Json
from gateway.core.usage import Usage


class _Details(msgspec.Struct):
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Counts(msgspec.Struct):
    """The figures of `usage` where all of them are integers, as they nearly always are."""

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int = 0
    cached_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_tokens: int = 0


def usage_of(counts: Counts) -> Usage:
    """Give the buckets. `cached_tokens` at the top is Moonshot's, `prompt_cache_hit_tokens` DeepSeek's."""
    read = counts.prompt_cache_hit_tokens or counts.cached_tokens
    write = counts.cache_creation_input_tokens
    reasoning = counts.reasoning_tokens
    if (details := counts.prompt_tokens_details) is not None:
        read = details.cached_tokens or read
        write = details.cache_write_tokens or write
    if (details := counts.completion_tokens_details) is not None:
        reasoning = details.reasoning_tokens or reasoning
    prompt, completion = max(0, counts.prompt_tokens), max(0, counts.completion_tokens)
    if not (read or write or reasoning):
        return Usage(input=prompt, output=completion)
    read = min(max(0, read), prompt)
    write = min(max(0, write), prompt - read)
    reasoning = max(0, reasoning)
    # xAI and Gemini leave reasoning out of `completion_tokens`: the total tells.
    if not reasoning or counts.total_tokens != prompt + completion + reasoning:
        reasoning = min(reasoning, completion)
        completion -= reasoning
    return Usage(
        input=prompt - read - write, cache_read=read, cache_write=write, output=completion, reasoning=reasoning
    )


def decode_usage(raw: Json) -> Usage | None:
    """Read `usage` of OpenAI, vLLM, DeepSeek, OpenRouter, Moonshot, xAI, Gemini; None where there are no figures."""
    if not isinstance(raw, dict) or (raw.get("prompt_tokens") is None and raw.get("total_tokens") is None):
        return None
    try:
        return usage_of(msgspec.convert(raw, Counts))
    except msgspec.ValidationError:
        return usage_of(_mended(raw))


def _mended(raw: dict[str, Json]) -> Counts:
    """Read figures of which some are missing, null, or not integers."""
    # Rankings and some embeddings have only a total.
    prompt = _count(raw, "total_tokens" if raw.get("prompt_tokens") is None else "prompt_tokens")
    details = _dict(raw.get("prompt_tokens_details"))
    return Counts(
        prompt_tokens=prompt,
        completion_tokens=_count(raw, "completion_tokens"),
        total_tokens=_count(raw, "total_tokens"),
        prompt_tokens_details=_Details(
            cached_tokens=_count(details, "cached_tokens"), cache_write_tokens=_count(details, "cache_write_tokens")
        ),
        prompt_cache_hit_tokens=_count(raw, "prompt_cache_hit_tokens"),
        cached_tokens=_count(raw, "cached_tokens"),
        cache_creation_input_tokens=_count(raw, "cache_creation_input_tokens"),
        reasoning_tokens=_count(_dict(raw.get("completion_tokens_details")), "reasoning_tokens")
        or _count(raw, "reasoning_tokens"),
    )


def _dict(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _count(fields: dict[str, Json], name: str) -> int:
    value = fields.get(name)
    return max(0, int(value)) if isinstance(value, int) or (isinstance(value, float) and value.is_integer()) else 0


def encode_usage(usage: Usage, raw: Json = None) -> dict[str, Json]:
    """Write `usage`. `raw` is the upstream's own object: it is given back while it says the same (it may say more)."""
    if isinstance(raw, dict) and raw.get("total_tokens") == usage.total and decode_usage(raw) == usage:
        return raw
    prompt: dict[str, Json] = {"cached_tokens": usage.cache_read}
    if written := usage.cache_write + usage.cache_write_1h:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.total,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
