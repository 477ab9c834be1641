"""Where JSON Schema's keywords (drafts 4 to 2020-12) hold further schemas, and which value those are about. Tables only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SAME_LIST = ("allOf", "anyOf", "oneOf")
"""Lists of schemas about the same value."""
SAME_ONE = ("not", "if", "then", "else")
SAME_MAP = ("dependentSchemas", "dependencies")
ELEMENT_ONE = ("items", "additionalItems", "contains", "unevaluatedItems")
"""Schemas about an array's elements."""
ELEMENT_LIST = ("prefixItems", "items")
MEMBER_ONE = ("additionalProperties", "unevaluatedProperties", "propertyNames")
"""Schemas about an object's members, whatever their names."""
MEMBER_MAP = ("patternProperties",)
NAMED_MAP = ("properties",)
DEFINITIONS = ("$defs", "definitions")
"""Schemas about nothing until somebody refers to them."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_ONES = (*SAME_ONE, *ELEMENT_ONE, *MEMBER_ONE)
_LISTS = (*SAME_LIST, *ELEMENT_LIST)
_MAPS = (*SAME_MAP, *MEMBER_MAP, *NAMED_MAP, *DEFINITIONS)


def children(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the schemas that stand directly in `schema`, but for `true` and `false`. What `enum` or `default` hold is none."""
    for keyword in _ONES:
        if isinstance(value := schema.get(keyword), dict):
            yield value
    for keyword in _LISTS:
        if isinstance(values := schema.get(keyword), list):
            yield from (value for value in values if isinstance(value, dict))
    for keyword in _MAPS:
        if isinstance(group := schema.get(keyword), dict):
            yield from (value for value in group.values() if isinstance(value, dict))
