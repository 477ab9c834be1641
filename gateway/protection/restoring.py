"""Puts values back where placeholders stand in an answer, in one text or in the pieces of a stream, wherever they are cut."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.core.items import Json
from gateway.protection.placeholders import CLOSE, OPEN, Placeholders

_PLAIN: Final = re.compile(rf"{OPEN}[A-Z0-9_]{{3,40}}{CLOSE}")
# In JSON, a doubled backslash begins no escape: it is matched first, and so stepped over.
_IN_JSON: Final = re.compile(rf"\\\\|(?:{OPEN}|\\u27[eE]6)([A-Z0-9_]{{3,40}})(?:{CLOSE}|\\u27[eE]7)")
_JSON_OPEN: Final = re.compile(rf"{OPEN}|\\u27[eE]6")
_UNFINISHED_ESCAPE: Final = re.compile(r"(\\*)\\(?:u(?:2(?:7[eE]?)?)?)?\Z")
_REACH: Final = 64


class Restorer:
    """Restores one text that comes in pieces. `in_json`: the text is JSON, and values are put into its strings.

    It holds back what may be the beginning of a placeholder, and never more than the longest of them.
    """

    def __init__(self, placeholders: Placeholders, *, in_json: bool = False) -> None:
        self._placeholders = placeholders
        self._in_json = in_json
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece and give what can be said now."""
        text = self._held + piece
        hold = self._held_from(text)
        self._held = text[hold:]
        return restored(text[:hold], self._placeholders, in_json=self._in_json)

    def finish(self) -> str:
        """Give what was held back: it was no placeholder after all."""
        held, self._held = self._held, ""
        return held

    def _held_from(self, text: str) -> int:
        """Give where the unfinished placeholder at the end begins; the length of the text where there is none."""
        if not self._in_json:
            start = text.rfind(OPEN)
            return start if start >= 0 and self._placeholders.is_beginning(text[start:]) else len(text)
        base = max(0, len(text) - _REACH)
        unfinished = _UNFINISHED_ESCAPE.search(text, base)
        # After an odd number of backslashes, the last one is itself escaped.
        partial = len(text)
        if unfinished is not None and len(unfinished[1]) % 2 == 0:
            partial = unfinished.end(1)
        opens = [match for match in _JSON_OPEN.finditer(text, base, partial) if not _escaped(text, match.start())]
        if opens:
            name = OPEN + text[opens[-1].end() : partial]
            whole = name + CLOSE in self._placeholders.values
            if whole if partial < len(text) else self._placeholders.is_beginning(name):
                return opens[-1].start()
        return partial


def _escaped(text: str, index: int) -> bool:
    """Whether the backslash at `index` is the second of a pair. (An open bracket is never escaped.)"""
    if text[index] != "\\":
        return False
    before = text[:index]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def restored(text: str, placeholders: Placeholders, *, in_json: bool = False) -> str:
    """Put the values back into a whole text. A placeholder that this call does not have stays as it is."""
    values = placeholders.values
    if not in_json:
        return _PLAIN.sub(lambda match: values.get(match[0], match[0]), text) if OPEN in text else text
    if OPEN not in text and "\\u27" not in text:
        return text

    def put_back(match: re.Match[str]) -> str:
        value = values.get(f"{OPEN}{match[1]}{CLOSE}") if match[1] else None
        return match[0] if value is None else msgspec.json.encode(value).decode()[1:-1]

    return _IN_JSON.sub(put_back, text)


def restored_json(value: Json, placeholders: Placeholders) -> Json:
    """Put the values back into every text of a decoded JSON value; the same object where nothing changes."""
    if isinstance(value, str):
        return restored(value, placeholders)
    if isinstance(value, list):
        items = [restored_json(item, placeholders) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, dict):
        fields = {name: restored_json(item, placeholders) for name, item in value.items()}
        return value if all(fields[name] is value[name] for name in value) else fields
    return value
