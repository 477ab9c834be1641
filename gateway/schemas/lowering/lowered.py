"""What lowering gives: the schema to send, what it no longer says, and how to undo in the answer what lowering changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

WRAPPED = "value"
"""The member in which an answer stands whose schema is not of an object, where a provider takes objects only."""


class Lowered(msgspec.Struct, frozen=True, kw_only=True):
    """`loosened` names what the provider will not enforce (`$.a: minLength`): the judge has to, by the original.

    Where `restores`, an answer is not yet what was asked for: `restore` makes it so, from the whole decoded answer.
    """

    schema: dict[str, Any]
    original: dict[str, Any]
    loosened: tuple[str, ...] = ()
    wrapped: bool = False
    nulled: bool = False

    @property
    def restores(self) -> bool:
        """Whether answers have to be restored, so that their text cannot go out as it comes."""
        return self.wrapped or self.nulled

    def restore(self, value: Any) -> Any:
        """Take out of an answer what was only put in for the provider: the wrapping, and nulls for members that are absent."""
        if self.wrapped and isinstance(value, dict):
            value = value.get(WRAPPED)
        return _Restoring(self.original).value(value, [self.original]) if self.nulled else value


class _Restoring:
    """Walks a value along the schemas that speak of it."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def value(self, value: Any, schemas: list[Any]) -> Any:
        nodes = list(self._all(schemas, set()))
        if isinstance(value, list):
            return [self.value(element, [*_elements(nodes, at)]) for at, element in enumerate(value)]
        if not isinstance(value, dict):
            return value
        kept = {}
        for name, member in value.items():
            said = [node["properties"][name] for node in nodes if name in (node.get("properties") or ())]
            needed = any(name in (node.get("required") or ()) for node in nodes)
            if member is None and said and not needed and not any(self._nullable(schema) for schema in said):
                continue
            kept[name] = self.value(member, said)
        return kept

    def _all(self, schemas: list[Any], seen: set[int]) -> Iterator[dict[str, Any]]:
        """Give the schemas, and those that they apply to the same value."""
        for schema in schemas:
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            yield schema
            for keyword in ("anyOf", "oneOf", "allOf"):
                yield from self._all(schema.get(keyword) or [], seen)
            if (reference := schema.get("$ref")) is not None:
                yield from self._all([pointed(self._root, reference)], seen)

    def _nullable(self, schema: Any) -> bool:
        return schema is True or any(admits_null(node) for node in self._all([schema], set()))


def admits_null(schema: dict[str, Any]) -> bool:
    """Whether `schema`, by itself and without what it refers to, says that null is welcome."""
    if "const" in schema:
        return schema["const"] is None
    if isinstance(enum := schema.get("enum"), list):
        return None in enum
    kinds = schema.get("type")
    if kinds is None:
        return not schema.keys() & {"anyOf", "oneOf", "allOf", "$ref"}
    return kinds == "null" or (isinstance(kinds, list) and "null" in kinds)


def pointed(root: dict[str, Any], reference: Any) -> Any:
    """Follow a local reference; None where it is none or leads nowhere."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    value: Any = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _elements(nodes: list[dict[str, Any]], at: int) -> Iterator[Any]:
    for node in nodes:
        first = node.get("prefixItems")
        if isinstance(first, list) and at < len(first):
            yield first[at]
        elif isinstance(node.get("items"), dict):
            yield node["items"]


Lower = Callable[[dict[str, Any]], Lowered]
