"""OpenAI's strict mode, for `response_format` and for tools: every member required, nothing beside the listed members.

Source: platform.openai.com/docs/guides/structured-outputs, "Supported schemas".
"""

from __future__ import annotations

from typing import Any

from gateway.schemas.lowering import subset
from gateway.schemas.lowering.lowered import Lowered

_SUBSET = subset.Subset(
    name="OpenAI's strict mode",
    keywords=frozenset(
        {
            *("pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
            *("minItems", "maxItems"),
        },
    ),
    formats=frozenset(
        {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"},
    ),
    all_required=True,
    object_root=True,
    recursive=True,
    depth=10,
    properties=5_000,
    enum_values=1_000,
)


def lower(schema: dict[str, Any]) -> Lowered:
    """Lower `schema`. Raises UnsupportedSchema where strict mode cannot say it."""
    return subset.lower(schema, _SUBSET)
