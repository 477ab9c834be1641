"""Bodies and query strings of the admin API, read strictly: a field that nobody knows is an error that names the nearest one.

The struct of a body is also its schema in /openapi.json, so what is described is what is checked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from gateway.core.errors import InvalidRequest
from gateway.core.strict_json import decode_object
from gateway.dialects.shapes import fault
from gateway.stores.key_material import is_well_formed

T = TypeVar("T", bound=msgspec.Struct)

MAX_BODY = 256 * 1024
"""Bytes of a body; the largest is an invoice of 2,000 lines."""
MAX_PAGE = 1000

# The end of a text in Python's and in ECMAScript's expressions alike: these stand in /openapi.json too.
END = r"(?![\s\S])"
# No control characters anywhere, nor what turns a line around: names end up in logs, tables, CSV files and terminals.
_PLAIN = rf"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]*{END}"
_NOT_BLANK = rf"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]*{END}"

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_NOT_BLANK, description="A name for people.")]
Text = Annotated[str, Meta(max_length=1000, pattern=_PLAIN)]
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=rf"^[A-Za-z0-9._:@+-]+{END}")]
OptionalId = Annotated[str, Meta(max_length=128, pattern=rf"^[A-Za-z0-9._:@+-]*{END}")]
Pattern = Annotated[str, Meta(min_length=1, max_length=200, pattern=_NOT_BLANK)]
Patterns = Annotated[
    list[Pattern], Meta(max_length=200, description="Names; a * at the end stands for any rest. None is everything.")
]
TagName = Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^[A-Za-z0-9._-]+{END}")]
TagValue = Annotated[str, Meta(max_length=256, pattern=_PLAIN)]
Tags = Annotated[dict[TagName, TagValue], Meta(max_length=50, description="Names and values, for usage and limits.")]
Cursor = Annotated[str, Meta(max_length=512, pattern=_PLAIN, description="`next` of the page before.")]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="Entries of a page.")]

_KEYS = re.compile(rb"sk-sg-[0-9A-Za-z]{46}")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$([^`]*)`)?\Z", re.DOTALL)
_LENGTH = re.compile(r"Expected `(str|array|object)` of length (>=|<=) (\d+)(?: - at .*)?\Z")
_FORM = re.compile(r"Expected `str` matching regex (.*?)(?: - at .*)?\Z", re.DOTALL)
_UNITS = {"str": "characters", "array": "entries", "object": "entries"}


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every body and query string is: a closed record."""


def decode_body(body: bytes, shape: type[T], *, depth: int = 10) -> T:
    """Give a body as `shape`. Raises InvalidRequest, whose `param` is the field at fault; also for one that holds a key."""
    if any(map(is_well_formed, _KEYS.findall(body))):
        msg = "The body holds an API key, and what is written here is kept and shown: name a key by its id. Revoke that one."
        raise InvalidRequest(msg)
    return _converted(decode_object(body, depth=depth), shape, strict=True)


def decode_query(query: bytes, shape: type[T], *, lists: Collection[str] = ()) -> T:
    """Give a query string as `shape`; a name given twice is refused, but for `lists` (also written as `name[]`). Raises InvalidRequest."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=50,
        )
    except ValueError as exc:  # UnicodeDecodeError is one too
        msg = "The query string is not well-formed: names and values, percent-encoded UTF-8, at most 50."
        raise InvalidRequest(msg) from exc
    given: dict[str, Any] = {}
    for name in lists:
        if values := [value for written, value in pairs if written in (name, f"{name}[]")]:
            given[name] = values
    single = [(name, value) for name, value in pairs if name.removesuffix("[]") not in lists]
    given |= dict(single)
    if len(dict(single)) != len(single):
        msg = "A parameter of the query string was given more than once."
        raise InvalidRequest(msg)
    return _converted(given, shape, strict=False)


def _converted(value: dict[str, Any], shape: type[T], *, strict: bool) -> T:
    try:
        return msgspec.convert(value, shape, strict=strict)
    except msgspec.ValidationError as exc:
        raise complaint(str(exc), shape) from exc


def complaint(text: str, shape: type[msgspec.Struct]) -> InvalidRequest:
    """Translate a message of msgspec's into a plain sentence."""
    if unknown := _UNKNOWN.fullmatch(text):
        name, inside = unknown.group(1)[:100], (unknown.group(2) or "").removeprefix(".")
        known = [] if inside else [field.encode_name for field in msgspec.structs.fields(shape)]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known here: {', '.join(known)}." if known else ""
        where = f"{inside}.{name}" if inside else name
        return InvalidRequest(f"There is no field {name!r} here.{hint}", param=where)
    found = fault(text)
    subject = f"`{found.param}`" if found.param else "A value"
    if length := _LENGTH.fullmatch(text):
        what, sign, number = length.groups()
        bound = "at least" if sign == ">=" else "at most"
        return InvalidRequest(f"{subject} must have {bound} {number} {_UNITS[what]}.", param=found.param)
    if _FORM.fullmatch(text):
        msg = f"{subject} has characters that are not allowed there, or is blank."
        return InvalidRequest(msg, param=found.param)
    return found
