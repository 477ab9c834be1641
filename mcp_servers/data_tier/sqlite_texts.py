"""SQLite's functions on texts whose own time grows with the product of two texts' lengths: nothing ends one of them in the middle, and a query must end in time.

They give what SQLite's give (https://sqlite.org/lang_corefunc.html), in a time that grows with the sum.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from typing import Final, TypeAlias

Value: TypeAlias = str | bytes | int | float | None
Texts: TypeAlias = tuple[str, str]

_BLANK: Final = " "


def put_in(connection: sqlite3.Connection, most: int) -> None:
    """Put them in the place of SQLite's own. No text becomes longer than `most` characters: a longer one is an error of the query."""

    def replace(text: Value, old: Value, new: Value) -> Value:
        if text is None or old is None or new is None:
            return None
        within, sought, put = _text(text), _text(old), _text(new)
        if not sought:
            return within if isinstance(text, bytes) else text
        if len(within) + within.count(sought) * (len(put) - len(sought)) > most:
            msg = f"a text is longer than {most} characters"
            raise ValueError(msg)
        return within.replace(sought, put)

    connection.create_function("instr", 2, _instr, deterministic=True)
    connection.create_function("replace", 3, replace, deterministic=True)
    strips: dict[str, Callable[[str, str], str]] = {"trim": str.strip, "ltrim": str.lstrip, "rtrim": str.rstrip}
    for name, strip in strips.items():
        for count in (1, 2):
            connection.create_function(name, count, _stripping(strip), deterministic=True)


def _instr(text: Value, sought: Value) -> int | None:
    if text is None or sought is None:
        return None
    if isinstance(text, bytes) and isinstance(sought, bytes):
        return text.find(sought) + 1
    return _text(text).find(_text(sought)) + 1


def _stripping(strip: Callable[[str, str], str]) -> Callable[..., str | None]:
    def stripped(text: Value, signs: Value = _BLANK) -> str | None:
        if text is None or signs is None:
            return None
        # Each sign once: they are gone through for each character of the text.
        return strip(_text(text), "".join(dict.fromkeys(_text(signs))))

    return stripped


def _text(value: str | bytes | float) -> str:
    """Give a value as SQLite casts it to a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    mantissa, mark, exponent = f"{value:.15g}".partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{mark}{exponent}"
