"""What only one dialect knows, and what becomes of it in another one.

Every `rest` in the hub is `{dialect name: {field: value}}`: a dialect writes its own fields back and judges the others'. A
name that begins with `$` is a note of its dialect to itself about the form on the wire (a text where a list would do); it
asks for nothing, and nor does null or anything empty. This module decides nothing about fields that the hub knows.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.core.errors import UnsupportedParameter
from gateway.core.items import Foreign, Json
from gateway.core.target import EMULATED

Rest = dict[str, Json]

HINTS: dict[str, frozenset[str]] = {
    "openai_chat": frozenset(
        {
            "annotations", "extra_content", "index", "metadata", "name", "prediction", "prompt_cache_breakpoint",
            "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "service_tier",
            "store", "user",
        }
    ),
    "openai_responses": frozenset(
        {
            "client_metadata", "generate_summary", "include", "metadata", "phase", "prompt_cache_breakpoint", "prompt_cache_key", "prompt_cache_options",
            "prompt_cache_retention", "safety_identifier", "service_tier", "status", "store", "user",
        }
    ),
    "openai_completions": frozenset({"user"}),
    "openai_embeddings": frozenset({"encoding_format", "user"}),
    "anthropic_messages": frozenset(
        {
            "betas", "billing_policy", "cache_control", "caller", "context_management", "diagnostics",
            "eager_input_streaming", "fallback_credit_token", "metadata", "service_tier", "speed", "user_profile_id",
            "workspace_id",
        }
    ),
}  # fmt: skip
"""Fields whose absence does not change the answer: how to store, label, cache, bill or frame it."""

EMPTY: tuple[Json, ...] = (None, "", [], {})
"""Values that ask for nothing."""

FRAMING = frozenset({"stream", "stream_options"})
"""Fields that say how an answer is to be sent; the edge sees to it, whichever API makes the answer."""

NEUTRAL: dict[str, tuple[Json, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "background": (False,),
    "status": ("completed",),
    "store": (False,),
    "truncation": ("disabled",),
    "citations": ({"enabled": False},),
}
"""Values that ask for what every API does anyway."""


def extras(raw: dict[str, Json], known: Collection[str]) -> Rest:
    """Give the fields of `raw` that are not `known`, and the nulls, which are kept so that they go back as they came."""
    return {name: value for name, value in raw.items() if value is None or name not in known}


def own(rest: Rest, dialect: str) -> Rest:
    """Give the fields of `dialect` itself, without its notes."""
    mine = rest.get(dialect)
    return {name: value for name, value in mine.items() if name[0:1] != "$"} if mine else {}


def note(rest: Rest, dialect: str, name: str) -> Json:
    """Give what `dialect` noted under `$name`, None when nothing."""
    mine = rest.get(dialect)
    return mine.get("$" + name) if mine else None


class Leftovers:
    """Collects what a target API cannot take: refuses it, or with `drop` leaves it out and remembers its name."""

    def __init__(self, dialect: str, title: str, *, drop: bool) -> None:
        self._dialect = dialect
        self._title = title
        self._drop = drop
        self._dropped: dict[str, None] = {}
        self._refused: dict[str, None] = {}

    @property
    def dropped(self) -> tuple[str, ...]:
        """The names of what was left out, in order, each once."""
        return tuple(self._dropped)

    @property
    def refused(self) -> tuple[str, ...]:
        """Those of them that were no hints."""
        return tuple(self._refused)

    def hint(self, name: str) -> None:
        """Leave out `name`, whose absence does not change the answer."""
        self._dropped[name] = None

    def refuse(self, name: str, what: str = "") -> None:
        """Leave out `name` where that is permitted; else raise UnsupportedParameter for it."""
        if not self._drop:
            instead = "drop, or emulate" if name in EMULATED else "drop"
            msg = (
                f"{what or f'`{name}`'} cannot be expressed in the {self._title}, which would serve this call. Leave it out, "
                f"or permit that for the model (on_unsupported: {instead})."
            )
            raise UnsupportedParameter(msg, param=name)
        self._dropped[name] = self._refused[name] = None

    def alien(self, what: str, element: Foreign, path: str) -> None:
        """Refuse a whole element (a "tool", a "part" …) that only its own dialect understands."""
        self.refuse(path, f"A {what} of type {element.raw.get('type')!r} of the API {element.dialect!r}")

    def foreign(self, rest: Rest, path: str = "") -> None:
        """Judge the fields of other dialects in `rest`; `path` leads to the element that has them ("" or "tools[0].")."""
        if not rest:
            return
        for dialect, fields in rest.items():
            if dialect == self._dialect:
                continue
            hints = HINTS.get(dialect, frozenset())
            for name, value in fields.items():
                if not _asks(name, value):
                    continue
                if name in hints:
                    self.hint(path + name)
                else:
                    self.refuse(path + name)


ASKS_WHEN_EMPTY = frozenset({"web_search_options"})
"""Fields whose mere presence switches something on."""


def _asks(name: str, value: Json) -> bool:
    """Whether a field asks for anything."""
    if name in ASKS_WHEN_EMPTY:
        return value is not None
    if name[0:1] == "$" or name in FRAMING or value in NEUTRAL.get(name, ()):
        return False
    if isinstance(value, dict):
        return any(element not in EMPTY for element in value.values())
    return value not in EMPTY
