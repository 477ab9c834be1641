"""Events on disk that wait for the database, bounded, in their order. It appends nothing to the chain; `audit_log` does.

Each process has a file of its own in the folder and holds a lock on it; a file whose process died is taken over by the next
that opens the folder. A file has one JSON document a line: an event that happened, one that is about to happen, or the id of
one that is settled. What is written has left this process, so it survives its being killed; `sync` makes it survive the machine.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from gateway.core.ids import new_id
from gateway.stores.audit import AuditEvent

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 32 * 1024 * 1024
_SUFFIX: Final = ".jsonl"


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    what: Literal["happened", "intended", "settled"]
    event: AuditEvent | None = None
    id: str = ""


class AuditQueue:
    """The events of this process that wait, and those of processes before it. Its methods block, shortly."""

    def __init__(self, folder: Path, *, new_id: Callable[[str], str] = new_id) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._file = _own_file(folder, new_id(""))
        self._size = 0
        self._waiting: deque[AuditEvent] = deque()
        self._intended: dict[str, AuditEvent] = {}
        self.lost = 0
        """How many events found the queue full, and are not told of anywhere."""
        for path in sorted(folder.glob(f"*{_SUFFIX}"), key=_changed):
            if path != self._path:
                self._take_over(path)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether nothing more is taken."""
        return len(self._waiting) + len(self._intended) >= MOST_WAITING or self._size >= MOST_BYTES

    def add(self, event: AuditEvent) -> bool:
        """Put an event at the end. False when the queue is full; what was intended has its place. Raises OSError."""
        intended = event.id in self._intended
        if self.full and not intended:
            return False
        try:
            self._write(_Line(what="happened", event=event))
        except OSError:
            if not intended:
                raise
            log.warning("audit.queue.failed", left="intent")  # which is on disk, and says enough
        self._intended.pop(event.id, None)
        self._waiting.append(event)
        return True

    def intend(self, event: AuditEvent) -> bool:
        """Note what is about to happen; when this process dies before it is settled, it may have happened. Raises OSError."""
        if self.full:
            return False
        self._write(_Line(what="intended", event=event))
        self._intended[event.id] = event
        return True

    def first(self, most: int) -> tuple[AuditEvent, ...]:
        """Give the events that wait longest."""
        return tuple(event for event, _ in zip(self._waiting, range(most), strict=False))

    def settle(self, ids: Iterable[str]) -> None:
        """Forget events: they are in the chain, or did not happen."""
        gone = set(ids)
        known = [one for one in gone if self._intended.pop(one, None) is not None]
        if self._waiting:
            known += [event.id for event in self._waiting if event.id in gone]
            self._waiting = deque(event for event in self._waiting if event.id not in gone)
        try:
            if not self._waiting and not self._intended:
                os.ftruncate(self._file, 0)
                self._size = 0
                return
            for one in known:
                self._write(_Line(what="settled", id=one))
        except OSError as error:
            # They come again after a restart, and the chain leaves out what it has.
            log.warning("audit.queue.failed", error=error.strerror)

    def sync(self) -> None:
        """Wait until the disk has what was written. Raises OSError."""
        os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file; where nothing waits, remove it. Nothing can be added any more."""
        if not self._waiting and not self._intended:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def _take_over(self, path: Path) -> None:
        """Add what a process that is no more had waiting, and remove its file."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        with os.fdopen(file, "rb") as lines:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # its process lives
            if os.fstat(file).st_nlink == 0:
                return  # somebody else was quicker
            events = _unsettled(path.name, lines)
            if len(self) + len(events) > MOST_WAITING:
                return  # the next start takes it
            for event in events:
                self.add(event)
            path.unlink(missing_ok=True)

    def _write(self, line: _Line) -> None:
        content = msgspec.json.encode(line) + b"\n"
        before = self._size
        written = os.write(self._file, content)
        if written < len(content):  # the disk is full: half a line is no line
            os.ftruncate(self._file, before)
            raise OSError(errno.ENOSPC, "the disk took only part of a line")
        self._size += written


def _own_file(folder: Path, name: str) -> tuple[Path, int]:
    """Make a file that is locked before it can be found by its name."""
    path, unlocked = folder / f"{name}{_SUFFIX}", folder / f"{name}.new"
    file = os.open(unlocked, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    unlocked.rename(path)
    return path, file


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _unsettled(name: str, lines: Iterable[bytes]) -> list[AuditEvent]:
    waiting: dict[str, AuditEvent] = {}
    for number, text in enumerate(lines, start=1):
        try:
            line = msgspec.json.decode(text, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("audit.queue.line_unreadable", file=name, line=number)
            continue
        if line.event is None:
            waiting.pop(line.id, None)
        elif line.what == "intended":
            waiting[line.event.id] = unknown_outcome(line.event)
        else:
            waiting.pop(line.event.id, None)
            waiting[line.event.id] = line.event
    return list(waiting.values())


def unknown_outcome(event: AuditEvent) -> AuditEvent:
    """Give the event of which nobody knows whether it came about."""
    return msgspec.structs.replace(event, details={**event.details, "outcome": "unknown"})
