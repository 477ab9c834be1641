"""Outline: a schema as a graph of its parts: which stand in which, which refer to which, and what judging can cost at most.

References are resolved as JSON Schema says ($id, $anchor, $dynamicAnchor, JSON pointers), inside the schema only. Pure; nothing is
fetched, and nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import unquote, urljoin

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.schemas import keywords as kw

MAX_LEVELS = 48
MAX_STEPS = 256
"""References, and branches, that lead on from one another without going deeper into the document."""
CEILING = 10**9
"""Efforts are not counted further."""
_KNOWN = ("http://json-schema.org/draft-", "https://json-schema.org/draft/")
_KNOWN_EFFORT = 200
_ROOT = "schema:///"


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a schema before it is compiled.

    `efforts[n]` is how many schemas are applied at most along one path through a document that is `n` levels deep, beside the
    applications to its siblings. Where `settled`, nothing recurs, and there is one figure for all depths.
    """

    parts: int
    efforts: tuple[int, ...]
    settled: bool

    def effort(self, depth: int) -> int:
        """Give the most applications along one path through a document `depth` levels deep."""
        if self.settled:
            return self.efforts[0]
        return self.efforts[depth] if depth < len(self.efforts) else CEILING


class _Part(msgspec.Struct):
    schema: dict[str, Any]
    base: str
    index: int


class _Edges(msgspec.Struct):
    """Indexes of the parts that a part applies: to the same value, to every element or member, to one of them."""

    own: int
    same: list[int]
    each: list[int]
    one: list[int]


class Graph:
    """The parts of one schema. Raises UnsupportedSchema for a reference that leads outside or nowhere."""

    def __init__(self, schema: Mapping[str, Any], *, most: int, depth: int) -> None:
        self.parts: list[_Part] = []
        self._most = most
        self._depth = depth
        self._index: dict[int, int] = {}
        self._resources: dict[str, dict[str, Any]] = {}
        self._anchors: dict[str, int] = {}
        self._dynamic: dict[str, list[int]] = {}
        self.targets: dict[int, int | bool | None] = {}
        """What the reference in a part (by the identity of its schema) leads to: another part, true or false; None for one that is known."""
        root = dict(schema)
        self._resources[_ROOT] = root
        self._add(root, _ROOT)
        self._edges: list[_Edges] = []
        # A reference may lead to a part that stands under no keyword: then the list grows while it is read.
        for part in self.parts:
            self._edges.append(self._edges_of(part))

    def ambiguous(self, schema: dict[str, Any]) -> bool:
        """Whether several parts may be meant by the dynamic reference in `schema`."""
        reference = schema.get("$dynamicRef")
        return isinstance(reference, str) and len(self._dynamic.get(reference.partition("#")[2], ())) > 1

    def outline(self) -> Outline:
        """Weigh the graph. Raises UnsupportedSchema where parts refer to one another in a circle without going deeper."""
        nodes = range(len(self._edges))
        order = _sorted({n: self._edges[n].same for n in nodes})
        if order is None:
            msg = "References of the schema lead in a circle: they come back without going deeper into the document."
            raise UnsupportedSchema(msg)
        self._check_steps(order)
        nothing = [0] * len(nodes)
        whole = _sorted({n: self._edges[n].same + self._edges[n].each + self._edges[n].one for n in nodes})
        if whole is not None:
            # Nothing recurs: each part is weighed once, those below it first.
            weights = nothing
            for index in whole:
                weights[index] = self._weight(index, weights, weights)
            return Outline(parts=len(nodes), efforts=(weights[0],), settled=True)
        efforts: list[int] = []
        before = nothing
        while len(efforts) < MAX_LEVELS and (not efforts or efforts[-1] < CEILING):
            now = [0] * len(nodes)
            for index in order:
                now[index] = self._weight(index, now, before)
            efforts.append(now[0])
            before = now
        return Outline(parts=len(nodes), efforts=tuple(efforts), settled=False)

    def _check_steps(self, order: list[int]) -> None:
        steps = [0] * len(self._edges)
        for index in order:
            steps[index] = 1 + max((steps[n] for n in self._edges[index].same), default=0)
        if max(steps, default=0) > MAX_STEPS:
            msg = f"More than {MAX_STEPS} references of the schema lead on from one another."
            raise UnsupportedSchema(msg)

    def _weight(self, index: int, same: list[int], below: list[int]) -> int:
        edges = self._edges[index]
        deeper = sum(below[n] for n in edges.each) + max((below[n] for n in edges.one), default=0)
        return min(edges.own + sum(same[n] for n in edges.same) + deeper, CEILING)

    def _add(self, schema: dict[str, Any], base: str) -> int:
        """Take in `schema` and everything in it; give its index."""
        level = [(schema, base)]
        for _ in range(self._depth):
            below: list[tuple[dict[str, Any], str]] = []
            for part, outer in level:
                if id(part) in self._index:
                    continue
                inner = self._register(part, outer)
                below.extend((child, inner) for child in kw.children(part))
            if not below:
                return self._index[id(schema)]
            level = below
        msg = f"The schema is nested more than {self._depth} levels deep."
        raise UnsupportedSchema(msg)

    def _register(self, part: dict[str, Any], base: str) -> str:
        index = len(self.parts)
        if index >= self._most:
            msg = f"The schema has more than {self._most:,} parts."
            raise UnsupportedSchema(msg)
        self._index[id(part)] = index
        identity = part.get("$id", part.get("id"))
        if isinstance(identity, str) and identity:
            if identity.startswith("#"):
                self._anchors[base + identity] = index
            else:
                base = _joined(base, identity).partition("#")[0]
                self._resources.setdefault(base, part)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := part.get(keyword), str):
                self._anchors[f"{base}#{name}"] = index
        if isinstance(name := part.get("$dynamicAnchor"), str):
            self._dynamic.setdefault(name, []).append(index)
        self.parts.append(_Part(schema=part, base=base, index=index))
        return base

    def _edges_of(self, part: _Part) -> _Edges:
        schema = part.schema
        own = 1 + len(schema.get("enum") or ()) // 16 + len(_group(schema, "patternProperties"))
        edges = _Edges(own=own, same=[], each=[], one=[])
        edges.same.extend(self._indexes(_values(schema, kw.SAME_ONE, kw.SAME_LIST, kw.SAME_MAP)))
        edges.each.extend(self._indexes(_values(schema, kw.ELEMENT_ONE, (), ())))
        edges.each.extend(self._indexes(_values(schema, kw.MEMBER_ONE, (), kw.MEMBER_MAP)))
        edges.one.extend(self._indexes(_values(schema, (), kw.ELEMENT_LIST, kw.NAMED_MAP)))
        for keyword in kw.REFERENCES:
            if isinstance(reference := schema.get(keyword), str):
                self._refer(part, keyword, reference, edges)
        return edges

    def _indexes(self, schemas: Iterator[dict[str, Any]]) -> Iterator[int]:
        return (self._index[id(schema)] for schema in schemas)

    def _refer(self, part: _Part, keyword: str, reference: str, edges: _Edges) -> None:
        target = _joined(part.base, reference)
        if target.startswith(_KNOWN) and target.partition("#")[0] not in self._resources:
            edges.own += _KNOWN_EFFORT
            self.targets.setdefault(id(part.schema), None)
            return
        found = self._find(target, reference)
        self.targets.setdefault(id(part.schema), found)
        if isinstance(found, bool):
            return
        edges.same.append(found)
        name = target.partition("#")[2]
        if keyword != "$ref" and name in self._dynamic:
            edges.same.extend(n for n in self._dynamic[name] if n != found)

    def _find(self, target: str, written: str) -> int:
        """Give the index of what `target` names, or that itself where it is `true` or `false`."""
        if target in self._anchors:
            return self._anchors[target]
        address, _, fragment = target.partition("#")
        value: Any = self._resources.get(address)
        if value is None:
            msg = f"Only references inside the schema are followed, and nothing is fetched: {written[:200]!r}."
            raise UnsupportedSchema(msg)
        try:
            value = _pointed(value, unquote(fragment))
        except (LookupError, ValueError) as exc:
            msg = f"The reference {written[:200]!r} leads nowhere."
            raise UnsupportedSchema(msg) from exc
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict):
            msg = f"The reference {written[:200]!r} leads to what is no schema."
            raise UnsupportedSchema(msg)
        return self._index[id(value)] if id(value) in self._index else self._add(value, address)


def _sorted(edges: dict[int, list[int]]) -> list[int] | None:
    """Give the parts with those that they apply before them; None where they apply themselves."""
    try:
        return list(TopologicalSorter(edges).static_order())
    except CycleError:
        return None


def _pointed(value: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901). Raises LookupError or ValueError where it leads nowhere."""
    if not pointer:
        return value
    if not pointer.startswith("/"):
        raise LookupError(pointer)
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else _members(value)[name]
    return value


def _joined(base: str, reference: str) -> str:
    if reference.startswith("#"):
        return base + reference if reference != "#" else base
    try:
        joined = urljoin(base, reference)
    except ValueError as exc:
        msg = f"The reference {reference[:200]!r} is no URI."
        raise UnsupportedSchema(msg) from exc
    return joined.removesuffix("#")


def _group(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    return _members(schema.get(keyword))


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _values(
    schema: dict[str, Any], ones: tuple[str, ...], lists: tuple[str, ...], maps: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    for keyword in ones:
        if isinstance(value := schema.get(keyword), dict):
            yield value
    for keyword in lists:
        if isinstance(values := schema.get(keyword), list):
            yield from (value for value in values if isinstance(value, dict))
    for keyword in maps:
        yield from (value for value in _group(schema, keyword).values() if isinstance(value, dict))
