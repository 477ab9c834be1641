"""Room: what an answer of the model could ever hold, and so which counts of a schema make sense.

A model writes no more tokens than its context holds. A schema whose smallest document is longer can be satisfied by nobody, and an
engine that is given it writes the count out, for minutes and gigabytes. Maxima beyond the room are lowered to it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.bounded_schema import each_child, subschemas

ROOM = 8_192
"""Tokens, where nobody says how many the model's context holds."""
LETTERS_A_TOKEN = 16
"""Characters of a text that one token may write: more than tokens have, but for those of white space."""
MOST_COUNTED = 10_000
"""Elements or members up to which a maximum is kept: the engine writes each of them out, whatever the context holds."""

_PLURAL = {"maxItems": 1, "maxProperties": 1, "maxLength": LETTERS_A_TOKEN}


def fitting(schema: dict[str, Any], room: int) -> dict[str, Any]:
    """Give `schema`, in the words of `enforceable`, with its maxima lowered to what `room` tokens hold.

    Raises UnsupportedSchema, with the keyword and the room, where any part of it cannot be satisfied within them.
    """
    smallest = _Smallest(schema, room)
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        smallest.of(part)
        waiting.extend(subschemas(part))
    return _lowered(schema, min(room, MOST_COUNTED))


def _lowered(schema: Mapping[str, Any], room: int) -> dict[str, Any]:
    out = each_child(schema, lambda child: _lowered(child, room))
    for keyword, times in _PLURAL.items():
        if isinstance(most := out.get(keyword), (int, float)) and most > room * times:
            # Not below what is asked for at least: that has been found to fit.
            out[keyword] = max(room * times, int(out.get(keyword.replace("max", "min"), 0)))
    return out


class _Smallest:
    """Weighs parts: how many tokens the smallest document takes at least. Each element, member and value takes one."""

    def __init__(self, root: Mapping[str, Any], room: int) -> None:
        self._definitions = root.get("$defs") or {}
        self._room = room
        self._known: dict[int, int] = {}

    def of(self, part: Any) -> int:
        """Give the tokens. Raises UnsupportedSchema where there is no room for them."""
        if not isinstance(part, dict):
            return 1
        if id(part) not in self._known:
            # What recurs is not counted further.
            self._known[id(part)] = 1
            self._known[id(part)] = self._weighed(part)
        return self._known[id(part)]

    def _weighed(self, part: dict[str, Any]) -> int:
        given = part.get("type")
        kinds = [given] if isinstance(given, str) else given
        text = self._checked("minLength", _count(part, "minLength") // LETTERS_A_TOKEN)
        own = {"string": text, "array": self._array(part), "object": self._object(part)}
        least = min((own.get(kind, 1) for kind in kinds), default=1) if isinstance(kinds, list) else 1
        if isinstance(reference := part.get("$ref"), str):
            least = max(least, self.of(self._definitions.get(reference.rpartition("/")[2])))
        for keyword in ("anyOf", "oneOf"):
            branches = [self.of(branch) for branch in part.get(keyword) or () if branch is not False]
            least = max(least, min(branches, default=1))
        for branch in part.get("allOf") or ():
            least = max(least, self.of(branch))
        if isinstance(values := part.get("enum"), list) and values:
            shortest = min(len(msgspec.json.encode(value)) for value in values)
            least = max(least, self._checked("enum", shortest // LETTERS_A_TOKEN))
        return max(least, 1)

    def _array(self, part: dict[str, Any]) -> int:
        count = _count(part, "minItems")
        first = [self.of(item) for item in (part.get("prefixItems") or ())[:count]]
        rest = (count - len(first)) * self.of(part.get("items"))
        return self._checked("minItems", sum(first) + rest)

    def _object(self, part: dict[str, Any]) -> int:
        names = part.get("properties") or {}
        required = part.get("required") or ()
        wanted = self._checked("required", sum(self.of(names.get(name)) for name in required))
        more = max(_count(part, "minProperties") - len(required), 0)
        return self._checked("minProperties", wanted + more)

    def _checked(self, keyword: str, tokens: int) -> int:
        if tokens > self._room:
            msg = (
                f"{keyword!r} asks for at least {tokens:,} tokens; an answer of this model has room for {self._room:,}."
            )
            raise UnsupportedSchema(msg)
        return tokens


def _count(part: dict[str, Any], keyword: str) -> int:
    value = part.get(keyword, 0)
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
