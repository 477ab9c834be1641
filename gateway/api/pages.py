"""Lists in pages, as OpenAI's API has them: what a query may ask, and what a page says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.api.admin_shapes import Body, Cursor

Includable = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]
Include = Annotated[
    tuple[Includable, ...], Meta(max_length=20, description="Taken; whatever is kept of an item is shown in any case.")
]
INCLUDE = ("include",)
"""Parameters that may be given more than once."""


class IncludeQuery(Body, frozen=True, kw_only=True):
    """What to show of an item."""

    include: Include = ()


class ItemsQuery(IncludeQuery, frozen=True, kw_only=True):
    """Which items to list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Items of a page.")] = 20
    order: Literal["asc", "desc"] = "desc"
    after: Annotated[Cursor, Meta(description="Id of the last item of the page before.")] = ""


def page_of(entries: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Give a page."""
    return {
        "object": "list",
        "data": entries,
        "first_id": entries[0]["id"] if entries else None,
        "last_id": entries[-1]["id"] if entries else None,
        "has_more": has_more,
    }


def pick(items: Sequence[dict[str, Any]], query: ItemsQuery) -> dict[str, Any]:
    """Give the page of all `items` (the oldest first) that a query asks for."""
    ordered = list(items) if query.order == "asc" else list(reversed(items))
    if query.after:
        places = [place for place, item in enumerate(ordered) if item["id"] == query.after]
        ordered = ordered[places[0] + 1 :] if places else []
    return page_of(ordered[: query.limit], has_more=len(ordered) > query.limit)
