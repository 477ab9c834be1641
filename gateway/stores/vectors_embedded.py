"""Vectors in this process: found by the signs of their numbers first, then by the cosine itself. No index has to be built.

Of every vector its signs are kept as bits: 48 bytes at 384 dimensions. Two vectors at an angle differ in about angle/180° of their
signs (Charikar, STOC 2002), so a count of differing bits over all vectors of a partition, a millisecond at 100,000, leaves a few
for which the cosine is computed. docs/semantic-caching.md has the measurement, and what a graph index took instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import anyio
import numpy as np
from numpy.typing import NDArray

from gateway.core.errors import StoreUnavailable
from gateway.stores.vectors import Match, Vector

FEW: Final = 512
"""Vectors of a partition up to which each one's cosine is computed at once, in the event loop: it is quicker than asking a thread."""
_RESCORED: Final = 128
_MORE: Final = 4
_MOST_RESCORED: Final = 512
_APART: Final = 65_535
_FIRST_ROWS: Final = 1024
_NOWHERE: Final = -1

_Floats = NDArray[np.float32]


class _Table:
    """All vectors, a row each. It grows by doubling; rows are used again, the oldest first.

    A row's `serial` is the number of the last write to it: who has read while others wrote finds out by it.
    """

    def __init__(self, dimensions: int, most: int) -> None:
        self._most = most
        self.dimensions = dimensions
        self.words = -(-dimensions // 64)
        rows = min(_FIRST_ROWS, most)
        self.values = np.zeros((rows, dimensions), np.float16)
        self.signs = np.zeros((self.words, rows), np.uint64)
        self.place = np.full(rows, _NOWHERE, np.int32)
        self.serial = np.zeros(rows, np.int64)

    @property
    def rows(self) -> int:
        return len(self.place)

    def grow(self) -> bool:
        """Make room for more rows. False where there must not be more."""
        more = min(self.rows * 2, self._most) - self.rows
        if more <= 0:
            return False
        self.values = np.concatenate([self.values, np.zeros((more, self.dimensions), np.float16)])
        self.signs = np.concatenate([self.signs, np.zeros((self.words, more), np.uint64)], axis=1)
        self.place = np.concatenate([self.place, np.full(more, _NOWHERE, np.int32)])
        self.serial = np.concatenate([self.serial, np.zeros(more, np.int64)])
        return True


class EmbeddedVectors:
    """A `VectorIndex` of `most` entries. It takes its dimensions from the first vector; others are then not kept, and find nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._table: _Table | None = None
        self._rows: dict[str, int] = {}
        self._entries: dict[int, tuple[str, int]] = {}
        self._free: list[int] = []
        self._next = 0
        self._serial = 0
        self._places: dict[tuple[str, str], int] = {}
        self._where: dict[int, tuple[str, str]] = {}
        self._within: dict[int, dict[int, None]] = {}
        self._new_place = 0
        self._thread: ThreadPoolExecutor | None = None

    @property
    def size(self) -> int:
        """How many vectors are kept."""
        return len(self._rows)

    async def find(self, vector: Vector, *, tenant: str, partition: str, most: int) -> tuple[Match, ...]:
        """Give the nearest entries of this partition, the nearest first."""
        table, place = self._table, self._places.get((tenant, partition))
        if table is None or place is None:
            return ()
        asked = np.frombuffer(vector, "<f4")
        if len(asked) != table.dimensions:
            return ()
        within = self._within[place]
        if len(within) <= FEW:
            rows = np.fromiter(within, np.int64, len(within))
            found = _nearest(table.values, rows, asked, most)
            return self._matches(found, self._serial)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="vectors")
        # The arrays are handed over as they are now: should the table grow meanwhile, these stay as they were.
        arrays, as_of = (table.values, table.signs, table.place), self._serial
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, _search, arrays, place, asked, most)
        except RuntimeError as error:
            msg = "The index of vectors is closed."
            raise StoreUnavailable(msg) from error
        return self._matches(found, as_of)

    def keep(self, entry: str, vector: Vector, *, tenant: str, partition: str, until: float) -> None:
        """Keep a vector, instead of the one that the entry had; where there is no room, instead of the oldest, whenever that ends."""
        del until
        values = np.frombuffer(vector, "<f4")
        if self._table is None:
            self._table = _Table(len(values), self._most)
        table = self._table
        if len(values) != table.dimensions or not np.isfinite(values).all():
            return
        self.remove((entry,))
        row = self._row(table)
        place = self._place(tenant, partition)
        self._serial += 1
        table.serial[row] = self._serial
        table.values[row] = values
        table.signs[:, row] = _signs(values, table.words)
        table.place[row] = place
        self._rows[entry] = row
        self._entries[row] = (entry, place)
        self._within[place][row] = None

    def remove(self, entries: Sequence[str]) -> None:
        """Forget entries."""
        for entry in entries:
            row = self._rows.pop(entry, None)
            if row is None or self._table is None:
                continue
            _, place = self._entries.pop(row)
            self._serial += 1
            self._table.serial[row] = self._serial
            self._table.place[row] = _NOWHERE
            within = self._within[place]
            del within[row]
            if not within:
                del self._within[place], self._places[self._where.pop(place)]
            self._free.append(row)

    async def run(self) -> None:
        """Nothing has to be done now and then."""
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _row(self, table: _Table) -> int:
        if self._free:
            return self._free.pop()
        if self._next < table.rows or table.grow():
            self._next += 1
            return self._next - 1
        # Dictionaries keep their order: the first entry is the one that was kept longest ago.
        self.remove((next(iter(self._rows)),))
        return self._free.pop()

    def _place(self, tenant: str, partition: str) -> int:
        place = self._places.get((tenant, partition))
        if place is None:
            place = self._places[tenant, partition] = self._new_place
            self._where[place] = (tenant, partition)
            self._within[place] = {}
            self._new_place += 1
        return place

    def _matches(self, found: Sequence[tuple[int, float]], as_of: int) -> tuple[Match, ...]:
        """Say what stands in rows, but for those that were written since they were read."""
        table = self._table
        if table is None:
            return ()
        return tuple(
            Match(entry=held[0], tenant=where[0], partition=where[1], similarity=similarity)
            for row, similarity in found
            if (held := self._entries.get(row)) is not None
            and table.serial[row] <= as_of
            and (where := self._where[held[1]])
        )


def _signs(values: _Floats, words: int) -> NDArray[np.uint64]:
    bits = np.zeros(words * 8, np.uint8)
    packed = np.packbits(values > 0)
    bits[: len(packed)] = packed
    return bits.view(np.uint64)


def _nearest(values: NDArray[np.float16], rows: NDArray[Any], asked: _Floats, most: int) -> list[tuple[int, float]]:
    cosines = values[rows].astype(np.float32) @ asked
    order = np.argsort(-cosines)[:most]
    return [(int(rows[at]), min(1.0, float(cosines[at]))) for at in order]


def _search(arrays: tuple[Any, Any, Any], place: int, asked: _Floats, most: int) -> list[tuple[int, float]]:
    """Look through all rows. Runs in a thread of its own, and only reads."""
    values, signs, places = arrays
    own = _signs(asked, len(signs))
    apart = np.zeros(len(places), np.uint16)
    for word, sign in zip(signs, own, strict=True):
        apart += np.bitwise_count(word ^ sign)
    apart[places != place] = _APART
    # Every differing bit counts the same, so an edge that a sample gives is as good as one that sorting all of them would.
    step = max(1, len(apart) // 4096)
    sampled = np.sort(apart[::step])
    edge = sampled[min(len(sampled) - 1, _RESCORED // step + _MORE)]
    rows = np.flatnonzero(apart <= min(edge, _APART - 1))
    if len(rows) > _MOST_RESCORED:
        rows = rows[np.argpartition(apart[rows], _MOST_RESCORED)[:_MOST_RESCORED]]
    return _nearest(values, rows, asked, most)
