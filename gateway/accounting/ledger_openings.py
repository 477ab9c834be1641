"""The lines of opened calls, before every call that is kept: what the calls of a caller have in common is written once."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.accounting.ledger_lines import encode_opened
from gateway.accounting.ledger_rows import BYTES_A_TOKEN, opened_of
from gateway.core.call import Call

MOST_KNOWN: Final = 4096


class _Common(msgspec.Struct, frozen=True):
    """The line's text between the id and the time, and between the time and the estimate."""

    before: bytes
    after: bytes
    estimated: bool


class Openings:
    """Writes what `encode_opened(opened_of(...))` writes, in a third of the time."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], _Common] = {}

    def line(self, call: Call, targets: tuple[str, ...], now: float) -> bytes:
        """Give the line of a call; `now` is seconds since 1970."""
        if not call.id.isidentifier():
            return encode_opened(opened_of(call, targets, now))
        key = (call.caller, call.model, call.operation, call.dialect, call.stream, targets)
        common = self._known.get(key)
        if common is None:
            common = self._learn(key, call, targets)
        end = b"%d]\n" % (len(call.body) // BYTES_A_TOKEN) if common.estimated else b"null]\n"
        return b"".join((b'o["', call.id.encode(), common.before, repr(now).encode(), common.after, end))

    def _learn(self, key: tuple[object, ...], call: Call, targets: tuple[str, ...]) -> _Common:
        opened = opened_of(call, targets, 0.0)
        estimated = opened.estimate is not None
        line = encode_opened(msgspec.structs.replace(opened, id="", estimate=0 if estimated else None))
        before = b'","%b",' % opened.kind.encode()
        start = len(b'o["') + len(before) + len(b"0.0")
        common = _Common(before, line[start : line.rindex(b",") + 1], estimated)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key] = common
        return common
