"""Schemas of many kinds, for trying constrained decoding: one for each thing that people ask of an answer. Data only."""

from __future__ import annotations

from typing import Any

_NODE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    },
    "required": ["name", "next"],
    "additionalProperties": False,
}
_POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x", "y"]}
_TWO_KINDS = [
    {
        "type": "object",
        "properties": {"kind": {"const": kind}, name: {"type": "number", "minimum": 0, "maximum": 9}},
        "required": ["kind", name],
        "additionalProperties": False,
    }
    for kind, name in (("circle", "radius"), ("square", "side"))
]


def _string(**more: Any) -> dict[str, Any]:
    return {"type": "string", "maxLength": 40, **more}


def _words(**more: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 12}, "maxItems": 4, **more}


SCHEMAS: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer in bounds": {"type": "integer", "minimum": -5, "exclusiveMaximum": 5},
    "number in bounds": {"type": "number", "exclusiveMinimum": 0.5, "maximum": 0.75},
    "multiple of seven": {"type": "integer", "multipleOf": 7, "minimum": 70, "maximum": 700},
    "cents": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 100},
    "quarters": {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 10},
    "enum": {"enum": ["red", "green", 5, None]},
    "const object": {"const": {"a": [1, 2, {"b": None}]}},
    "enum beside a bound": {"enum": [1, 20, 300], "minimum": 10},
    "string bounds": {"type": "string", "minLength": 5, "maxLength": 9},
    "pattern": _string(pattern="^[A-Z]{3}-[0-9]{4}$"),
    "pattern in the middle": _string(pattern="[0-9]{2}"),
    "date": _string(format="date"),
    "time": _string(format="time"),
    "date-time": _string(format="date-time"),
    "duration": _string(format="duration"),
    "email": _string(format="email"),
    "hostname": _string(format="hostname"),
    "ipv4": _string(format="ipv4"),
    "ipv6": _string(format="ipv6"),
    "uuid": _string(format="uuid"),
    "uri": {"type": "string", "format": "uri", "maxLength": 60},
    "iri": {"type": "string", "format": "iri", "maxLength": 60},
    "json-pointer": _string(format="json-pointer"),
    "regex": _string(format="regex"),
    "array bounds": _words(minItems=2),
    "unique items": _words(minItems=2, uniqueItems=True),
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"type": "string", "maxLength": 9}],
        "items": False,
        "minItems": 2,
    },
    "contains": {"type": "array", "contains": {"type": "integer", "minimum": 5}, "minContains": 2, "maxItems": 3},
    "object": {
        "type": "object",
        "properties": {"name": _string(), "age": {"type": "integer", "minimum": 0}},
        "required": ["name", "age"],
    },
    "optional members": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "map of integers": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "minProperties": 1,
        "maxProperties": 3,
    },
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x_[a-z]{1,5}$": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "property names": {"type": "object", "propertyNames": {"pattern": "^[a-z]{2,5}$"}, "maxProperties": 3},
    "anyOf": {"anyOf": [{"type": "integer"}, _string()]},
    "oneOf by kind": {"oneOf": _TWO_KINDS},
    "oneOf that overlaps": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]},
    "allOf": {"allOf": [_POINT, {"properties": {"z": {"type": "integer"}}, "required": ["z"]}]},
    "allOf by reference": {"$defs": {"p": _POINT}, "allOf": [{"$ref": "#/$defs/p"}], "unevaluatedProperties": False},
    "if then": {
        "type": "object",
        "properties": {"country": {"enum": ["US", "CA"]}, "code": {"type": "string"}},
        "required": ["country", "code"],
        "additionalProperties": False,
        "if": {"properties": {"country": {"const": "US"}}},
        "then": {"properties": {"code": {"pattern": "^[0-9]{5}$"}}},
        "else": {"properties": {"code": {"pattern": "^[A-Z][0-9][A-Z]$"}}},
    },
    "not a value": {"type": "integer", "minimum": 0, "maximum": 9, "not": {"const": 5}},
    "not a member": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "not": {"required": ["b"]},
    },
    "dependent members": {
        "type": "object",
        "properties": {"card": {"type": "integer"}, "address": {"type": "string", "maxLength": 20}},
        "dependentRequired": {"card": ["address"]},
        "additionalProperties": False,
    },
    "definitions": {
        "$defs": {"p": _POINT},
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/p"}},
        "required": ["a"],
        "additionalProperties": False,
    },
    "recursion": {"$defs": {"node": _NODE}, "$ref": "#/$defs/node"},
    "recursion at the root": {
        "type": "object",
        "properties": {
            "value": {"type": "integer", "maximum": 99},
            "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
        },
        "required": ["value"],
        "additionalProperties": False,
    },
    "recursion that is dynamic": {
        "$id": "https://example.com/tree",
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {
            "data": {"type": "boolean"},
            "children": {"type": "array", "items": {"$dynamicRef": "#node"}, "maxItems": 2},
        },
        "additionalProperties": False,
    },
    "anchors": {
        "$defs": {"a": {"$anchor": "here", "type": "integer", "maximum": 9}},
        "type": "array",
        "items": {"$ref": "#here"},
        "maxItems": 3,
    },
    "draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"n": {"type": "integer", "maximum": 9}},
        "type": "array",
        "items": [{"$ref": "#/definitions/n"}, {"type": "boolean"}],
        "additionalItems": False,
        "minItems": 2,
    },
    "nullable": {"type": ["integer", "null"], "maximum": 9},
    "anything": {},
    "remote reference": {"$ref": "https://example.com/remote.json"},
    "nothing": {"type": "string", "not": {}},
    "look-around": {"type": "string", "pattern": "^(?!x)[a-z]{3}$"},
}
