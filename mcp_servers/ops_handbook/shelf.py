"""The shelf: all runbooks of a folder, read again when a file has changed, with an index of their words (SQLite's FTS5, in memory)."""

from __future__ import annotations

import fnmatch
import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec
import structlog

from mcp_servers.ops_handbook.runbooks import Fault, Runbook, Section, Unreadable, files_of, read_runbook

log = structlog.get_logger()

_WORD: Final = re.compile(r"\w+")
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_BETWEEN: Final = re.compile(r"[\s._:/-]+")
_NONE: Final[Mapping[str, str]] = {}
_BY_LABELS: Final = 1000
"""More vague than any name."""
_MOST_WORDS: Final = 32
_LOOKED_AT: Final = 1000
"""Sections that fit a question and are looked at: those of runbooks that are not wanted are passed over."""
_TABLE: Final = (
    "CREATE VIRTUAL TABLE sections USING fts5(runbook UNINDEXED, position UNINDEXED, about, headings, body, "
    "tokenize = 'porter unicode61 remove_diacritics 2')"
)
_FIND: Final = (
    "SELECT runbook, position, bm25(sections, 0, 0, 4.0, 2.0, 1.0) AS rank, snippet(sections, 4, '', '', ' … ', 40) FROM sections "
    "WHERE sections MATCH ? ORDER BY rank, runbook, position LIMIT ?"
)


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A section that fits. A larger `score` fits better."""

    runbook: Runbook
    section: Section
    score: float
    excerpt: str


class Shelf:
    """Every question looks first whether files have changed: what is answered is what stands on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: Mapping[Path, tuple[int, int]] = {}
        self._index: sqlite3.Connection | None = None
        self._turn = anyio.Lock()
        self.runbooks: Mapping[str, Runbook] = {}
        self.faults: tuple[Fault, ...] = ()

    async def refresh(self) -> None:
        """Take up what has changed. Raises OSError when there is no folder."""
        async with self._turn:
            await anyio.to_thread.run_sync(self._refresh)

    async def search(self, query: str, runbooks: Iterable[Runbook], most: int) -> list[Match]:
        """Give the sections of some runbooks that fit a question best. A question without words finds nothing."""
        async with self._turn:
            return await anyio.to_thread.run_sync(self._search, query, {each.id for each in runbooks}, most)

    def for_alert(self, alert: str, labels: Mapping[str, str] = _NONE) -> list[Runbook]:
        """Give the runbooks of an alert, the most specific name first, then those that fit its labels alone.

        Case and what stands between words say nothing: `pod_crash_looping` is `PodCrashLooping`.
        """
        found: list[tuple[int, str]] = []
        # A name without a star names the alert itself; else the more letters, the more it says.
        for runbook in self.runbooks.values():
            fits = [
                name for name in runbook.about.alerts if fnmatch.fnmatchcase(_letters(alert), _pattern(_letters(name)))
            ]
            if fits:
                found.append((min(_vagueness(name) for name in fits), runbook.id))
            elif runbook.about.labels and all(
                fnmatch.fnmatchcase(labels.get(name, "").lower(), _pattern(value))
                for name, value in runbook.about.labels.items()
            ):
                found.append((_BY_LABELS - len(runbook.about.labels), runbook.id))
        return [self.runbooks[name] for _, name in sorted(found)]

    def _refresh(self) -> None:
        seen = {path: _stamp(path) for path in files_of(self._folder)}
        if self._index is not None and seen == self._seen:
            return
        runbooks: dict[str, Runbook] = {}
        faults: list[Fault] = []
        for path in seen:
            try:
                runbook = read_runbook(self._folder, path)
            except Unreadable as error:
                name = path.relative_to(self._folder).as_posix()
                faults.append(Fault(file=name, message=str(error)))
                log.warning("runbook.unreadable", file=name, reason=str(error))
            else:
                runbooks[runbook.id] = runbook
        index = _index_of(runbooks.values())
        if self._index is not None:
            self._index.close()
        self._index, self._seen, self.runbooks, self.faults = index, seen, runbooks, tuple(faults)

    def _search(self, query: str, among: set[str], most: int) -> list[Match]:
        words = list(dict.fromkeys(_WORD.findall(query.lower())))[:_MOST_WORDS]
        if self._index is None or not words:
            return []
        # Each word as a text of its own: nothing in a question is an operator of the index.
        wanted = " OR ".join(f'"{word}"' for word in words)
        found: list[Match] = []
        for name, position, rank, excerpt in self._index.execute(_FIND, (wanted, _LOOKED_AT)):
            if name in among and len(found) < most:
                runbook = self.runbooks[name]
                found.append(Match(runbook=runbook, section=runbook.sections[position], score=-rank, excerpt=excerpt))
        return found


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _vagueness(name: str) -> int:
    stars = name.count("*")
    return stars - len(name) if stars else -1000


def _pattern(name: str) -> str:
    """Give an alert's name as a pattern, in which only `*` means more than itself."""
    return name.lower().replace("[", "[[]").replace("?", "[?]")


def _letters(name: str) -> str:
    """Give a name without case, and without what stands between its words."""
    return _BETWEEN.sub("", name.lower())


def words_of(alert: str) -> str:
    """Give the words of an alert's name: `NodeDiskFull` is about a node, a disk, and full."""
    return " ".join(_PARTS.findall(alert))


def _index_of(runbooks: Iterable[Runbook]) -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute(_TABLE)
    for runbook in runbooks:
        about = runbook.about
        words = " ".join((about.title, *about.alerts, *about.services, about.owner or "", about.severity or ""))
        index.executemany(
            "INSERT INTO sections VALUES (?, ?, ?, ?, ?)",
            [
                (runbook.id, position, words, " ".join(section.path), section.text)
                for position, section in enumerate(runbook.sections)
            ],
        )
    return index
