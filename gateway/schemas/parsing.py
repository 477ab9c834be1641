"""Reads a JSON document as it arrives, piece by piece: can what has come so far still become one, and one of a schema's form?

Linear in the text, bounded in depth. Of a schema it knows the plain parts (see `shape`) and never says no where the schema could
still be satisfied: the judge has the last word, on the whole text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.schemas.shape import Shape, shape_of

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_BEGUN = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{0,4})?')
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_ANYTHING = shape_of({})

# The states of a number, by the character class that comes: d a digit, 0 zero, and the others themselves.
_NUMBER: dict[str, dict[str, str]] = {
    "": {"-": "minus", "0": "zero", "d": "whole"},
    "minus": {"0": "zero", "d": "whole"},
    "zero": {".": "point", "e": "e"},
    "whole": {"0": "whole", "d": "whole", ".": "point", "e": "e"},
    "point": {"0": "fraction", "d": "fraction"},
    "fraction": {"0": "fraction", "d": "fraction", "e": "e"},
    "e": {"0": "exponent", "d": "exponent", "-": "sign", "+": "sign"},
    "sign": {"0": "exponent", "d": "exponent"},
    "exponent": {"0": "exponent", "d": "exponent"},
}
_CLASSES = {**dict.fromkeys("123456789", "d"), "0": "0", "-": "-", "+": "+", ".": ".", "e": "e", "E": "e"}
_NUMBER_ENDS = frozenset({"zero", "whole", "fraction", "exponent"})


class _Open:
    """An array or object that is not closed yet."""

    __slots__ = ("closer", "names", "shape")

    def __init__(self, closer: str, shape: Shape) -> None:
        self.closer = closer
        self.shape = shape
        self.names: set[str] = set()


class Prefix:
    """What has come so far of one JSON document."""

    def __init__(self, schema: Mapping[str, Any] | None = None, *, depth: int = 100) -> None:
        self.valid = True
        self._depth = depth
        self._open: list[_Open] = []
        self._shape = _ANYTHING if schema is None else shape_of(schema)
        self._read: Callable[[str, int], int] = self._value
        self._string = ""  # what is kept of the string that is being read
        self._pending = ""  # the escape sequence, or literal, that is not finished
        self._high = False  # whether the first half of a character waits for its second
        self._number = ""

    @property
    def complete(self) -> bool:
        """Whether the text so far is a whole document."""
        if not self.valid or self._open:
            return False
        return self._read == self._end or (self._read == self._digits and self._number in _NUMBER_ENDS)

    def feed(self, text: str) -> bool:
        """Take the next piece. False once no continuation makes a valid document; it stays false."""
        at = 0
        while self.valid and at < len(text):
            at = self._read(text, at)
        return self.valid

    def _fail(self, at: int) -> int:
        self.valid = False
        return at

    def _value(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        if at == len(text):
            return at
        first = text[at]
        if self._shape.firsts is not None and first not in self._shape.firsts:
            return self._fail(at)
        if first == '"':
            self._string, self._pending, self._read = "", "", self._text
            return at + 1
        if first in "{[":
            return self._opened(first, at)
        if first in _LITERALS:
            self._pending, self._read = _LITERALS[first], self._literal
            return at
        self._number, self._read = "", self._digits
        return at if first in _CLASSES else self._fail(at)

    def _opened(self, bracket: str, at: int) -> int:
        if len(self._open) == self._depth:
            return self._fail(at)
        self._open.append(_Open("}" if bracket == "{" else "]", self._shape))
        self._read = self._first_key if bracket == "{" else self._first_element
        return at + 1

    def _first_element(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        if at < len(text):
            if text[at] == "]":
                return self._closed(at)
            self._shape = self._open[-1].shape.element()
            self._read = self._value
        return at

    def _first_key(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        if at < len(text) and text[at] == "}":
            return self._closed(at)
        return self._key(text, at)

    def _key(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        if at == len(text):
            return at
        self._string, self._pending, self._read = "", "", self._name
        return at + 1 if text[at] == '"' else self._fail(at)

    def _name(self, text: str, at: int) -> int:
        at = self._characters(text, at, keep=True)
        if at == len(text) or not self.valid:
            return at
        holder = self._open[-1]
        shape = holder.shape.member(self._string)
        if self._string in holder.names or shape is None:
            return self._fail(at)
        holder.names.add(self._string)
        self._shape, self._read = shape, self._colon
        return at + 1

    def _colon(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        if at == len(text):
            return at
        self._read = self._value
        return at + 1 if text[at] == ":" else self._fail(at)

    def _text(self, text: str, at: int) -> int:
        strings = self._shape.strings
        at = self._characters(text, at, keep=strings is not None)
        if not self.valid or (strings is not None and not self._shape.may_begin(self._string)):
            return self._fail(at)
        if at == len(text):
            return at
        if strings is not None and self._string not in strings:
            return self._fail(at)
        self._finish()
        return at + 1

    def _characters(self, text: str, at: int, *, keep: bool) -> int:
        """Read a string's characters up to its closing quote, or to the end of `text`."""
        while at < len(text):
            if self._pending or text[at] == "\\":
                at = self._escaped(text, at, keep=keep)
                if not self.valid:
                    return at
                continue
            stop = _PLAIN.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string
            if self._high and (stop > at or text[stop : stop + 1] == '"'):
                return self._fail(at)
            if keep:
                self._string += text[at:stop]
            if stop == len(text) or text[stop] == '"':
                return stop
            if text[stop] != "\\":
                return self._fail(stop)
            at = stop
        return at

    def _escaped(self, text: str, at: int, *, keep: bool) -> int:
        wanted = 6 - len(self._pending)
        candidate = self._pending + text[at : at + wanted]
        whole = _ESCAPE.match(candidate)
        if whole is None:
            if _ESCAPE_BEGUN.fullmatch(candidate) is None:
                return self._fail(at)
            self._pending = candidate
            return len(text)
        at += whole.end() - len(self._pending)
        self._pending = ""
        return self._unescaped(whole[0], at, keep=keep)

    def _unescaped(self, escape: str, at: int, *, keep: bool) -> int:
        low = escape[1] == "u" and escape[2] in "dD" and escape[3] in "cdefCDEF"
        if low != self._high:
            return self._fail(at)
        high = escape[1] == "u" and escape[2] in "dD" and escape[3] in "89abAB"
        if keep:
            # Two halves are put together once both are there.
            half = self._string[-1:] if low else ""
            self._string = self._string[: len(self._string) - len(half)] + _character(escape, half)
        self._high = high
        return at

    def _literal(self, text: str, at: int) -> int:
        piece = text[at : at + len(self._pending)]
        if not self._pending.startswith(piece):
            return self._fail(at)
        self._pending = self._pending[len(piece) :]
        if not self._pending:
            self._finish()
        return at + len(piece)

    def _digits(self, text: str, at: int) -> int:
        while at < len(text):
            following = _NUMBER[self._number].get(_CLASSES.get(text[at], ""))
            if following is None:
                if self._number not in _NUMBER_ENDS:
                    return self._fail(at)
                self._finish()
                return at
            self._number = following
            at += 1
        return at

    def _after(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        if at == len(text):
            return at
        holder = self._open[-1]
        if text[at] == holder.closer:
            return self._closed(at)
        if text[at] != ",":
            return self._fail(at)
        if holder.closer == "}":
            self._read = self._key
        else:
            self._shape, self._read = holder.shape.element(), self._value
        return at + 1

    def _closed(self, at: int) -> int:
        self._open.pop()
        self._finish()
        return at + 1

    def _finish(self) -> None:
        self._read = self._after if self._open else self._end

    def _end(self, text: str, at: int) -> int:
        at = _after_space(text, at)
        return at if at == len(text) else self._fail(at)


def _after_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string


def _character(escape: str, half: str) -> str:
    if half:
        return chr(0x10000 + ((ord(half) - 0xD800) << 10) + _code(escape) - 0xDC00)
    return chr(_code(escape)) if escape[1] == "u" else _SHORT.get(escape[1], escape[1])


def _code(escape: str) -> int:
    digits = escape.removeprefix("\\u")
    return int(digits, 16)
