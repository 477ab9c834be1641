"""Answers kept in this process: those used longest ago go first when there are too many bytes. It is not shared, and ends with the process."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from sys import getsizeof, intern
from typing import Final

import msgspec
from anyio import lowlevel, sleep

from gateway.core.clock import Clock
from gateway.stores.answers import Entry, Held, Listed, Page, Selection, Told
from gateway.stores.answers_selecting import Newest, matches, size_of

SWEEP_SECONDS: Final = 30.0
AT_ONCE: Final = 256
"""Entries that are looked at before others get their turn: less than half a millisecond."""

INDEX_BYTES: Final = 224
"""What an entry costs in the two tables below, and by the allocator's rounding: measured with benchmarks/cache_memory.py, rounded up."""

_RECORD_BYTES: Final = 8 * len(msgspec.structs.fields(Entry)) + 16
_BARE_BYTES: Final = _RECORD_BYTES + 3 * getsizeof(0.5) + getsizeof(b"") + INDEX_BYTES
_USAGE_BYTES: Final = 240  # with numbers of its own


class MemoryAnswers:
    """An `AnswerStore` in memory, of at most `most_bytes`. An answer with its question may have `entry_bytes`."""

    def __init__(self, *, most_bytes: int, entry_bytes: int, clock: Clock, chance: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._entry_bytes = entry_bytes
        self._clock = clock
        self._wall = clock.wall
        self._chance = chance
        self._by_key: OrderedDict[str, Entry] = OrderedDict()  # the one used longest ago first
        self._by_id: dict[str, Entry] = {}
        self._bytes = 0
        self._let_go: Counter[str] = Counter()
        self._watching: list[tuple[Told, Collection[str]]] = []
        self._earliest = math.inf

    async def find(self, key: str) -> Entry | None:
        """Give the entry of this key that is still kept."""
        return self.peek(key)

    def peek(self, key: str) -> Entry | None:
        """Give the entry at once; it counts as used."""
        entry = self._by_key.get(key)
        if entry is None:
            return None
        if entry.kept_until <= self._wall():
            self._drop(entry, "expired")
            return None
        self._by_key.move_to_end(key)
        return entry

    async def entries(self, ids: Sequence[str]) -> tuple[Entry, ...]:
        """Give those of these entries that are still kept. They do not count as used."""
        now = self._wall()
        found = map(self._by_id.get, ids)
        return tuple(entry for entry in found if entry is not None and entry.kept_until > now)

    def keep(self, entry: Entry) -> None:
        """Keep an entry; others go where it needs their room."""
        self.take(entry)

    def take(self, entry: Entry) -> bool:
        """Keep an entry, and say whether it is kept."""
        cost = cost_of(entry)
        large = size_of(entry) > self._entry_bytes or cost > self._most_bytes
        if large or entry.kept_until <= self._wall():
            self._let_go["refused"] += 1
            return False
        self._forget(self._by_key.get(entry.key))
        self._forget(self._by_id.get(entry.id))
        entry = _compact(entry)
        self._by_key[entry.key] = self._by_id[entry.id] = entry
        self._bytes += cost
        self._earliest = min(self._earliest, entry.kept_until)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._by_key.values())), "full")
        return True

    async def select(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Give a page of entries. Raises InvalidRequest for an `after` that no page gave."""
        newest = Newest[Entry](limit, after)
        async for some in self._chosen(selection):
            newest.take(some)
        return newest.page(_listed)

    async def remove(self, selection: Selection, *, dry_run: bool = False) -> tuple[str, ...]:
        """Remove entries, or only tell which it would be."""
        ids: list[str] = []
        async for some in self._chosen(selection):
            ids += [entry.id for entry in some]
            if not dry_run:
                self._drop_all(some, "removed")
        return tuple(ids)

    def drop_keys(self, keys: Iterable[str]) -> None:
        """Remove the entries of these keys."""
        found = map(self._by_key.get, keys)
        self._drop_all([entry for entry in found if entry is not None], "removed")

    def forget(self, key: str) -> None:
        """Forget the entry of a key, without a word: it was kept elsewhere, and went there."""
        self._forget(self._by_key.get(key))

    def clear(self) -> None:
        """Forget everything, without a word: it may be kept elsewhere."""
        self._by_key.clear()
        self._by_id.clear()
        self._bytes = 0
        self._earliest = math.inf

    def watch(self, told: Told, *, but: Collection[str] = ()) -> None:
        """Have `told` hear of entries that are let go, `but` not for these reasons."""
        self._watching.append((told, but))

    def held(self) -> Held:
        """Give what is held."""
        return Held(entries=len(self._by_key), bytes=self._bytes, let_go=dict(self._let_go))

    async def run(self) -> None:
        """Let go what is over, now and then, so that it takes no room from others' figures, until cancelled."""
        while True:
            await sleep(SWEEP_SECONDS * (1 + self._chance() / 4))
            await self.sweep()

    async def sweep(self) -> None:
        """Let go what is over, some at a time."""
        if self._wall() < self._earliest:
            return
        self._earliest = math.inf
        async for some in self._some():
            now = self._wall()
            self._drop_all([entry for entry in some if entry.kept_until <= now], "expired")
            self._earliest = min(
                self._earliest, min((e.kept_until for e in some if e.kept_until > now), default=math.inf)
            )

    async def _chosen(self, selection: Selection) -> AsyncIterator[list[Entry]]:
        """Give the entries that are meant and still kept, some at a time."""
        if selection.entry is not None:
            one = self._by_id.get(selection.entry)
            yield [one] if one is not None and matches(one, selection) and one.kept_until > self._wall() else []
            return
        async for some in self._some():
            now = self._wall()
            yield [entry for entry in some if entry.kept_until > now and matches(entry, selection)]

    async def _some(self) -> AsyncIterator[list[Entry]]:
        """Give all entries that are here now, some at a time; others get their turn between."""
        ids = list(self._by_id)
        for start in range(0, len(ids), AT_ONCE):
            found = map(self._by_id.get, ids[start : start + AT_ONCE])
            yield [entry for entry in found if entry is not None]
            await lowlevel.checkpoint()

    def _drop(self, entry: Entry, why: str) -> None:
        self._drop_all((entry,), why)

    def _drop_all(self, entries: Sequence[Entry], why: str) -> None:
        if not entries:
            return
        for entry in entries:
            self._forget(entry)
        self._let_go[why] += len(entries)
        for told, but in self._watching:
            if why not in but:
                told([entry.id for entry in entries])

    def _forget(self, entry: Entry | None) -> None:
        if entry is not None and self._by_key.get(entry.key) is entry:
            del self._by_key[entry.key]
            del self._by_id[entry.id]
            self._bytes -= cost_of(entry)


def _listed(entry: Entry) -> Listed:
    bare = msgspec.structs.replace(entry, question="", answer=b"")
    return Listed(entry=bare, size=size_of(entry))


def cost_of(entry: Entry) -> int:
    """Give the bytes of memory that an entry takes, its place in the tables included. The same whenever it is asked."""
    size = _BARE_BYTES + len(entry.answer) + _text_bytes(entry.id) + _text_bytes(entry.key)
    for text in (entry.question, entry.partition, entry.namespace, *entry.tags):
        if text:
            size += _text_bytes(text)
    if entry.tags:
        size += getsizeof(entry.tags)
    return size if entry.usage is None else size + _USAGE_BYTES


def _text_bytes(text: str) -> int:
    """Give the most that a text takes: one that is not ASCII has its UTF-8 beside it as soon as somebody has encoded it."""
    return 49 + len(text) if text.isascii() else 80 + 6 * len(text)


def _compact(entry: Entry) -> Entry:
    """Give the same entry, with one text for what many have in common, whoever read it from wherever."""
    return msgspec.structs.replace(
        entry,
        tenant=intern(entry.tenant),
        model=intern(entry.model),
        version=intern(entry.version),
        dialect=intern(entry.dialect),
        operation=intern(entry.operation),
        target=intern(entry.target),
        kept_until=entry.fresh_until if entry.kept_until == entry.fresh_until else entry.kept_until,
    )
