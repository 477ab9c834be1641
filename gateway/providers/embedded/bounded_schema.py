"""Bounded schemas: narrows a JSON schema to documents that a very small model can finish.

A tiny model left with an unbounded string, number, array or object goes on until its token limit, and a cut document is worth
nothing. So everything without a bound gets one, recursion gets a depth, and objects that list their properties admit no others.
Every document of the narrowed schema satisfies the original. Pure; it neither compiles nor judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STRING_LENGTH = 1_000
ARRAY_ITEMS = 32
FREE_PROPERTIES = 8
FREE_DEPTH = 2
RECURSION_DEPTH = 3
SAFE_INTEGER = 2**53 - 1
# Six digits behind the point; without a step a model writes digits for ever.
NUMBER_STEP = 0.000001
NUMBER_LIMIT = 1e12

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = (
    "items",
    "additionalProperties",
    "additionalItems",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
)
_DEFINITIONS = ("$defs", "definitions")
_ANNOTATIONS = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$schema",
        "$id",
    },
)
_COMBINATORS = frozenset({"allOf", "anyOf", "oneOf", "$ref", "if", "not"})
_FREE_KEY = "^[A-Za-z_][A-Za-z0-9_ -]{0,30}$"


def subschemas(schema: Any) -> Iterator[Any]:
    """Give the direct children of `schema` that are themselves schemas; what `const`, `enum` and `default` hold is not."""
    if not isinstance(schema, dict):
        return
    for keyword in _MAPS:
        group = schema.get(keyword)
        if isinstance(group, dict):
            yield from group.values()
    for keyword in (*_LISTS, *_SINGLES):
        value = schema.get(keyword)
        if isinstance(value, list):
            yield from value
        elif isinstance(value, dict):
            yield value


def without_compiler_options(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give `schema` without `x-guidance`: with it a client could switch the grammar compiler to lenient."""
    kept: dict[str, Any] = each_child(schema, without_compiler_options)
    kept.pop("x-guidance", None)
    return kept


def bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give the narrowed schema (see the module's docstring)."""
    unrolled = _unrolled(schema)
    return _narrow(unrolled, closing=not any(_entangled(part) for part in _walk(unrolled)))


def _entangled(part: dict[str, Any]) -> bool:
    """Whether several schemas speak of one value here: then none may forbid the properties that another asks for."""
    keys = part.keys() - _ANNOTATIONS - {*_DEFINITIONS}
    if not keys & _COMBINATORS:
        return False
    return len(keys) > 1 or bool(keys & {"if", "not"}) or len(part.get("allOf", ())) > 1


def _walk(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for child in subschemas(schema):
            yield from _walk(child)


def each_child(schema: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """Copy `schema` with `change` applied to each direct child that is an object."""

    def each(value: Any) -> Any:
        if isinstance(value, list):
            return [each(item) for item in value]
        return change(value) if isinstance(value, dict) else value

    copy = dict(schema)
    for keyword in copy.keys() & {*_LISTS, *_SINGLES}:
        copy[keyword] = each(copy[keyword])
    for keyword in copy.keys() & {*_MAPS}:
        if isinstance(copy[keyword], dict):
            copy[keyword] = {name: each(value) for name, value in copy[keyword].items()}
    return copy


def _narrow(schema: dict[str, Any], *, closing: bool) -> dict[str, Any]:
    if not schema.keys() - _ANNOTATIONS:
        return {**schema, **_anything(FREE_DEPTH)}
    out = each_child(schema, lambda child: _narrow(child, closing=closing))
    for keyword in ("properties", "patternProperties"):
        if isinstance(out.get(keyword), dict):
            out[keyword] = {k: _anything(FREE_DEPTH) if v is True else v for k, v in out[keyword].items()}
    if not out.keys() & {"enum", "const"}:
        _bound_kinds(out, closing=closing)
    return out


def _bound_kinds(out: dict[str, Any], *, closing: bool) -> None:
    kinds = out.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "string" in kinds:
        _at_most(out, "maxLength", STRING_LENGTH, least=out.get("minLength"))
    if "array" in kinds:
        _at_most(out, "maxItems", ARRAY_ITEMS, least=out.get("minItems"))
        if "items" not in out or out["items"] is True:
            out["items"] = _anything(FREE_DEPTH - 1)
    if "object" in kinds:
        _bound_object(out, closing=closing)
    if "number" in kinds:
        out.setdefault("multipleOf", NUMBER_STEP)
        _bound_range(out, NUMBER_LIMIT)
    elif "integer" in kinds:
        _bound_range(out, SAFE_INTEGER)


def _at_most(out: dict[str, Any], keyword: str, bound: int, *, least: Any) -> None:
    if keyword not in out:
        out[keyword] = max(bound, least) if isinstance(least, int) else bound


def _bound_range(out: dict[str, Any], limit: float) -> None:
    if not out.keys() & {"minimum", "exclusiveMinimum"} and _below(out.get("maximum", 0), limit):
        out["minimum"] = -limit
    if not out.keys() & {"maximum", "exclusiveMaximum"} and _below(out.get("minimum", 0), limit):
        out["maximum"] = limit


def _below(value: Any, limit: float) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= limit


def _bound_object(out: dict[str, Any], *, closing: bool) -> None:
    names = out.get("properties") or {}
    listed = isinstance(names, dict) and set(out.get("required") or ()) <= names.keys()
    if not closing or not listed or out.keys() & {"patternProperties", "minProperties"}:
        return
    rest = out.get("additionalProperties", True)
    if names and rest is True:
        out["additionalProperties"] = False
    elif not names and rest is not False:
        out["patternProperties"] = {_FREE_KEY: _anything(FREE_DEPTH) if rest in (True, {}) else rest}
        out["additionalProperties"] = False
        out.setdefault("maxProperties", FREE_PROPERTIES)


def _anything(depth: int) -> dict[str, Any]:
    """Any JSON value, at most `depth` containers deep and of a size that ends."""
    kinds: list[dict[str, Any]] = [
        {"type": "string", "maxLength": STRING_LENGTH},
        {"type": "number", "minimum": -NUMBER_LIMIT, "maximum": NUMBER_LIMIT, "multipleOf": NUMBER_STEP},
        {"type": "boolean"},
        {"type": "null"},
    ]
    if depth > 0:
        inner = _anything(depth - 1)
        kinds.append({"type": "array", "items": inner, "maxItems": ARRAY_ITEMS})
        kinds.append(
            {
                "type": "object",
                "patternProperties": {_FREE_KEY: inner},
                "additionalProperties": False,
                "maxProperties": FREE_PROPERTIES,
            },
        )
    return {"anyOf": kinds}


def _unrolled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give recursive definitions a depth: copies by level, where the last one refers to `false`."""
    definitions = _definitions(schema)
    recursive = {reference for reference in definitions if reference in _reachable(definitions, reference)}
    if not recursive:
        return dict(schema)
    out: dict[str, Any] = _at_level(
        {key: value for key, value in schema.items() if key not in _DEFINITIONS}, recursive, 0
    )
    for reference, part in definitions.items():
        _, keyword, name = reference.split("/", 2)
        group = out.setdefault(keyword, {})
        if reference not in recursive:
            group[name] = _at_level(part, recursive, 0) if isinstance(part, dict) else part
            continue
        for level in range(RECURSION_DEPTH + 1):
            group[f"{name}@{level}"] = _at_level(part, recursive, level + 1)
    return out


def _at_level(part: dict[str, Any], recursive: set[str], level: int) -> Any:
    """Copy `part` so that what it says about recursive definitions points to their copies of `level`."""
    name = part.get("$ref")
    if name not in recursive:
        return each_child(part, lambda child: _at_level(child, recursive, level))
    return {**part, "$ref": f"{name}@{level}"} if level <= RECURSION_DEPTH else False


def _definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"#/{keyword}/{name}": part
        for keyword in _DEFINITIONS
        if isinstance(schema.get(keyword), dict)
        for name, part in schema[keyword].items()
    }


def _reachable(definitions: Mapping[str, Any], start: str) -> set[str]:
    """Give the definitions that `start` leads to, itself only where it is recursive."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for part in _walk(definitions.get(waiting.pop())):
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                waiting.append(reference)
    return seen
