"""The anchor: the heads of the chain in a file outside the database, one line each. It only grows, and it checks nothing.

It lies where who can write to the database cannot: on another volume, or on a machine that collects it. With it, an old
backup put back, or a chain with its end cut off, is found.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from gateway.stores.audit_chain import AuditHead
from gateway.stores.audit_details import canonical

_MOST_LINE: Final = 4096
_MODE: Final = 0o640


class AnchorFile:
    """The file that heads are added to. Several processes may add to one file: each line is one write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0

    def write(self, head: AuditHead) -> None:
        """Add a head, durably, unless this one or a later one was added by this object. Blocks. Raises OSError."""
        if head.seq <= self._written:
            return
        line = canonical(msgspec.to_builtins(head)) + b"\n"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            # A line that a full disk or a lost power supply cut off must not swallow this one.
            os.write(file, line if _ends_whole(file) else b"\n" + line)
            os.fsync(file)
        finally:
            os.close(file)
        self._written = head.seq


def read_anchors(path: Path) -> tuple[AuditHead, ...]:
    """Give the heads in the file, in its order; none where there is no file. Blocks. Raises OSError.

    A line that cannot be read is given as a head without a hash whose `at` is the number of the line: `ChainCheck` tells of it.
    """
    if not path.exists():
        return ()
    heads = []
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_MOST_LINE), b""), start=1):
            try:
                heads.append(msgspec.json.decode(line, type=AuditHead))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                heads.append(AuditHead(seq=0, hash="", at=number))
    return tuple(heads)


def _ends_whole(file: int) -> bool:
    size = os.lseek(file, 0, os.SEEK_END)
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"
