"""Arguments of a tool as Cedar's values: those that policies name, and no others. Bounded; what cannot be told exactly is refused.

Cedar has whole numbers of 64 bits, decimals of four places, texts, truth values, sets and records; no null, and no other number. An
argument that a policy names and that is none of these must not look as if it were not there: a `forbid` would pass it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from gateway.core.items import Json
from gateway.policies.named_arguments import DEEPEST, Path, Use

LONGEST_TEXT: Final = 65_536
MOST_ELEMENTS: Final = 1000
_LONG: Final = 2**63
_ESCAPES: Final = frozenset({"__entity", "__extn", "__expr"})
"""Names by which Cedar's JSON tells entities and extensions: as the name of an argument, one would make it something else."""


class ArgumentUnreadable(Exception):
    """An argument that a policy names cannot be told to it. Carries the path and why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the argument `{'.'.join(path)[:200]}` {why}")


def readable(arguments: dict[str, Json], named: Mapping[Path, Use]) -> dict[str, Any]:
    """Give the arguments named, as Cedar's JSON. Raises ArgumentUnreadable."""
    return _Reading(named).record(arguments, ())


def decimal(value: Decimal) -> dict[str, Any]:
    """Give a decimal as Cedar's JSON. Raises ValueError for one that has no exact form there."""
    try:
        exact = value.quantize(Decimal("0.0001"))
    except InvalidOperation:
        raise ValueError("it is too large") from None
    if exact != value or abs(exact) > Decimal(_LONG - 1) / 10_000:
        raise ValueError("it has more than four decimal places, or is too large")
    return {"__extn": {"fn": "decimal", "arg": f"{exact:f}"}}


class _Reading:
    """Turns values, and counts what it has turned."""

    def __init__(self, named: Mapping[Path, Use]) -> None:
        self._named = named
        self._deeper = {path[:end] for path in named for end in range(len(path))}
        self._left = MOST_ELEMENTS

    def record(self, value: dict[str, Json], under: Path) -> dict[str, Any]:
        """Give of an object what is named."""
        names = dict.fromkeys(path[len(under)] for path in self._named if path[: len(under)] == under and path != under)
        found = {}
        for name in names:
            if name not in value:
                continue
            path = (*under, name)
            inner = value[name]
            if name in _ESCAPES:
                raise ArgumentUnreadable(path, "has a name that policies cannot read")
            if path in self._deeper and isinstance(inner, dict):
                found[name] = self.record(inner, path)
            else:
                found[name] = self.value(inner, path, self._named.get(path, Use()).kind, 0)
        return found

    def value(self, value: Json, path: Path, kind: str, depth: int) -> Any:
        """Give any value, whole."""
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise ArgumentUnreadable(path, "is larger than policies can read")
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _text(value, path)
        if isinstance(value, int | float):
            return _number(value, path, kind)
        if isinstance(value, list):
            of = kind[4:-1] if kind.startswith("Set<") else ""
            return [self.value(element, path, of, depth + 1) for element in value]
        if isinstance(value, dict):
            for name in value:
                if name in _ESCAPES:
                    raise ArgumentUnreadable(path, "holds a name that policies cannot read")
            return {_text(name, path): self.value(inner, path, "", depth + 1) for name, inner in value.items()}
        raise ArgumentUnreadable(path, "is null, which policies cannot read: leave it out")


def _text(value: str, path: Path) -> str:
    if len(value) > LONGEST_TEXT:
        raise ArgumentUnreadable(path, f"is longer than the {LONGEST_TEXT:,} characters that policies can read")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ArgumentUnreadable(path, "is no Unicode text")
    return value


def _number(value: float, path: Path, kind: str) -> Any:
    whole = isinstance(value, int)
    if kind == "Long" and not whole and value.is_integer():
        value, whole = int(value), True
    if not whole or kind == "decimal":
        try:
            return decimal(Decimal(value) if whole else Decimal(repr(value)))
        except ValueError as error:
            raise ArgumentUnreadable(path, f"is a number that policies cannot read: {error}") from None
    if not -_LONG <= value < _LONG:
        raise ArgumentUnreadable(path, "is a number that policies cannot read: it is too large")
    return int(value)
