"""Keeping what long windows count: each slot in the file of counts, and in the next batch for the database. It counts nothing."""

from __future__ import annotations

from gateway.stores.counters import Count
from gateway.stores.counters_board import NOWHERE, Board, digest_of

MOST_CHANGED = 262_144


class Line:
    """One slot of one counter, as it is kept. `digest` is that of the counter's key."""

    __slots__ = ("_board", "_cell", "_keeper", "amount", "digest", "expires", "key", "noted", "slot")

    def __init__(self, keeper: Keeper, key: str, digest: bytes, slot: int, expires: float) -> None:
        self._keeper = keeper
        self._board = keeper.board
        self._cell = NOWHERE
        self.key = key
        self.digest = digest
        self.slot = slot
        self.expires = expires
        self.amount = 0
        self.noted = False

    def put(self, amount: int) -> None:
        """Note what the slot holds now."""
        self.amount = amount
        board, at = self._board, self._cell.at
        if board is not None:
            if at:
                board.amounts[at] = amount
            else:
                self._cell = board.put(self.digest, self.slot, amount, self.expires)
        if not self.noted:
            self.noted = True
            self._keeper.note(self)


class Keeper:
    """Where the lines of a store go. With `snapshots`, those that changed are remembered until `take_changed`."""

    def __init__(self, board: Board | None, *, snapshots: bool) -> None:
        self.board = board
        self._snapshots = snapshots
        self._changed: dict[Line, None] = {}

    def note(self, line: Line) -> None:
        """A line has changed for the first time since it was taken."""
        if not self._snapshots:
            return
        self._changed[line] = None
        if len(self._changed) > MOST_CHANGED:
            oldest = next(iter(self._changed))
            oldest.noted = False
            del self._changed[oldest]

    def take_changed(self) -> list[Count]:
        """Give what changed since the last time."""
        changed, self._changed = self._changed, {}
        for line in changed:
            line.noted = False
        return [Count(key=line.key, slot=line.slot, amount=line.amount, expires=line.expires) for line in changed]


class Lines:
    """The lines of one counter, by slot."""

    __slots__ = ("_digest", "_keeper", "_key", "_lines")

    def __init__(self, keeper: Keeper, key: str) -> None:
        self._keeper = keeper
        self._key = key
        self._digest = digest_of(key)
        self._lines: dict[int, Line] = {}

    def find(self, slot: int) -> Line | None:
        """Give the line of a slot, if it has one."""
        return self._lines.get(slot)

    def begin(self, slot: int, expires: float) -> Line:
        """Begin a line; nobody asks for it after `expires`, in seconds since 1970."""
        line = self._lines[slot] = Line(self._keeper, self._key, self._digest, slot, expires)
        return line

    def end(self, slot: int) -> None:
        """The slot counts no longer."""
        self._lines.pop(slot, None)
        if self._keeper.board is not None:
            self._keeper.board.drop(self._digest, slot)

    def end_before(self, slot: int) -> None:
        """Nor does any before this one."""
        for old in [known for known in self._lines if known < slot]:
            self.end(old)
