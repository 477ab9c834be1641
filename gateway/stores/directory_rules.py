"""What the directory keeps, and in which form. Pure: it checks and amends records, and knows no database.

Names come back as they are shown and compared: in Unicode's form NFC, without control characters (they end up in headers,
logs and terminals) and without white space around them. Whether somebody may do a thing is decided elsewhere.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from gateway.core.errors import InvalidRequest

Record = TypeVar("Record", bound=msgspec.Struct)

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}\Z")
_TEXT_LENGTH: Final = 200
_VALUE_LENGTH: Final = 2000
_MOST_ENTRIES: Final = 500
_LATEST: Final = 1e11
"""Seconds since 1970 of the last time that is taken: the year 5138. Milliseconds are beyond it, and refused."""

_IDS: Final = {"id", "tenant", "team", "user", "service_account", "replaced_by"}
_MAY_BE_EMPTY: Final = {"team", "user", "service_account", "replaced_by", "email", "subject", "role"}


def is_id(text: str) -> bool:
    """Whether this can be the id of anything."""
    return _ID.match(text) is not None


def checked(record: Record) -> Record:
    """Return a record as it is kept. Raises InvalidRequest, whose `param` is the field at fault."""
    fields = {name: _checked(name, value) for name, value in msgspec.structs.asdict(record).items()}
    return _converted(type(record), fields)


def changed(record: Record, changes: Mapping[str, object], changeable: frozenset[str]) -> Record:
    """Return a record with some fields changed, as it is kept. Raises InvalidRequest."""
    for name in changes:
        if name not in changeable:
            raise InvalidRequest(f"'{name[:50]}' cannot be changed.", param=name[:50])
    fields = msgspec.structs.asdict(record) | {name: _checked(name, value) for name, value in changes.items()}
    return _converted(type(record), fields)


def checked_text(name: str, text: str, longest: int = _TEXT_LENGTH) -> str:
    """Return a text in the form that is kept and compared. Raises InvalidRequest."""
    plain = unicodedata.normalize("NFC", text).strip()
    if len(plain) > longest:
        raise InvalidRequest(f"'{name}' is longer than {longest} characters.", param=name)
    if any(unicodedata.category(character) in _UNSEEN and character not in _JOINERS for character in plain):
        raise InvalidRequest(f"'{name}' holds control characters.", param=name)
    return plain


_UNSEEN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Control and format characters (bidirectional overrides too), half characters, line separators."""

_JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Persian, Indic scripts and some emoji are not written without them."""


def _converted(kind: type[Record], fields: Mapping[str, Any]) -> Record:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        param = re.split(r"[^a-z_]", path)[0]
        # Without the value: a key may have been pasted into the wrong field.
        raise InvalidRequest(f"'{param}': {_VALUE.sub('', message)}.", param=param or None) from None


_VALUE: Final = re.compile(r" '.*'", re.DOTALL)


def _checked(name: str, value: object) -> object:
    if isinstance(value, str):
        return _checked_word(name, value)
    if isinstance(value, list | tuple):
        return tuple(_checked_entry(name, entry) for entry in _bounded(name, value))
    if isinstance(value, Mapping):
        pairs = _bounded(name, list(value.items()))
        return {_entry_text(name, key): _entry_text(name, entry, _VALUE_LENGTH) for key, entry in pairs}
    if isinstance(value, float | int) and not isinstance(value, bool):
        return _checked_time(name, value)
    return value


def _checked_word(name: str, value: str) -> str:
    if not value and name in _MAY_BE_EMPTY:
        return ""
    if name in _IDS and not is_id(value):
        raise InvalidRequest(f"'{name}' is no id.", param=name)
    text = checked_text(name, value)
    if not text:
        raise InvalidRequest(f"'{name}' is empty.", param=name)
    return text.lower() if name == "email" else text


def _checked_entry(name: str, entry: object) -> object:
    """An entry of a list: a text, or a pair of texts."""
    if isinstance(entry, list | tuple):
        return tuple(_entry_text(name, part) for part in entry)
    return _entry_text(name, entry)


def _entry_text(name: str, entry: object, longest: int = _TEXT_LENGTH) -> str:
    if not isinstance(entry, str):
        raise InvalidRequest(f"'{name}' holds something that is no text.", param=name)
    return checked_text(name, entry, longest)


def _bounded(name: str, entries: Any) -> Any:
    if len(entries) > _MOST_ENTRIES:
        raise InvalidRequest(f"'{name}' has more than {_MOST_ENTRIES} entries.", param=name)
    return entries


def _checked_time(name: str, value: float) -> float:
    if not math.isfinite(value) or not 0 <= value <= _LATEST:
        raise InvalidRequest(f"'{name}' is no time in seconds since 1970.", param=name)
    return float(value)
