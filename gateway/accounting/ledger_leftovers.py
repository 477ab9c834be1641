"""What processes that died have left in the spool folder: found, locked, read, removed. What the lines say, others know."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.accounting.ledger_spool import LOCK, SUFFIX, lock_folder, remove_folder

_CHUNK_BYTES = 64 * 1024


class Leftover:
    """The folder of a process that is dead, locked for this one."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def chunks(self) -> Iterator[bytes]:
        """Give whole lines in the order of writing, some at a time. A last line without an end is left out. Raises OSError."""
        for segment in sorted(self.path.glob(f"*{SUFFIX}")):
            with segment.open("rb") as file:
                rest = b""
                while data := file.read(_CHUNK_BYTES):
                    whole, newline, rest = (rest + data).rpartition(b"\n")
                    if newline:
                        yield whole + newline

    def remove(self) -> None:
        """Everything is in the database: remove the folder, and let go."""
        remove_folder(self.path)
        self.release()

    def release(self) -> None:
        """Let go of the folder as it is. May come twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def find_leftovers(folder: Path, own: Path) -> Iterator[Leftover]:
    """Lock and give the folders of dead processes, one after the other. Those of the living stay locked by them."""
    for path in sorted(each for each in folder.iterdir() if each.is_dir() and each != own):
        try:
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Nothing was ever written there, or somebody is only just making it, and then makes another one.
            with contextlib.suppress(OSError):
                path.rmdir()
            continue
        if lock_folder(path, lock):
            yield Leftover(path, lock)
        else:
            os.close(lock)
