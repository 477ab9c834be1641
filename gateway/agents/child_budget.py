"""What a run lends those below it of what it may use: reserved when one begins, and settled by what that has used. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from gateway.stores.runs import Below, Limits, Run, Spent

_Number = TypeVar("_Number", int, float)
KEPT: Final = 1
"""Answers that the caller keeps for itself: it has to say what came of it all."""


def left(limits: Limits, spent: Spent, reserved: Iterable[Limits] = (), *, kept: int = KEPT) -> Limits:
    """Give what a run may still lend: what it may use, without what it and those below it have used and what is reserved for others.

    `kept` are answers of its model that it does not lend.
    """
    lent = list(reserved)
    below = spent.below
    tokens = spent.input_tokens + spent.output_tokens + below.tokens
    return Limits(
        steps=_less(limits.steps, kept + spent.steps + below.steps, [each.steps for each in lent]),
        tool_calls=_less(limits.tool_calls, spent.tool_calls + below.tool_calls, [each.tool_calls for each in lent]),
        tokens=_less(limits.tokens, tokens, [each.tokens for each in lent]),
        nano=_less(limits.nano, spent.nano + below.nano, [each.nano for each in lent]),
        # Those who work at the same time use the same seconds.
        seconds=None if limits.seconds is None else max(0.0, limits.seconds - spent.seconds),
    )


def share(whole: Limits, parts: int) -> Limits:
    """Give one of so many equal parts."""
    return Limits(
        steps=_part(whole.steps, parts),
        tool_calls=_part(whole.tool_calls, parts),
        tokens=_part(whole.tokens, parts),
        nano=_part(whole.nano, parts),
        seconds=whole.seconds,
    )


def within(own: Limits, most: Limits) -> Limits:
    """Give limits that are no wider than others."""
    return Limits(
        steps=_least(own.steps, most.steps),
        tool_calls=_least(own.tool_calls, most.tool_calls),
        tokens=_least(own.tokens, most.tokens),
        nano=_least(own.nano, most.nano),
        seconds=_least(own.seconds, most.seconds),
        # Transfers are each run's own: nobody lends them.
        handoffs=_least(own.handoffs, most.handoffs),
    )


def used_by(runs: Iterable[Run]) -> Below:
    """Give what runs have used, with those below them."""
    used = Below()
    for run in runs:
        spent = run.spent
        own = Below(
            steps=spent.steps,
            tool_calls=spent.tool_calls,
            tokens=spent.input_tokens + spent.output_tokens,
            nano=spent.nano,
        )
        used = together(together(used, own), spent.below)
    return used


def together(one: Below, other: Below) -> Below:
    """Give the sum of both."""
    return Below(
        steps=one.steps + other.steps,
        tool_calls=one.tool_calls + other.tool_calls,
        tokens=one.tokens + other.tokens,
        nano=one.nano + other.nano,
    )


def _less(most: int | None, used: int, reserved: Iterable[int | None]) -> int | None:
    return None if most is None else max(0, most - used - sum(each or 0 for each in reserved))


def _part(whole: int | None, parts: int) -> int | None:
    return None if whole is None else whole // max(1, parts)


def _least(one: _Number | None, other: _Number | None) -> _Number | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
