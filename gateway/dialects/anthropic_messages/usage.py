"""Token counts, both ways: Anthropic's `input_tokens` leaves out the cache already, its `output_tokens` includes thinking."""

from __future__ import annotations

from gateway.core.items import Json
from gateway.core.usage import Usage

_KNOWN = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens_details",
    }
)


def decode_usage(fields: dict[str, Json]) -> Usage:
    """Translate a `usage` object into disjoint buckets. Fields that are absent, null or no counts are 0."""
    written = _count(fields, "cache_creation_input_tokens")
    split = fields.get("cache_creation")
    details = fields.get("output_tokens_details")
    hour = _count(split, "ephemeral_1h_input_tokens") if isinstance(split, dict) else 0
    five = _count(split, "ephemeral_5m_input_tokens") if isinstance(split, dict) else 0
    output = _count(fields, "output_tokens")
    thinking = min(output, _count(details, "thinking_tokens")) if isinstance(details, dict) else 0
    return Usage(
        input=_count(fields, "input_tokens"),
        cache_read=_count(fields, "cache_read_input_tokens"),
        cache_write=max(written - hour, five),
        cache_write_1h=hour,
        output=output - thinking,
        reasoning=thinking,
    )


def _count(fields: dict[str, Json], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def usage_extras(fields: dict[str, Json]) -> dict[str, Json]:
    """Give what a `usage` object says beyond the buckets (service tier, server tools …)."""
    return {name: value for name, value in fields.items() if name not in _KNOWN}


def merge_usage(first: dict[str, Json], later: dict[str, Json]) -> dict[str, Json]:
    """Put a later `usage` over an earlier one: counts are totals so far, and null or absent leaves the earlier value."""
    return {**first, **{name: value for name, value in later.items() if value is not None or name not in first}}


def encode_usage(usage: Usage | None, extra: dict[str, Json] | None = None) -> dict[str, Json]:
    """Give the `usage` object; unknown is 0, because clients need numbers."""
    usage = usage or Usage()
    wire: dict[str, Json] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output_total,
    }
    if usage.cache_write or usage.cache_write_1h:
        wire["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return {**wire, **(extra or {})}
