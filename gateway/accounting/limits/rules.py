"""Limit rules as they are applied: which calls a rule holds for, and which of its counters a call belongs to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from gateway.config.limit_settings import AlertSettings, LimitRuleSettings
from gateway.core.caller import Caller
from gateway.stores.budgets import Budget
from gateway.stores.counter_windows import Calendar, Rolling, Window
from gateway.stores.counters import Bucket

NANO = 1_000_000_000
Count = Literal["requests", "concurrent", "input_tokens", "output_tokens", "tokens", "cost"]
COUNTS: tuple[Count, ...] = ("requests", "concurrent", "input_tokens", "output_tokens", "tokens", "cost")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "month": 30 * 86_400}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SEPARATOR = "\x1f"
_Figure = TypeVar("_Figure")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `limit` is a whole number, money in nano-dollars; `origin` is config, or the budget's id."""

    name: str
    count: Count
    limit: int
    per: tuple[str, ...]
    match: tuple[tuple[str, tuple[str, ...]], ...]
    window: Window | None
    soft: tuple[float, ...] = ()
    hard: bool = True
    alert: AlertSettings | None = None
    on_loss: Literal["share", "refuse", "admit"] = "share"
    origin: str = "config"

    @property
    def table(self) -> str:
        """The rule's counters, and those of no other rule: one whose window changes begins anew."""
        window = self.window
        if window is None:
            span = "held"
        elif isinstance(window, Rolling):
            span = f"{window.seconds:g}s"
        else:
            span = f"{window.unit}@{window.zone}"
        return _SEPARATOR.join((self.origin, self.name, self.count, span, ",".join(self.per)))

    @property
    def in_words(self) -> str:
        """The window, for messages."""
        return words_of(self.window)


class Spender(Protocol):
    """Whom a call is counted for: the parts of a Caller that limits look at."""

    @property
    def tenant(self) -> str:
        """The tenant's id."""
        ...

    @property
    def team(self) -> str:
        """The team's id."""
        ...

    @property
    def user(self) -> str:
        """The user's id."""
        ...

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """(name, value) pairs."""
        ...


def words_of(window: Window | None) -> str:
    """Give a window in words: "per day (Europe/Berlin)", "in 90 s", "at once"."""
    if window is None:
        return "at once"
    if isinstance(window, Calendar):
        return f"per calendar {window.unit}" + ("" if window.zone == "UTC" else f" ({window.zone})")
    named = {float(seconds): name for name, seconds in _SECONDS.items()}
    return f"per {named[window.seconds]}" if window.seconds in named else f"in {window.seconds:g} s"


def window_of(text: str, *, kind: str, zone: str, count: str) -> Window | None:
    """Give the window that a setting names; concurrent calls have none. A rolling month is 30 days."""
    if count == "concurrent":
        return None
    if kind == "calendar":
        return Calendar(unit=text, zone=zone)  # type: ignore[arg-type]  # the settings' checks have seen to it
    seconds = _SECONDS[text] if text in _SECONDS else int(text[:-1]) * _UNITS[text[-1]]
    return Rolling(seconds=float(seconds))


def rule_of(name: str, settings: LimitRuleSettings) -> Rule:
    """Give the rule that the configuration writes."""
    return Rule(
        name=name,
        count=settings.count,
        limit=whole(settings.count, settings.limit),
        per=settings.per,
        match=tuple(settings.match.items()),
        window=window_of(settings.window, kind=settings.window_kind, zone=settings.time_zone, count=settings.count),
        soft=tuple(sorted(settings.soft)),
        hard=settings.hard,
        alert=settings.alert,
        on_loss=settings.on_loss,
    )


def rule_of_budget(budget: Budget) -> Rule:
    """Give the rule of a budget made at run time. It holds for its tenant only, whatever else it matches."""
    match = tuple((name, patterns) for name, patterns in budget.match.items() if name != "tenant" or not budget.tenant)
    return Rule(
        name=budget.name,
        count=budget.count,
        limit=budget.limit,
        per=budget.per,
        match=((("tenant", (budget.tenant,)),) if budget.tenant else ()) + match,
        window=window_of(budget.window, kind=budget.window_kind, zone=budget.time_zone, count=budget.count),
        soft=tuple(sorted(budget.soft)),
        hard=budget.hard,
        origin=budget.id,
    )


def whole(count: str, amount: float) -> int:
    """Give an amount in the unit that is counted: money in nano-dollars, everything else as it is."""
    return round(amount * NANO) if count == "cost" else int(amount)


def facts_of(key: str, model: str, spender: Spender) -> dict[str, str]:
    """Give the values of all dimensions for a call."""
    facts = {"tenant": spender.tenant, "team": spender.team, "user": spender.user, "key": key, "model": model}
    facts.update((f"tag:{name}", value) for name, value in spender.tags)
    return facts


def holds_for(rule: Rule, facts: Mapping[str, str]) -> bool:
    """Whether the rule counts calls with these values. A dimension that a call does not have matches no pattern."""
    for name, patterns in rule.match:
        value = facts.get(name, "")
        if not value or not any(_fits(pattern, value) for pattern in patterns):
            return False
    return True


def bucket_of(rule: Rule, facts: Mapping[str, str]) -> Bucket:
    """Give the counter of the rule that a call with these values belongs to."""
    table = rule.table
    subject = _SEPARATOR.join([_printable(facts.get(name, "")) for name in rule.per])
    return Bucket(
        key=f"{table}{_SEPARATOR}{subject}",
        table=table,
        limit=rule.limit,
        window=rule.window,
        hard=rule.hard,
        watched=bool(rule.soft),
        on_loss=rule.on_loss,
    )


def subject_of(rule: Rule, bucket: Bucket) -> dict[str, str]:
    """Give back whom a counter is for, by dimension."""
    values = bucket.key[len(bucket.table) + 1 :].split(_SEPARATOR)
    return dict(zip(rule.per, values, strict=False))


Figures = tuple[_Figure, _Figure, _Figure, _Figure, _Figure, _Figure]
"""One figure for each of `COUNTS`, in their order."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of one caller at one model, and what must be known of a call to take from them.

    `tokens` and `cost` say whether these must be estimated. `pick` gives, of the figures of all counts, the one for each rule.
    `shown` are, by their name in headers, the indexes of the rules that callers are told about.
    """

    rules: tuple[Rule, ...]
    buckets: tuple[Bucket, ...]
    counts: tuple[Count, ...]
    tokens: bool
    cost: bool
    pick: Callable[[Figures[Any]], tuple[Any, ...]]
    shown: tuple[tuple[bytes, tuple[int, ...]], ...]


def plan_for(rules: tuple[Rule, ...], caller: Caller, model: str) -> Plan | None:
    """Find what holds for a caller at a model; None when nothing does."""
    facts = facts_of(caller.id, model, caller)
    held = tuple(rule for rule in rules if holds_for(rule, facts))
    if not held:
        return None
    counts: tuple[Count, ...] = tuple(rule.count for rule in held)
    cost = "cost" in counts
    return Plan(
        rules=held,
        buckets=tuple(bucket_of(rule, facts) for rule in held),
        counts=counts,
        tokens=cost or any(count.endswith("tokens") for count in counts),
        cost=cost,
        pick=_picker([COUNTS.index(count) for count in counts]),
        shown=tuple(
            (name, indexes)
            for name, ending in ((b"requests", "requests"), (b"tokens", "tokens"))
            if (indexes := tuple(index for index, count in enumerate(counts) if count.endswith(ending)))
        ),
    )


def _picker(places: Sequence[int]) -> Callable[[Figures[Any]], tuple[Any, ...]]:
    if len(places) == 1:
        (place,) = places
        return lambda figures: (figures[place],)
    return itemgetter(*places)


def _fits(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _printable(value: str) -> str:
    """Give a value without what separates keys, and what a database does not take as text."""
    if value.isprintable():
        return value
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in value)
