"""Reads JSON from clients strictly: what policy sees is exactly what can go out.

Refused: what RFC 8259 refuses, invalid UTF-8, lone surrogates, NaN and numbers beyond a double, nesting beyond the limit, and
duplicate keys (RFC 8259 leaves them to the reader; two readers that differ are a hole).
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from gateway.core.errors import MalformedBody

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_MALFORMED = re.compile(r"JSON is malformed: (.*)").fullmatch
_SPACED_COLON = re.compile(rb"\s:").search


def decode_object(body: bytes, *, depth: int = 100) -> dict[str, Any]:
    """Decode `body`, which must be one JSON object nested at most `depth` deep.

    Raises MalformedBody, whose message says what and where.
    """
    if not body:
        msg = "The request has no body; a JSON object is expected."
        raise MalformedBody(msg)
    value = decode_value(body, depth=depth)
    if not isinstance(value, dict):
        msg = f"The body must be a JSON object, not {_kind(value)}."
        raise MalformedBody(msg)
    return value


def decode_value(body: bytes, *, depth: int = 100) -> Any:
    """Decode any JSON value as strictly. Raises MalformedBody."""
    try:
        value = _decode(body)
    except RecursionError as exc:
        raise MalformedBody(_too_deep(depth)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedBody(_complaint(body, exc)) from exc
    if body.count(b"{") + body.count(b"[") > depth and _deeper_than(value, depth):
        raise MalformedBody(_too_deep(depth))
    # A round trip keeps one of two equal keys: then the two counts differ. Strings count alike on both sides.
    if _has_odd_keys(body) or body.count(b'":') != _encode(value).count(b'":'):
        _refuse_duplicates(body)
    return value


def _has_odd_keys(body: bytes) -> bool:
    """Whether `":` may not be the mark of a key here: the count means nothing then. (One-byte searches are nearly free.)"""
    if b" :" in body or (b"\\" in body and b"\\u00" in body):
        return True
    return (b"\n" in body or b"\t" in body or b"\r" in body) and _SPACED_COLON(body) is not None


def _complaint(body: bytes, error: Exception) -> str:
    """Say what is wrong with a body that msgspec cannot read, without msgspec's name for it."""
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        return f"The body is not valid UTF-8 (byte {exc.start})."
    if isinstance(error, msgspec.ValidationError):
        return "A number in the body is out of range."  # without a type to fit, nothing else can be
    if malformed := _MALFORMED(str(error)):
        return f"The body is not valid JSON: {malformed.group(1)}."
    return "The body is not valid JSON: it ends too soon."


def _too_deep(depth: int) -> str:
    return f"The body is nested more than {depth} levels deep."


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}[type(value)]


def _deeper_than(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _refuse_duplicates(body: bytes) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            msg = f"The key {twice[:100]!r} occurs more than once in one object."
            raise MalformedBody(msg, param=twice[:100])
        return seen

    json.loads(body, object_pairs_hook=once, parse_int=str)
