"""Anthropic's output format and strict tools: closed objects, no recursion, no bounds on numbers and lengths.

Source: platform.claude.com/docs/en/build-with-claude/structured-outputs, "JSON Schema limitations".
"""

from __future__ import annotations

from typing import Any

from gateway.schemas.lowering import subset
from gateway.schemas.lowering.lowered import Lowered

_SUBSET = subset.Subset(
    name="Anthropic's output format",
    keywords=frozenset({"format", "minItems", "pattern"}),
    formats=frozenset(
        {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
    ),
    min_items=frozenset({0, 1}),
    all_required=False,
    object_root=False,
    recursive=False,
    depth=32,
    properties=2_000,
    enum_values=1_000,
)


def lower(schema: dict[str, Any]) -> Lowered:
    """Lower `schema`. Raises UnsupportedSchema where the output format cannot say it."""
    return subset.lower(schema, _SUBSET)
