"""The lines of the spool: an opened call, or a finished row. One JSON array a line, after one letter that says which.

A line counts when it is whole: the one that a killed process or a full disk cut short has no end, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.stores.ledger import LedgerRow, storable

_OPENED = b"o"
_ROW = b"r"


class Opened(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A call that is about to reach an upstream: what its row is made of if nothing more is ever heard of it.

    `started_at` is seconds since 1970, `targets` are "provider/model" in their order, `estimate` the input tokens counted by its
    length, None for an operation that is not made of tokens. New fields go to the end, and have a default.
    """

    id: str
    kind: str
    started_at: float
    operation: str
    dialect: str
    stream: bool
    model: str
    targets: tuple[str, ...]
    tenant: str
    team: str
    user: str
    key: str
    tags: tuple[tuple[str, str], ...]
    estimate: int | None
    parent: str = ""
    run: str = ""
    prompt: str = ""


class Line(msgspec.Struct, frozen=True):
    """One line that was read: one of the two, or neither when it makes no sense."""

    opened: Opened | None = None
    row: LedgerRow | None = None


_encoder = msgspec.json.Encoder()
_read_opened = msgspec.json.Decoder(Opened)
_read_row = msgspec.json.Decoder(LedgerRow)


def encode_opened(opened: Opened) -> bytes:
    """Write the line of an opened call."""
    try:
        return _OPENED + _encoder.encode(opened) + b"\n"
    except UnicodeEncodeError:
        return _OPENED + _encoder.encode(_mended(msgspec.to_builtins(opened))) + b"\n"


def encode_row(row: LedgerRow) -> bytes:
    """Write the line of a row."""
    try:
        return _ROW + _encoder.encode(row) + b"\n"
    except UnicodeEncodeError:
        return _ROW + _encoder.encode(_mended(msgspec.to_builtins(row))) + b"\n"


def decode_lines(data: bytes) -> Iterator[Line]:
    """Read whole lines. One that makes no sense is a `Line` with nothing in it: it is for the reader to say so."""
    for line in data.split(b"\n")[:-1]:
        try:
            if line.startswith(_ROW):
                yield Line(row=_read_row.decode(line[1:]))
            elif line.startswith(_OPENED):
                yield Line(opened=_read_opened.decode(line[1:]))
            elif line:
                yield Line()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield Line()


def decode_rows(data: bytes) -> tuple[list[LedgerRow], int]:
    """Read the rows among whole lines, and count the lines that make no sense; what was opened is passed by unread."""
    rows: list[LedgerRow] = []
    unreadable = 0
    for line in data.split(b"\n")[:-1]:
        if line.startswith(_ROW):
            try:
                rows.append(_read_row.decode(line[1:]))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                unreadable += 1
        elif line and not line.startswith(_OPENED):
            unreadable += 1
    return rows, unreadable


def _mended(value: object) -> object:
    """The same with text that every store keeps; JSON has no place for half a surrogate pair."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_mended(name): _mended(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(each) for each in value]
    return value
