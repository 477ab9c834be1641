"""Shape: what a schema plainly says about the form of a value, for checks while the value still arrives.

Only what stands openly is read (`type`, `enum`, `const`, `properties`, `additionalProperties`, `items`, local references); all else
counts as saying nothing. So a shape never forbids what the schema allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DIGITS = "-0123456789"
_FIRSTS = {
    "string": '"',
    "object": "{",
    "array": "[",
    "boolean": "tf",
    "null": "n",
    "number": _DIGITS,
    "integer": _DIGITS,
}
_MOST_STEPS = 16


class Shape:
    """What may come where one value is expected."""

    __slots__ = ("_element", "_items", "_members", "_named", "_other", "_others", "_root", "firsts", "strings")

    def __init__(self, schema: Any, root: Mapping[str, Any]) -> None:
        self._root = root
        schema = _target(schema, root)
        self.firsts: frozenset[str] | None = _firsts(schema)
        """The characters that the value may begin with; None for any."""
        self.strings: frozenset[str] | None = _strings(schema)
        """What a string may be; None for anything."""
        self._named: dict[str, Any] = _mapping(schema.get("properties"))
        others = schema.get("additionalProperties")
        self._others = None if "patternProperties" in schema else others
        items = schema.get("items")
        self._items = None if "prefixItems" in schema else items
        # Made once each: an array has many elements, and a schema may lead back to itself.
        self._members: dict[str, Shape] = {}
        self._other: Shape | None = None
        self._element: Shape | None = None

    def member(self, name: str) -> Shape | None:
        """Give the shape of the member `name` of an object; None where there may be no such member."""
        if name in self._named:
            if name not in self._members and self._named[name] is not False:
                self._members[name] = Shape(self._named[name], self._root)
            return self._members.get(name)
        if self._other is None and self._others is not False:
            self._other = Shape(self._others, self._root)
        return self._other

    def element(self) -> Shape:
        """Give the shape of an array's elements."""
        if self._element is None:
            self._element = Shape(self._items, self._root)
        return self._element

    def may_begin(self, text: str) -> bool:
        """Whether a string that begins with `text` is possible."""
        return self.strings is None or any(string.startswith(text) for string in self.strings)


def shape_of(schema: Mapping[str, Any]) -> Shape:
    """Give the shape of a whole document of `schema`."""
    return Shape(schema, schema)


def _target(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references from `schema`; what cannot be followed simply says nothing."""
    for _ in range(_MOST_STEPS):
        if not isinstance(schema, dict) or (schema is not root and "$id" in schema):
            return {}
        reference = schema.get("$ref")
        if reference is None:
            return schema
        schema = _pointed(root, reference)
    return {}


def _pointed(root: Mapping[str, Any], reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#") or "%" in reference:
        return None
    value: Any = dict(root)
    for step in reference[1:].split("/")[1:]:
        value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
        if isinstance(value, dict) and "$id" in value:
            return None
    return value if reference == "#" or reference.startswith("#/") else None


def _firsts(schema: Mapping[str, Any]) -> frozenset[str] | None:
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds
    allowed = None
    if isinstance(names, list):
        allowed = frozenset("".join(_FIRSTS.get(name, "") for name in names if isinstance(name, str)))
    values = _values(schema)
    if values is None:
        return allowed
    listed = frozenset("".join(_first(value) for value in values))
    return listed if allowed is None else listed & allowed


def _strings(schema: Mapping[str, Any]) -> frozenset[str] | None:
    values = _values(schema)
    return None if values is None else frozenset(value for value in values if isinstance(value, str))


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _first(value: Any) -> str:
    if value is None:
        return "n"
    for kind, first in ((bool, "t" if value is True else "f"), (str, '"'), (list, "["), (dict, "{")):
        if isinstance(value, kind):
            return first
    return _DIGITS


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
