"""How an element was written on this wire, so that it can be written the same again.

The dialect's note `$form` in `rest` says how the writer chose among equal ways to say the same (a plain string or a list, with
or without `type`). Elements that other dialects made have no `rest` of ours at all, and are written in the most widely
understood way.
"""

from __future__ import annotations

from gateway.core.items import Json
from gateway.dialects.rest import Rest, note, own

NAME = "openai_responses"
TITLE = "Responses API"


def keep(fields: dict[str, Json], form: dict[str, Json] | None = None) -> Rest:
    """Give the `rest` of an element read from this wire."""
    return {NAME: {**fields, "$form": form} if form else fields}


def came_from_here(rest: Rest) -> bool:
    """Whether the element was read from this wire."""
    return NAME in rest


def own_fields(rest: Rest) -> Rest:
    """Give the wire's own fields that the hub has no place for."""
    return own(rest, NAME)


def own_form(rest: Rest) -> dict[str, Json]:
    """Give how the element was written; empty where it was written in the plain way, or elsewhere."""
    form: dict[str, Json] | None = note(rest, NAME, "form")
    return form or {}
