"""Which entries a selection means, and how pages of them follow each other: the newest first, for every store alike. It keeps nothing."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from gateway.core.errors import InvalidRequest
from gateway.stores.answers import Entry, Listed, Page, Selection

T = TypeVar("T", bound=Entry)

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


def size_of(entry: Entry) -> int:
    """Give the bytes of an answer and its question."""
    question = entry.question
    return len(entry.answer) + (len(question) if question.isascii() else len(question.encode("utf-8", "replace")))


class Newest(Generic[T]):
    """Collects the newest entries of those that it is shown, up to a page and one more. `after` is where the last page ended."""

    def __init__(self, limit: int, after: str = "") -> None:
        self._limit = limit
        self._before = read_cursor(after)
        self._heap: list[tuple[float, str, T]] = []

    @property
    def since(self) -> float:
        """When the oldest of them was made, once there are enough; what is older need not be shown to it."""
        return self._heap[0][0] if len(self._heap) > self._limit else -math.inf

    def take(self, entries: Iterable[T]) -> None:
        """Look at entries, each of them once."""
        heap, least = self._heap, self.since
        for entry in entries:
            if entry.made < least or (entry.made, entry.id) >= self._before:
                continue
            item = (entry.made, entry.id, entry)
            if len(heap) <= self._limit:
                heapq.heappush(heap, item)
            elif item > heap[0]:
                heapq.heapreplace(heap, item)
            least = self.since

    def page(self, show: Callable[[T], Listed]) -> Page:
        """Give what was found, as it is shown."""
        found = [entry for _, _, entry in sorted(self._heap, reverse=True)]
        shown = found[: self._limit]
        following = _cursor_of(shown[-1]) if len(found) > self._limit and shown else ""
        return Page(entries=tuple(map(show, shown)), following=following)


def _cursor_of(entry: Entry) -> str:
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
