"""Compiling: what a body asks of its answer's form is compiled only once a process that can be killed has shown that it takes no time.

Compilers of grammars write out references, and combine branches: a schema of some hundred bytes can keep one busy for ever. What plainly
cannot is compiled at once.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.compiling_child import BY_ENGINE, Trial
from gateway.providers.embedded.room import ROOM
from gateway.schemas.judge import digest_of
from gateway.schemas.worker import DEADLINE, Judging

FORMS = ("response_format", "structured_outputs", "tools", "tool_choice", "parallel_tool_calls")
_AT_ONCE_BYTES = 4 * 1024
# The engine writes out as many elements as are counted: up to some hundreds in no time.
_COUNTED = re.compile(rb'"(?:min|max)(?:Items|Length|Properties)":(?!\d{1,3}[,}])')
_MOST_KEPT = 1_024
# Of what is written out, combined, or a language of its own.
_WEIGHTY = (
    *(b'"$ref"', b'"$dynamicRef"', b'"$recursiveRef"', b'"allOf"', b'"if"', b'"not"', b'"contains"'),
    *(b'"dependentSchemas"', b'"dependencies"', b'"unevaluatedProperties"', b'"unevaluatedItems"', b'"propertyNames"'),
    *(b'"pattern"', b'"patternProperties"', b'"multipleOf"', b'"regex"', b'"grammar"', b'\\"', b"\\u"),
)


class Compiling:
    """Tries forms. Belongs to one event loop; what was tried is remembered by its digest."""

    def __init__(self, *, deadline: float = DEADLINE, room: int = ROOM) -> None:
        self._room = room
        self._deadline = deadline
        self._children = Judging(size=1, deadline=deadline, module="gateway.providers.embedded.compiling_child")
        self._known: OrderedDict[bytes, str | None] = OrderedDict()

    @property
    def sent(self) -> int:
        """How many forms went to the child."""
        return self._children.sent

    async def check(self, body: Mapping[str, Any]) -> None:
        """Raise UnsupportedSchema for a form that takes too long to compile, Overloaded where too many wait."""
        fields = {name: body[name] for name in FORMS if body.get(name) is not None}
        text = msgspec.json.encode(fields)
        if _plain(text):
            return
        digest = digest_of(text)
        if digest not in self._known:
            frame = msgspec.json.encode(Trial(fields=fields, seconds=self._deadline, room=self._room))
            self._known[digest] = await self._children.tried(frame)
            if len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        if (reason := self._known.get(digest)) is not None:
            late = f"The schema cannot be compiled to a grammar within {self._deadline:g} s and the memory for it."
            msg = reason if reason.startswith(BY_ENGINE) else late
            raise UnsupportedSchema(msg, param=next(name for name in FORMS if name in fields))

    async def aclose(self) -> None:
        """End the child, at once."""
        await self._children.aclose()


def _plain(text: bytes) -> bool:
    """Whether it is small, and nothing in it is written out or combined: then compiling takes milliseconds."""
    if len(text) > _AT_ONCE_BYTES or any(word in text for word in _WEIGHTY) or _COUNTED.search(text):
        return False
    return not (b'"anyOf"' in text and b'"oneOf"' in text)
