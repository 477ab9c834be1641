"""Token counts, both ways: this API nests its buckets, the hub keeps them apart."""

from __future__ import annotations

from gateway.core.items import Json
from gateway.core.usage import Usage


def decode_usage(fields: Json) -> Usage | None:
    """Read `usage`; None where there is none. Missing figures count as zero."""
    if not isinstance(fields, dict) or not isinstance(fields.get("input_tokens"), int):
        return None
    read = _count(fields, "input_tokens_details", "cached_tokens")
    write = _count(fields, "input_tokens_details", "cache_write_tokens")
    reasoning = _count(fields, "output_tokens_details", "reasoning_tokens")
    return Usage(
        input=max(0, _figure(fields.get("input_tokens")) - read - write),
        cache_read=read,
        cache_write=write,
        output=max(0, _figure(fields.get("output_tokens")) - reasoning),
        reasoning=reasoning,
    )


def _count(fields: dict[str, Json], group: str, name: str) -> int:
    details = fields.get(group)
    return _figure(details.get(name)) if isinstance(details, dict) else 0


def _figure(value: Json) -> int:
    return value if isinstance(value, int) else 0


def encode_usage(usage: Usage | None) -> dict[str, Json] | None:
    """Write `usage`, with every field that strict clients want."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
