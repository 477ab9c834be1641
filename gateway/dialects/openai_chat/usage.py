"""OpenAI's `usage` object and the hub's disjoint buckets, both ways. Also for the APIs beside chat that share its form."""

from __future__ import annotations

from gateway.core.items import Json
from gateway.core.usage import Usage


def decode_usage(raw: Json) -> Usage | None:
    """Read `usage` of OpenAI, vLLM, DeepSeek, OpenRouter, Moonshot, xAI, Gemini; None where there are no figures."""
    if not isinstance(raw, dict) or (raw.get("prompt_tokens") is None and raw.get("total_tokens") is None):
        return None
    details = _dict(raw.get("prompt_tokens_details"))
    # Rankings and some embeddings have only a total.
    prompt = _count(raw, "total_tokens" if raw.get("prompt_tokens") is None else "prompt_tokens")
    read = _count(details, "cached_tokens") or _count(raw, "prompt_cache_hit_tokens") or _count(raw, "cached_tokens")
    write = _count(details, "cache_write_tokens") or _count(raw, "cache_creation_input_tokens")
    read = min(read, prompt)
    write = min(write, prompt - read)
    completion = _count(raw, "completion_tokens")
    reasoning = _count(_dict(raw.get("completion_tokens_details")), "reasoning_tokens")
    reasoning = reasoning or _count(raw, "reasoning_tokens")
    # xAI and Gemini leave reasoning out of `completion_tokens`: the total tells.
    apart = reasoning and _count(raw, "total_tokens") == prompt + completion + reasoning
    return Usage(
        input=prompt - read - write,
        cache_read=read,
        cache_write=write,
        output=completion if apart else max(0, completion - reasoning),
        reasoning=reasoning if apart else min(reasoning, completion),
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
