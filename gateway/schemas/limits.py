"""Limits on schemas that clients send: size, depth, parts, branches, references, patterns, and what judging could cost.

A schema that passes costs a bounded time to compile and to judge by. Pure; it compiles nothing, and nothing is ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.outline import Graph, Outline

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_PARTS = 10_000
MAX_BRANCHES = 1_000
"""In one allOf, anyOf or oneOf."""
MAX_PROPERTIES = 2_000
"""Of one object."""
MAX_ENUM = 10_000
"""Values, in all enums together."""
MAX_PATTERN = 1_000
"""Characters."""
MAX_PATTERNS = 500
MAX_EFFORT = 200_000
"""Schemas applied to one value and, where nothing recurs, along one path from it to a leaf."""

_BRANCHING = ("allOf", "anyOf", "oneOf", "prefixItems")
_REPEAT = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")
_DRAFT = re.compile(r"https?://json-schema\.org/(?:draft-0[467]|draft/20(?:19-09|20-12))/schema#?")
LIGHT_BYTES = 8 * 1024
_LIGHT_PARTS = 150
_LIGHT_REPEATS = 1_000
_LIGHT_PATTERNS = 50


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A schema within the limits. `light`: it compiles in a time that nobody notices (under about 3 ms)."""

    canonical: bytes
    outline: Outline
    light: bool


def canonical(schema: Mapping[str, Any]) -> bytes:
    """Give the schema as JSON with sorted keys. Raises UnsupportedSchema when it is too deep, too large, or no JSON."""
    try:
        text = msgspec.json.encode(schema, order="sorted")
    except RecursionError as exc:
        raise UnsupportedSchema(_too_deep()) from exc
    except (TypeError, ValueError, UnicodeEncodeError) as exc:
        msg = "The schema is not a JSON document."
        raise UnsupportedSchema(msg) from exc
    if len(text) > MAX_BYTES:
        msg = f"The schema has {len(text):,} bytes; at most {MAX_BYTES:,} are accepted."
        raise UnsupportedSchema(msg)
    return text


def check(schema: Mapping[str, Any]) -> Checked:
    """Give what is known about `schema`. Raises UnsupportedSchema with the limit that it breaks."""
    text = canonical(schema)
    if not _is_known(named := schema.get("$schema")):
        msg = f"The draft that `$schema` names is not known: {str(named)[:200]!r}. Drafts 4 to 2020-12 are."
        raise UnsupportedSchema(msg)
    graph = Graph(schema, most=MAX_PARTS, depth=MAX_DEPTH)
    patterns = _Patterns()
    values = 0
    for part in graph.parts:
        values += _check_counts(part.schema)
        if values > MAX_ENUM:
            msg = f"The schema's enums have more than {MAX_ENUM:,} values."
            raise UnsupportedSchema(msg)
        patterns.read(part.schema)
    outline = graph.outline()
    if outline.efforts[0] > MAX_EFFORT:
        msg = f"The schema's branches multiply: one value could be checked more than {MAX_EFFORT:,} times."
        raise UnsupportedSchema(msg)
    light = len(text) <= LIGHT_BYTES and outline.parts <= _LIGHT_PARTS and patterns.light
    return Checked(canonical=text, outline=outline, light=light)


def _is_known(draft: Any) -> bool:
    return draft is None or (isinstance(draft, str) and _DRAFT.fullmatch(draft) is not None)


def _too_deep() -> str:
    return f"The schema is nested more than {MAX_DEPTH} levels deep."


def _check_counts(part: dict[str, Any]) -> int:
    """Give how many values `part` lists. Raises UnsupportedSchema where one list or object is too long."""
    for keyword in _BRANCHING:
        if isinstance(branches := part.get(keyword), list) and len(branches) > MAX_BRANCHES:
            msg = f"{keyword!r} has {len(branches):,} branches; at most {MAX_BRANCHES:,} are accepted."
            raise UnsupportedSchema(msg)
    for keyword in ("properties", "patternProperties"):
        if isinstance(group := part.get(keyword), dict) and len(group) > MAX_PROPERTIES:
            msg = f"{keyword!r} has {len(group):,} members; at most {MAX_PROPERTIES:,} are accepted."
            raise UnsupportedSchema(msg)
    enum = part.get("enum")
    return len(enum) if isinstance(enum, list) else 0


class _Patterns:
    """Counts patterns. Whether one is a pattern at all, the engine that compiles it says, within bounds of its own."""

    def __init__(self) -> None:
        self._count = 0
        self._repeats = 0

    @property
    def light(self) -> bool:
        return self._repeats <= _LIGHT_REPEATS and self._count <= _LIGHT_PATTERNS

    def read(self, part: dict[str, Any]) -> None:
        group = part.get("patternProperties")
        names = list(group) if isinstance(group, dict) else []
        if isinstance(pattern := part.get("pattern"), str):
            names.append(pattern)
        for pattern in names:
            self._read(pattern)

    def _read(self, pattern: str) -> None:
        self._count += 1
        if self._count > MAX_PATTERNS:
            msg = f"The schema has more than {MAX_PATTERNS} patterns."
            raise UnsupportedSchema(msg)
        if len(pattern) > MAX_PATTERN:
            msg = f"A pattern has {len(pattern):,} characters; at most {MAX_PATTERN:,} are accepted."
            raise UnsupportedSchema(msg)
        # Counted repetitions multiply where they nest; that they nest is assumed.
        repeats = 1
        for low, high in _REPEAT.findall(pattern):
            repeats *= max(int(high or low), 1)
        self._repeats += repeats
