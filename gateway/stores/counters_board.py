"""A file, mapped into memory, that holds what long windows have counted. It survives the end of the process, however it ends.

Every change is one store of eight bytes into the page cache: no system call, nothing to flush when the process is killed.
A machine that loses power loses the last seconds; for that there are the database's snapshot and the ledger. It holds no
names, only digests of keys, and only one process may have it open.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger()

# Numbers are as this machine has them: one store, and not eight. No machine reads another one's file.
MAGIC = (b"switchgear counts 1\n" if sys.byteorder == "little" else b"switchgear counts 1 big\n").ljust(64, b"\0")
DIGEST = 16
_CELL = struct.Struct("=16sqqd")  # digest, slot, amount, expires
_WORD = 8
_AMOUNT_AT = 24
_EMPTY = bytes(DIGEST)
FIRST_CELLS = 1024


def digest_of(key: str) -> bytes:
    """Give the name of a counter in the file."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


class Kept(msgspec.Struct, frozen=True):
    """What the file held of one slot."""

    slot: int
    amount: int
    expires: float


class Cell:
    """The place of one slot in the file: `at` is where its amount stands in `Board.amounts`, 0 when it has no place any more."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


NOWHERE = Cell(0)


class Board:
    """The open file, of which `amounts` are the words. Raises OSError when it cannot be made, BlockingIOError when it is taken."""

    def __init__(self, path: Path, wall: Callable[[], float]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._wall = wall
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = self._checked_size()
        except BaseException:
            os.close(self._fd)
            raise
        self._map = mmap.mmap(self._fd, size)
        self._map[: len(MAGIC)] = MAGIC
        self.amounts = memoryview(self._map).cast("q")
        self._cells: dict[tuple[bytes, int], Cell] = {}
        self._free: list[int] = []
        self._closed = False
        self.kept = self._read()

    def _checked_size(self) -> int:
        size = os.fstat(self._fd).st_size
        found = os.pread(self._fd, len(MAGIC), 0)
        if size and found != MAGIC and found.strip(b"\0"):
            log.warning("limits.board.unreadable", hint="it is not a file of counts, and begins anew")
            os.ftruncate(self._fd, 0)
            size = 0
        cells = max(FIRST_CELLS, (size - len(MAGIC)) // _CELL.size)
        size = len(MAGIC) + cells * _CELL.size
        # Room for certain: a store into a page that the disk has no room for would end the process.
        os.posix_fallocate(self._fd, 0, size)
        os.ftruncate(self._fd, size)
        return size

    def _read(self) -> dict[bytes, list[Kept]]:
        now = self._wall()
        kept: dict[bytes, list[Kept]] = {}
        for at in range(len(MAGIC), len(self._map) - _CELL.size + 1, _CELL.size):
            digest, slot, amount, expires = _CELL.unpack_from(self._map, at)
            if digest == _EMPTY or not expires > now:
                self._map[at : at + DIGEST] = _EMPTY
                self._free.append(at)
            else:
                self._cells[digest, slot] = _cell(at)
                kept.setdefault(digest, []).append(Kept(slot, amount, expires))
        self._free.reverse()
        return kept

    def put(self, digest: bytes, slot: int, amount: int, expires: float) -> Cell:
        """Note what a slot holds now, and give its place in `amounts`. After `close` nothing is noted any more."""
        if self._closed:
            return NOWHERE
        cell = self._cells.get((digest, slot))
        if cell is not None:
            self.amounts[cell.at] = amount
            return cell
        if not self._free and not self._made_room():
            return NOWHERE
        at = self._free.pop()
        _CELL.pack_into(self._map, at, _EMPTY, slot, amount, expires)
        # The name last: a process that ends between the two has not counted, and has admitted nothing.
        self._map[at : at + DIGEST] = digest
        cell = self._cells[digest, slot] = _cell(at)
        return cell

    def drop(self, digest: bytes, slot: int) -> None:
        """Forget a slot that no longer counts."""
        cell = self._cells.pop((digest, slot), None)
        if cell is not None and not self._closed:
            at = _start(cell)
            cell.at = 0
            self._map[at : at + DIGEST] = _EMPTY
            self._free.append(at)

    def sweep(self) -> None:
        """Forget all slots that no longer count."""
        if self._closed:
            return
        now = self._wall()
        cells = self._cells.items()
        expired = [name for name, cell in cells if _CELL.unpack_from(self._map, _start(cell))[3] <= now]
        for digest, slot in expired:
            self.drop(digest, slot)

    def _made_room(self) -> bool:
        self.sweep()
        if self._free:
            return True
        size = len(self._map)
        larger = 2 * size - len(MAGIC)
        try:
            os.posix_fallocate(self._fd, size, larger - size)
            self.amounts.release()
            self._map.resize(larger)
        except OSError as error:
            log.warning("limits.board.full", reason=error.strerror, hint="new counts are not kept in the file")
            return False
        finally:
            self.amounts = memoryview(self._map).cast("q")
        self._free.extend(range(larger - _CELL.size, size - 1, -_CELL.size))
        return True

    def __len__(self) -> int:
        return len(self._cells)

    def close(self) -> None:
        """Let go of the file; what it holds stays."""
        if self._closed:
            return
        self._closed = True
        for cell in self._cells.values():
            cell.at = 0
        self.amounts.release()
        self._map.flush()
        self._map.close()
        os.close(self._fd)


def _cell(at: int) -> Cell:
    """Give the place of the cell that begins at this byte."""
    return Cell((at + _AMOUNT_AT) // _WORD)


def _start(cell: Cell) -> int:
    return cell.at * _WORD - _AMOUNT_AT


def open_board(path: Path, wall: Callable[[], float]) -> Board | None:
    """Open the file, or give None, and say so in the log, when it cannot be had: limits then go on without it."""
    try:
        return Board(path, wall)
    except BlockingIOError:
        log.warning("limits.board.locked", path=str(path), hint="another process counts there; counts are not kept")
    except OSError as error:
        log.warning("limits.board.failed", path=str(path), reason=error.strerror, hint="counts are not kept")
    return None
