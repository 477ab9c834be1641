"""What a call needs of a target, and what a target is known to lack: whoever lacks something is asked only when all do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from gateway.config.prefill import Prefill
from gateway.core.call import Call
from gateway.core.items import Json

Ability = Literal["vision", "audio", "documents", "tools", "json_schema"]
ABILITIES: tuple[Ability, ...] = ("vision", "audio", "documents", "tools", "json_schema")

_PARTS: dict[str, Ability] = {
    "document": "documents",
    "file": "documents",
    "image": "vision",
    "image_url": "vision",
    "input_audio": "audio",
    "input_file": "documents",
    "input_image": "vision",
}
FORMATS: Final = ("response_format", "text", "output_config", "output_format")
"""Where the APIs have the form of an answer."""
_EXTENSION: Final = "structured_outputs"
"""Where vLLM has it; its `json` is a schema too."""

Needs = tuple[frozenset[Ability], int]
"""What a call needs, and for how many tokens in and out there must be room."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a target: abilities that it lacks, and how many tokens fit into its context (None is not known).

    `prefill` is how it is told to go on with an answer whose beginning it is given; None where it cannot.
    """

    lacks: frozenset[Ability] = frozenset()
    context: int | None = None
    prefill: Prefill | None = None

    @property
    def limited(self) -> bool:
        """Whether there are calls that it cannot serve."""
        return bool(self.lacks) or self.context is not None

    def unfit(self, needs: Needs) -> str:
        """Say what it lacks for a call; nothing where it is fit."""
        wanted, tokens = needs
        if missing := sorted(wanted & self.lacks):
            return f"it has no {' and no '.join(missing)}"
        if self.context is not None and tokens > self.context:
            return f"about {tokens} tokens do not fit into its context of {self.context}"
        return ""


def needs_of(call: Call, tokens_of: Callable[[Call], int]) -> Needs:
    """Give what a call needs; `tokens_of` counts what goes in and may come out."""
    fields = call.fields
    found: set[Ability] = set(_parts(fields))
    if fields.get("tools"):
        found.add("tools")
    if any(is_schema(fields.get(name)) for name in FORMATS) or _is_extended(fields.get(_EXTENSION)):
        found.add("json_schema")
    return frozenset(found), tokens_of(call)


def _parts(fields: dict[str, Json]) -> Iterator[Ability]:
    """Yield what the parts of a prompt ask for. Only where the APIs have parts: a user's text is not looked at."""
    for name in ("messages", "input"):
        for turn in _list(fields.get(name)):
            if not isinstance(turn, dict):
                continue
            for part in (turn, *_list(turn.get("content"))):
                kind = part.get("type") if isinstance(part, dict) else None
                if isinstance(kind, str) and kind in _PARTS:
                    yield _PARTS[kind]


def is_schema(value: Any) -> bool:
    """Whether a wish for a form of the answer is one for a JSON schema."""
    if not isinstance(value, dict):
        return False
    inner = value.get("format")
    return value.get("type") == "json_schema" or (isinstance(inner, dict) and inner.get("type") == "json_schema")


def _is_extended(value: Any) -> bool:
    return isinstance(value, dict) and value.get("json") is not None


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()
