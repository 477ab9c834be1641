"""What lowering gives: the schema to send, what it no longer says, and how to undo in the answer what lowering changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

WRAPPED = "value"
"""The member in which an answer stands whose schema is not of an object, where a provider takes objects only."""


class Lowered(msgspec.Struct, frozen=True, kw_only=True):
    """`loosened` names what the provider will not enforce (`$.a: minLength`): the judge has to, by the original.

    `effort` is what lowering took, in schemas seen. Where `restores`, an answer is not yet what was asked for: `restore` makes it so, from the whole decoded answer.
    """

    schema: dict[str, Any]
    original: dict[str, Any]
    loosened: tuple[str, ...] = ()
    wrapped: bool = False
    nulled: bool = False
    effort: int = 0

    @property
    def restores(self) -> bool:
        """Whether answers have to be restored, so that their text cannot go out as it comes."""
        return self.wrapped or self.nulled

    def restore(self, value: Any) -> Any:
        """Take out of an answer what was only put in for the provider: the wrapping, and nulls for members that are absent."""
        if self.wrapped and isinstance(value, dict) and WRAPPED in value:
            value = value[WRAPPED]  # what is not in its wrapping is judged as the model said it
        return _Restoring(self.original).whole(value) if self.nulled else value


class _Spot:
    """A place in the documents: the schemas that speak of the values there, gathered once however many values there are."""

    def __init__(self, nodes: list[dict[str, Any]]) -> None:
        self.nodes = nodes
        self.required = {name for node in nodes for name in node.get("required") or () if isinstance(name, str)}
        self.said: dict[str, list[Any]] = {}
        for node in nodes:
            for name, schema in (node.get("properties") or {}).items():
                self.said.setdefault(name, []).append(schema)
        self.first = max(
            (len(node["prefixItems"]) for node in nodes if isinstance(node.get("prefixItems"), list)), default=0
        )
        self.members: dict[str, _Spot] = {}
        self.elements: dict[int, _Spot] = {}
        self.droppable: dict[str, bool] = {}


class _Restoring:
    """Walks a value along the schemas that speak of it."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._spots: dict[tuple[int, ...], _Spot] = {}

    def whole(self, value: Any) -> Any:
        return self._value(value, self._spot([self._root]))

    def _value(self, value: Any, spot: _Spot) -> Any:
        if isinstance(value, list):
            return [self._value(element, self._element(spot, at)) for at, element in enumerate(value)]
        if not isinstance(value, dict):
            return value
        kept = {}
        for name, member in value.items():
            if member is None and self._droppable(spot, name):
                continue
            kept[name] = self._value(member, self._member(spot, name)) if isinstance(member, (dict, list)) else member
        return kept

    def _element(self, spot: _Spot, at: int) -> _Spot:
        at = min(at, spot.first)
        if at not in spot.elements:
            spot.elements[at] = self._spot([*_elements(spot.nodes, at)])
        return spot.elements[at]

    def _member(self, spot: _Spot, name: str) -> _Spot:
        said = spot.said.get(name)
        if said is None:
            return self._spot([])
        if name not in spot.members:
            spot.members[name] = self._spot(said)
        return spot.members[name]

    def _droppable(self, spot: _Spot, name: str) -> bool:
        if name not in spot.said or name in spot.required:
            return False
        if name not in spot.droppable:
            spot.droppable[name] = not any(self._nullable(schema) for schema in spot.said[name])
        return spot.droppable[name]

    def _spot(self, schemas: list[Any]) -> _Spot:
        nodes = list(self._all(schemas, set()))
        key = tuple(map(id, nodes))
        if key not in self._spots:
            self._spots[key] = _Spot(nodes)
        return self._spots[key]

    def _all(self, schemas: list[Any], seen: set[int]) -> Iterator[dict[str, Any]]:
        """Give the schemas, and those that they apply to the same value."""
        waiting = list(reversed(schemas))
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            yield schema
            further: list[Any] = []
            for keyword in ("anyOf", "oneOf", "allOf"):
                further.extend(schema.get(keyword) or [])
            if (reference := schema.get("$ref")) is not None:
                further.append(pointed(self._root, reference))
            waiting.extend(reversed(further))

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
