"""The name of this dialect, and how what it alone knows is kept beside what the hub knows."""

from __future__ import annotations

from gateway.core.items import Json

NAME = "openai_chat"
TITLE = "Chat Completions API"

REASONING_FORMATS = {"anthropic_messages": "anthropic-claude-v1", "openai_responses": "openai-responses-v1"}
"""Origin of an opaque reasoning part -> `format` of `reasoning_details` (OpenRouter's names)."""

ORIGINS = {name: origin for origin, name in REASONING_FORMATS.items()}

UNSURE = "finish_reason"
"""In `Finished.detail[NAME]`: what an upstream said of why it ended, where nobody knows what that means; null where it said nothing."""

MARK: dict[str, Json] = {NAME: {}}
"""A `rest` that says nothing but where its element came from."""


def rest_of(fields: dict[str, Json]) -> dict[str, Json]:
    """Give `fields` as a `rest`, {} when there are none."""
    return {NAME: fields} if fields else {}
