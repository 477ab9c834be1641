"""Which entries a selection means, and how pages of them follow each other: the newest first, for every store alike. It keeps nothing."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.stores.answers import Entry, Page, Selection

MOST_PREFIX: Final = 256
"""Characters of a prefix, and of a question that a prefix is compared with."""


def matches(entry: Entry, selection: Selection) -> bool:
    """Whether an entry is meant."""
    return (
        (selection.tenant is None or entry.tenant == selection.tenant)
        and (selection.model is None or entry.model == selection.model)
        and (selection.namespace is None or entry.namespace == selection.namespace)
        and (selection.entry is None or entry.id == selection.entry)
        and (selection.tag is None or selection.tag in entry.tags)
        and (selection.prefix is None or entry.id.startswith(selection.prefix) or _begins(entry, selection.prefix))
    )


def _begins(entry: Entry, prefix: str) -> bool:
    return bool(entry.question) and entry.question.startswith(prefix)


class Newest:
    """Collects the newest entries of those that it is shown, up to a page and one more. `after` is where the last page ended."""

    def __init__(self, limit: int, after: str = "") -> None:
        self._limit = limit
        self._before = read_cursor(after)
        self._heap: list[tuple[float, str, Entry]] = []

    def take(self, entries: Iterable[Entry]) -> None:
        """Look at entries, each of them once."""
        for entry in entries:
            if (entry.made, entry.id) >= self._before:
                continue
            item = (entry.made, entry.id, entry)
            if len(self._heap) <= self._limit:
                heapq.heappush(self._heap, item)
            elif item > self._heap[0]:
                heapq.heapreplace(self._heap, item)

    def page(self) -> Page:
        """Give what was found."""
        found = [entry for _, _, entry in sorted(self._heap, reverse=True)]
        shown = tuple(found[: self._limit])
        return Page(entries=shown, following=cursor_of(shown[-1]) if len(found) > self._limit and shown else "")


def cursor_of(entry: Entry) -> str:
    """Give the place behind an entry."""
    return f"{entry.made!r}:{entry.id}"


def read_cursor(text: str) -> tuple[float, str]:
    """Give when the entry was made that a page ended with, and its id. Raises InvalidRequest."""
    if not text:
        return (math.inf, "")
    made, _, identifier = text.partition(":")
    try:
        return float(made), identifier
    except ValueError as exc:
        msg = "`after` is none of those that a page gave."
        raise InvalidRequest(msg, param="after") from exc


def narrows(selection: Selection) -> bool:
    """Whether it says more than tenant and model."""
    return msgspec.structs.replace(selection, tenant=None, model=None) != Selection()
