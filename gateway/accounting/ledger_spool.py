"""The spool: one process's own files of lines, kept until their rows are in the database. It does not know what a line says.

    FOLDER/<random id>/lock            held for as long as the process lives (flock: the system lets go when it dies)
    FOLDER/<random id>/00000001.log    segments, in the order of writing

A write is one system call into the page cache: it survives the death of the process at any moment after that. `sync_paths`
makes it survive a power cut as well. The folder must be on a local file system.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import structlog

log = structlog.get_logger()

SEGMENT_BYTES = 4 * 1024 * 1024
LOCK = "lock"
SUFFIX = ".log"
_TRIES = 10


class Segment:
    """One file. `unfinished` counts opened calls in it whose rows nobody has written yet."""

    __slots__ = ("path", "read", "size", "unfinished", "unsynced")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.read = 0
        self.unfinished = 0
        self.unsynced = False

    def read_lines(self, most: int) -> bytes:
        """Give the next whole lines, about `most` bytes and one line at least; the same ones until `Spool.advance`.

        Raises OSError.
        """
        left = self.size - self.read
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, min(most, left), self.read)
            while b"\n" not in data:
                more = os.pread(descriptor, min(most, left - len(data)), self.read + len(data))
                if not more:
                    raise OSError(errno.EIO, f"{self.path.name} is shorter than what was written")
                data += more
        finally:
            os.close(descriptor)
        return data[: data.rfind(b"\n") + 1]


class Spool:
    """Appends lines and gives them back in order. `size` is bytes on disk, at most `max_bytes`."""

    def __init__(self, folder: Path, *, max_bytes: int, new_id: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.size = 0
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._path, self._lock = _make_own_folder(folder, new_id)
        self._segments: list[Segment] = []
        self._number = 0
        self._descriptor: int | None = None
        self._failing = False
        self._full = False
        self._unsynced: set[Path] = set()

    @property
    def path(self) -> Path:
        """The folder of this process."""
        return self._path

    def append(self, data: bytes, *, spare: int = 0) -> Segment | None:
        """Write whole lines, and say in which segment; None when they are not written: no space, or the disk fails.

        `spare` bytes of the space are left for others.
        """
        length = len(data)
        if self.size + length + spare > self._max_bytes:
            if not self._full:
                self._full = True
                log.warning("ledger.spool.full", bytes=self.size, hint="ledger.spool_bytes bounds it")
            return None
        try:
            if self._descriptor is None or self._segments[-1].size + length > self._segment_bytes:
                self._begin_segment()
            segment = self._segments[-1]
            self._write(data, segment)
        except OSError as error:
            if not self._failing:
                self._failing = True
                log.warning("ledger.spool.failed", reason=error.strerror, hint="rows are kept in memory meanwhile")
            return None
        if self._failing:
            self._failing = False
            log.info("ledger.spool.recovered")
        segment.size += length
        self.size += length
        return segment

    def next_segment(self) -> Segment | None:
        """Give the first segment with lines that were not read; None when there are none."""
        return next((segment for segment in self._segments if segment.read < segment.size), None)

    def advance(self, segment: Segment, length: int) -> None:
        """What was read is in the database: forget it, and remove the segments that nobody needs."""
        segment.read += length
        self.tidy()

    def tidy(self) -> None:
        """Remove the segments that are read and whose opened calls are all finished; not the one that is being written."""
        kept = self._segments[-1:]
        for segment in self._segments[:-1]:
            if segment.read < segment.size or segment.unfinished > 0:
                kept.insert(len(kept) - 1, segment)
                continue
            with contextlib.suppress(OSError):
                segment.path.unlink()
            self.size -= segment.size
        self._segments = kept
        self._full = self._full and self.size > self._max_bytes // 2

    def forget(self, segment: Segment) -> None:
        """Give up what was not read of a segment: somebody removed its file."""
        segment.read = segment.size
        log.warning("ledger.spool.lost", file=str(segment.path))
        self.tidy()

    def take_unsynced(self) -> set[Path]:
        """Give the files and folders that were written to since the last time, for `sync_paths`."""
        paths, self._unsynced = self._unsynced, set()
        for segment in self._segments:
            segment.unsynced = False
        return paths

    @property
    def done(self) -> bool:
        """Whether nothing in it is needed any more."""
        return all(segment.read == segment.size and segment.unfinished == 0 for segment in self._segments)

    def close(self) -> None:
        """Let go of the folder: it is removed when nothing in it is needed, else the next process replays it. May come twice."""
        if self._lock < 0:
            return
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self.done:
            remove_folder(self._path)
        os.close(self._lock)
        self._lock = -1

    def _begin_segment(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._number += 1
        path = self._path / f"{self._number:08d}{SUFFIX}"
        self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._unsynced.add(self._path)
        self._segments.append(Segment(path))
        self.tidy()

    def _write(self, data: bytes, segment: Segment) -> None:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        written = os.write(self._descriptor, data)
        if not segment.unsynced:
            segment.unsynced = True
            self._unsynced.add(segment.path)
        if written < len(data):
            # The disk is full: half a line is taken back, so that the next one begins where a line begins.
            os.ftruncate(self._descriptor, segment.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _make_own_folder(folder: Path, new_id: str) -> tuple[Path, int]:
    """Make this process's folder and lock it. Another process that clears away may come between: then once more."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(_TRIES):
        path = folder / f"{new_id}-{number}"
        path.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            if lock_folder(path, descriptor):
                return path, descriptor
            os.close(descriptor)
    raise OSError(f"no folder in {folder} could be locked")


def lock_folder(path: Path, descriptor: int) -> bool:
    """Take the lock of a process's folder, and say whether it is ours and still the one in the folder."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), (path / LOCK).stat())
    except OSError:
        return False


def remove_folder(path: Path) -> None:
    """Remove a folder of which everything is in the database; its lock, which the caller holds, last."""
    with contextlib.suppress(OSError):
        for segment in path.glob(f"*{SUFFIX}"):
            segment.unlink()
        (path / LOCK).unlink()
        path.rmdir()


def sync_paths(paths: Iterable[Path]) -> None:
    """Force files and folders to the disk; one that was removed meanwhile needs none. It blocks: for a thread. Raises OSError."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
