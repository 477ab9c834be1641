"""Merging: one schema in place of several that all hold for the same value (`allOf`, or keywords beside `$ref`). Pure.

What cannot be said exactly in one schema is not merged: None then.
"""

from __future__ import annotations

from typing import Any

import msgspec

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema", "$id"}
)
_LEAST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"})
_MOST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
# Keywords that mean something only beside each other.
_TOGETHER = (
    frozenset({"if", "then", "else"}),
    frozenset({"contains", "minContains", "maxContains"}),
    frozenset({"$ref", "$dynamicRef", "$recursiveRef"}),
)
_KINDS = ("string", "number", "integer", "boolean", "null", "array", "object")


def merged(schemas: list[Any]) -> Any:
    """Give one schema for all of `schemas` (objects, true or false), or None."""
    out: dict[str, Any] = {}
    for schema in schemas:
        if schema is True:
            continue
        if not isinstance(schema, dict):
            return False if schema is False else None
        both = _both(out, schema)
        if both is None:
            return None
        out = both
    return out


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    # A schema about "all other members" means other members once it is merged.
    if one and other and (_closes(one, other) or _closes(other, one)):
        return None
    if any(one.keys() & group and other.keys() & group for group in _TOGETHER):
        return None
    out = dict(one)
    for keyword, value in other.items():
        if keyword not in out or keyword in ANNOTATIONS or out[keyword] == value:
            out.setdefault(keyword, value)
            continue
        joined = _joined(keyword, out[keyword], value)
        if joined is None:
            return None
        out[keyword] = joined
    return out


def _closes(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether what `one` says about members or elements that it does not name would change by naming those of `other`."""
    if {"unevaluatedProperties", "unevaluatedItems"} & one.keys() and other.keys() - ANNOTATIONS:
        return True
    about_others = one.get("additionalProperties", True) is not True
    if about_others and (
        other.get("patternProperties") or set(other.get("properties") or ()) - set(one.get("properties") or ())
    ):
        return True
    return bool(
        {"prefixItems", "unevaluatedItems"} & (one.keys() | other.keys()) and "items" in one.keys() | other.keys()
    )


def _joined(keyword: str, one: Any, other: Any) -> Any:
    """Give one value of `keyword` that means both; None where there is none."""
    if keyword == "type":
        return _types(one, other)
    if keyword == "required":
        return list(dict.fromkeys([*one, *other]))
    if keyword in _LEAST:
        return max(one, other)
    if keyword in _MOST:
        return min(one, other)
    if keyword == "enum":
        return _common(one, other) or None
    if keyword in ("properties", "patternProperties", "$defs", "definitions"):
        return _members(one, other)
    if keyword in ("items", "additionalProperties"):
        return merged([one, other])
    if keyword == "allOf":
        return [*one, *other]
    return None


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    """Give the values of `one` that stand in `other`: 1 is 1.0, but not true."""
    known = {_key(value) for value in other}
    return [value for value in one if _key(value) in known]


def _key(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(value, order="sorted")
    return isinstance(value, bool), value


def _members(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    out = dict(one)
    for name, schema in other.items():
        out[name] = merged([out[name], schema]) if name in out else schema
        if out[name] is None:
            return None
    return out


def _types(one: Any, other: Any) -> Any:
    names = [_names(one), _names(other)]
    common = [kind for kind in _KINDS if all(kind in group for group in names)]
    # An integer is a number: what is both is the integer, and needs no second word.
    if "number" in common and "integer" in common:
        common.remove("integer")
    if not common:
        return None
    return common[0] if len(common) == 1 else common


def _names(kinds: Any) -> set[str]:
    names = {kinds} if isinstance(kinds, str) else set(kinds)
    return names | {"integer"} if "number" in names else names
