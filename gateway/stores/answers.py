"""The port of cached answers: one entry a key, bounded in bytes and in time. It keeps and finds; what may be served is not its business."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.core.usage import Usage

Told = Callable[[Sequence[str]], None]
"""Told the ids of entries that are gone. Quick, and does not raise."""


# Nothing in an entry can lead back to it, and there may be a million: the collector need not visit them.
class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer that is kept. Times are in seconds since 1970: it is served until `fresh_until`, and kept until `kept_until`.

    `key` is the digest of all that the answer depends on, `partition` that of all but the question (empty where nobody looks for similar
    questions), `question` its text (of which there may be only the beginning where `partition` is empty). `answer` is the answer as `gateway.cache.encoding` writes it. `usage` is what the
    target used for it.
    """

    id: str
    key: str
    partition: str = ""
    question: str = ""
    tenant: str
    model: str
    version: str = ""
    namespace: str = ""
    tags: tuple[str, ...] = ()
    dialect: str
    operation: str
    target: str
    made: float
    fresh_until: float
    kept_until: float
    usage: Usage | None = None
    answer: bytes


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are meant: all that fit everything that is said. `prefix` is one of the question's text, or of the entry's id."""

    tenant: str | None = None
    model: str | None = None
    namespace: str | None = None
    tag: str | None = None
    prefix: str | None = None
    entry: str | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in a list: without the texts of question and answer, whose bytes are `size`."""

    entry: Entry
    size: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, the newest first, and where the next page begins (empty: nowhere)."""

    entries: tuple[Listed, ...]
    following: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What this process holds: `bytes` of its entries with all that they cost here, and what it let go since the start, by reason.

    full     there was no room for it beside newer ones
    expired  its time was over
    removed  somebody removed it
    refused  it was too large, or over, when it came, and was never kept
    dropped  it was not written to the shared store, which was away or full, or had too much to write

    `shared` says how many the shared store has, `away` whether it is lost at the moment; None where there is none, or it is not known.
    """

    entries: int
    bytes: int
    let_go: dict[str, int] = {}
    shared: int | None = None
    away: bool | None = None
    losses: int = 0


class AnswerStore(Protocol):
    """Keeps answers. A store that is away finds nothing and keeps nothing, and says so in metrics: no call fails for its sake."""

    async def find(self, key: str) -> Entry | None:
        """Give the entry of this key that is still kept, fresh or not."""
        ...

    async def entries(self, ids: Sequence[str]) -> tuple[Entry, ...]:
        """Give those of these entries (by id) that are still kept."""
        ...

    def keep(self, entry: Entry) -> None:
        """Keep an entry instead of the one that its key had. Does not wait. One that is too large is not kept."""
        ...

    async def select(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Give a page of entries. Raises StoreUnavailable."""
        ...

    async def remove(self, selection: Selection, *, dry_run: bool = False) -> tuple[str, ...]:
        """Remove entries, or only tell which it would be, by their ids. Raises StoreUnavailable."""
        ...

    def watch(self, told: Told) -> None:
        """Have `told` hear of the entries that are let go here, for whatever reason but a newer answer to the same question.

        What goes elsewhere it may never hear of: `entries` is what says whether one is there.
        """
        ...

    def held(self) -> Held:
        """Give what is held, as far as this process knows."""
        ...

    async def run(self) -> None:
        """Do what has to be done now and then, until cancelled."""
        ...
