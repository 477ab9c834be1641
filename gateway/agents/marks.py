"""What providers put on the calls that their models ask for, and want back with them, such as Gemini's thought signatures.

A run keeps its calls in the form of the Responses API, which has no place for it; so it is kept beside them, and put back where the model is
asked again. A dialect writes its own alone: another provider's model is not told. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.core.items import Item, Json, ToolCall

_OF_THE_WIRE: Final = frozenset({"index", "status", "type"})
"""Fields that say how a call was written, not what it is."""


def marks_of(call: ToolCall) -> dict[str, Json]:
    """Give what is to be kept of a call besides what is known of it: fields by dialect."""
    kept = {
        dialect: {name: value for name, value in fields.items() if name not in _OF_THE_WIRE and name[:1] != "$"}
        for dialect, fields in call.rest.items()
    }
    return {dialect: fields for dialect, fields in kept.items() if fields}


def marked(items: Sequence[Item], marks: Mapping[str, dict[str, Json]]) -> tuple[Item, ...]:
    """Give items with what was put on their calls; `marks` are by the id of the call."""
    return tuple(
        msgspec.structs.replace(item, rest={**item.rest, **marks[item.call_id]})
        if isinstance(item, ToolCall) and item.call_id in marks
        else item
        for item in items
    )
