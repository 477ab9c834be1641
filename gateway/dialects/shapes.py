"""Checks decoded JSON against a msgspec type and says, in the API's own words, where it does not fit."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from gateway.core.errors import InvalidRequest

T = TypeVar("T")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_AT = re.compile(r" - at `(?:key in )?\$([^`]*)`$")


def check(value: Any, shape: type[T], path: str = "") -> T:
    """Give `value` as `shape`; `path` is where it stands in the body ("" or "messages[2]").

    Raises InvalidRequest whose `param` is the path of the fault.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as exc:
        raise fault(str(exc), path) from exc


def kind_of(raw: dict[str, Any], path: str, what: str) -> str:
    """Give the `type` of an element; `what` names such elements ("A tool"). Raises InvalidRequest."""
    kind = raw.get("type")
    if not isinstance(kind, str):
        msg = f"{what} needs a `type`, which is a string: `{path}.type`."
        raise InvalidRequest(msg, param=f"{path}.type")
    return kind


def fault(text: str, path: str = "") -> InvalidRequest:
    """Translate a message of msgspec's into the error for the caller."""
    where = path
    if at := _AT.search(text):
        where += at.group(1)
        text = text[: at.start()]
    if missing := _MISSING.match(text):
        where = f"{where}.{missing.group(1)}"
        text = "Missing required parameter"
    where = where.removeprefix(".").replace("[...]", "")
    return InvalidRequest(f"{text}: `{where}`." if where else f"{text}.", param=where or None)
