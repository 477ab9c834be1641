"""What a guardrail says about texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec


class Edit(NamedTuple):
    """Put `text` in the place of `[start:end]`."""

    start: int
    end: int
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether texts may pass. `reason` is for the log, and holds nothing of them; `cost` is in US dollars where known.

    With `replace`, `edits` has for each text, in order, what is to be changed in it, without overlaps.
    """

    decision: Literal["allow", "block", "replace"] = "allow"
    reason: str = ""
    edits: tuple[tuple[Edit, ...], ...] = ()
    cost: float | None = None


ALLOW = Verdict()


def edited(text: str, edits: Sequence[Edit]) -> str:
    """Give a text with its edits made."""
    pieces: list[str] = []
    done = 0
    for start, end, instead in edits:
        pieces += (text[done:start], instead)
        done = end
    return "".join((*pieces, text[done:]))
