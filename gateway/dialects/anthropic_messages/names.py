"""The name of this dialect, its tables of reasons, and how what it alone knows is kept beside what the hub knows.

Notes of this dialect to itself (`$…`, see `gateway.dialects.rest`) say in which form something stood on the wire: `$blocks`
(a list where a text would do), `$begins` (a message of its own although the one before has the same role), `$inline` (a
system message among the messages, not in `system`), `$placed` (a tool result that did not come first), `$message` (unknown
fields of the message around an item), and a few of single fields.
"""

from __future__ import annotations

from gateway.core.events import FinishReason
from gateway.core.items import Json

NAME = "anthropic_messages"
TITLE = "Anthropic Messages API"

STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "content_filter": "refusal",
    "pause": "pause_turn",
}
"""The hub's reason -> `stop_reason`."""

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",
}
"""`stop_reason` -> the hub's reason; an unknown one is a `stop`."""


def rest_of(fields: dict[str, Json]) -> dict[str, Json]:
    """Give `fields` as a `rest`, {} when there are none."""
    return {NAME: fields} if fields else {}


def with_notes(rest: dict[str, Json], notes: dict[str, Json]) -> dict[str, Json]:
    """Give `rest` with more of this dialect's own fields or notes."""
    return {**rest, NAME: {**rest.get(NAME, {}), **notes}} if notes else rest
