"""Checks decoded JSON against a msgspec type and says, in plain sentences, where it does not fit."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from gateway.core.errors import InvalidRequest

T = TypeVar("T")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNEXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_BOUND = re.compile(r"Expected `(?:int|float)` (>=|<=|>|<) (\S+)")
_CHOICE = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_AT = re.compile(r" - at `\$([^`]*)`$")
_ANY_VALUE = "[...]"
"""msgspec's path to a value in an object without fixed fields: it does not tell the key."""

_WORDS = {
    "array": "an array",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "a string",
}
_FOUND = _WORDS | {"bool": "a boolean", "float": "a decimal number"}


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
    inside = ""
    if at := _AT.search(text):
        inside = at.group(1)
        text = text[: at.start()]
    where = (path + inside).replace(_ANY_VALUE, "").removeprefix(".")
    if missing := _MISSING.fullmatch(text):
        where = f"{where}.{missing.group(1)}".removeprefix(".")
        return InvalidRequest(f"Missing required parameter: `{where}`.", param=where)
    subject = f"`{where}`" if where else "The body"
    if inside.endswith(_ANY_VALUE):
        subject = f"Every value of {subject}"
    return InvalidRequest(f"{subject} {_complaint(text)}.", param=where or None)


def _complaint(text: str) -> str:
    """Give what is said of the value at fault. What msgspec may say besides, no shape here can make it say."""
    if bound := _BOUND.fullmatch(text):
        return f"must be {_BOUNDS[bound.group(1)]} {float(bound.group(2)):g}"
    if choice := _CHOICE.fullmatch(text):
        return f"cannot be {choice.group(1)[:100]}"
    unexpected = _UNEXPECTED.fullmatch(text)
    if unexpected is None:
        return "is not valid"
    # Null stands for absent: nobody is told to write it.
    kinds = [kind for kind in unexpected.group(1).split(" | ") if kind != "null"]
    wanted = " or ".join(_WORDS.get(kind, kind) for kind in kinds)
    found = "a number" if unexpected.group(2) == "int" else _FOUND.get(unexpected.group(2), unexpected.group(2))
    return f"must be {wanted}, not {found}"
