"""What the conditions of rules are about: facts of a call by their names, each found when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

import msgspec

from gateway.core.call import Call
from gateway.core.items import Json
from gateway.routing.choosing.complexity import complexity_of
from gateway.routing.choosing.language import language_of
from gateway.routing.choosing.said import last_words, turns_of
from gateway.routing.choosing.stickiness import key_of_session, key_of_user
from gateway.routing.fitness import FORMATS, Ability, needs_of

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is no part of a call: how its tokens are counted, the wall clock, and where it stands."""

    input_tokens: Callable[[Call], int]
    wall: Callable[[], float]
    zone: tzinfo


class Facts(dict[str, Any]):
    """The facts of one call."""

    def __init__(self, call: Call, around: Surroundings) -> None:
        super().__init__()
        self.call = call
        self.around = around

    def __missing__(self, name: str) -> Any:
        """Find a fact. A name that there is not is a mistake of whoever read the rules."""
        found = self[name] = FINDERS[name](self)
        return found


def _needs(facts: Facts, ability: Ability) -> bool:
    needs = facts.get("needs")
    if needs is None:
        # Not a name of the language: kept beside the facts that come from it.
        needs = facts["needs"] = needs_of(facts.call, _nothing)[0]
    return ability in needs


def _nothing(call: Call) -> int:
    del call
    return 0


def _now(facts: Facts) -> datetime:
    now: datetime | None = facts.get("now")
    if now is None:
        now = facts["now"] = datetime.fromtimestamp(facts.around.wall(), facts.around.zone)
    return now


def _number(value: Json) -> float | None:
    """Give a number; what an upstream would refuse is none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _effort(fields: Mapping[str, Json]) -> str:
    nested = fields.get("reasoning")
    effort = fields.get("reasoning_effort") or (nested.get("effort") if isinstance(nested, dict) else None)
    return effort if isinstance(effort, str) else ""


def _limit(fields: Mapping[str, Json]) -> float | None:
    return next((number for name in _LIMITS if (number := _number(fields.get(name))) is not None), None)


def _tools(fields: Mapping[str, Json]) -> list[str]:
    """Give the names of the tools that are offered; of one that the provider runs, its type."""
    names: list[str] = []
    tools = fields.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            inner = tool.get("function")
            name = (inner.get("name") if isinstance(inner, dict) else None) or tool.get("name") or tool.get("type")
            names += [name] if isinstance(name, str) else []
    return names


def _wants_json(fields: Mapping[str, Json]) -> bool:
    for name in FORMATS:
        value = fields.get(name)
        inner = value.get("format") if isinstance(value, dict) else None
        for form in (value, inner):
            if isinstance(form, dict) and form.get("type") in ("json_object", "json_schema"):
                return True
    return False


def _turns(call: Call) -> int:
    turns = turns_of(call)
    return 1 if isinstance(turns, str) else len(turns)


FINDERS: Final[Mapping[str, Callable[[Facts], Any]]] = {
    "api": lambda facts: facts.call.dialect,
    "caller": lambda facts: facts.call.caller.id,
    "complexity": lambda facts: complexity_of(facts.call).score,
    "end_user": lambda facts: key_of_user(facts.call) or "",
    "groups": lambda facts: facts.call.caller.groups,
    "has_audio": lambda facts: _needs(facts, "audio"),
    "has_documents": lambda facts: _needs(facts, "documents"),
    "has_images": lambda facts: _needs(facts, "vision"),
    "has_tools": lambda facts: _needs(facts, "tools"),
    "hour": lambda facts: _now(facts).hour,
    "language": lambda facts: language_of(facts["text"]),
    "max_tokens": lambda facts: _limit(facts.call.fields),
    "minute": lambda facts: _now(facts).minute,
    "model": lambda facts: facts.call.model,
    "operation": lambda facts: facts.call.operation,
    "reasoning_effort": lambda facts: _effort(facts.call.fields),
    "session": lambda facts: key_of_session(facts.call) or "",
    "stream": lambda facts: facts.call.stream,
    "tags": lambda facts: dict(facts.call.caller.tags),
    "team": lambda facts: facts.call.caller.team,
    "temperature": lambda facts: _number(facts.call.fields.get("temperature")),
    "tenant": lambda facts: facts.call.caller.tenant,
    "text": lambda facts: last_words(facts.call),
    "tokens": lambda facts: facts.around.input_tokens(facts.call),
    "tools": lambda facts: _tools(facts.call.fields),
    "turns": lambda facts: _turns(facts.call),
    "user": lambda facts: facts.call.caller.user,
    "wants_json": lambda facts: _wants_json(facts.call.fields),
    "wants_schema": lambda facts: _needs(facts, "json_schema"),
    "weekday": lambda facts: _WEEKDAYS[_now(facts).weekday()],
}
"""How each name of the language is found."""
