"""Counts made anew from what the ledger has: what every call really used is written there, whatever became of a process.

For when both the file of counts and the database's snapshot are lost, or are not trusted. Pure: rows in, counts out.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.accounting.limits.rules import Count as Kind
from gateway.accounting.limits.rules import Rule, bucket_of, facts_of, holds_for
from gateway.stores.counter_windows import Calendar, Rolling, frees_at, slot_of, span_at
from gateway.stores.counters import Count


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What one call used, or several of the same caller and model: `at` is when, in seconds since 1970; `cost` nano-dollars."""

    at: float
    key: str
    model: str
    tenant: str = ""
    team: str = ""
    user: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0


def recount(rules: Iterable[Rule], spent: Iterable[Spent], now: float) -> list[Count]:
    """Give what each counter of a long window holds because of these rows; those outside their window count for nothing."""
    totals: dict[tuple[str, int], tuple[int, float]] = {}
    long = [rule for rule in rules if rule.window is not None and rule.window.long]
    for row in spent:
        facts = facts_of(row.key, row.model, row)
        for rule in long:
            if not holds_for(rule, facts):
                continue
            slot, ends = _place(rule.window, row.at)
            if ends > now:
                name = (bucket_of(rule, facts).key, slot)
                before, _ = totals.get(name, (0, ends))
                totals[name] = (before + _amount(rule.count, row), ends)
    return [Count(key=key, slot=slot, amount=amount, expires=ends) for (key, slot), (amount, ends) in totals.items()]


def _place(window: Rolling | Calendar | None, at: float) -> tuple[int, float]:
    if isinstance(window, Rolling):
        slot = slot_of(window, at)
        return slot, frees_at(window, slot)
    if window is None:
        return 0, 0.0
    span = span_at(window, at)
    return span.start, float(span.end)


def _amount(count: Kind, row: Spent) -> int:
    if count == "tokens":
        return row.input_tokens + row.output_tokens
    return {
        "requests": row.requests,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": row.cost,
    }.get(count, 0)
