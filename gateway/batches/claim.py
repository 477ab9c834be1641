"""The claim on a batch: a lock on a file beside its results, so that one process runs it, and another at once if that one dies.

The system lets go of the lock (flock) when the process ends, however it ends: no lease has to run out, and a process that was
stopped for a while cannot come back to a batch that another one has taken. The folder must be on a file system with locks:
a local one, or NFS 4.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final, Self

SUFFIX: Final = ".lock"


def clear_claims(folder: Path, unfinished: Collection[str]) -> None:
    """Remove the files of claims on batches that have ended: a process that died at that moment leaves one. Raises OSError."""
    for path in folder.glob(f"*{SUFFIX}"):
        if path.stem not in unfinished and (claim := Claim.take(path)) is not None:
            claim.release(for_good=True)


class Claim:
    """A lock that is held."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take it; None when somebody else has it. Raises OSError when the folder cannot be written to."""
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return cls(path, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass  # held by another, or removed by the one whose batch ended meanwhile
        os.close(descriptor)
        return None

    def release(self, *, for_good: bool) -> None:
        """Let go of it; `for_good` removes its file, because the batch has ended."""
        if for_good:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
