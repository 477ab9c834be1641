"""How limits speak to callers: refusals that name the limit, its window and when it frees, and rate-limit headers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from gateway.accounting.limits.rules import NANO, Plan, Rule
from gateway.core.errors import BudgetExceeded, LimitExceeded
from gateway.stores.counter_windows import Calendar, Rolling, span_at

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]

_NOUNS = {
    "requests": "requests",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "tokens": "tokens",
    "concurrent": "calls",
}

_HEADED = {"requests": b"requests", "input_tokens": b"tokens", "output_tokens": b"tokens", "tokens": b"tokens"}


def refusal(rule: Rule, used: int, amount: int, retry_after: float) -> LimitExceeded:
    """Give the error for a rule that has no room for `amount` more than the `used`; `retry_after` is in seconds."""
    wait = max(1.0, math.ceil(retry_after))
    if rule.count == "cost":
        message = (
            f"The budget '{rule.name}' of {dollars(rule.limit)} {rule.in_words} has no room: {dollars(used)} are spent or "
            f"reserved, and this call may cost {dollars(amount)}. {_advice(rule, amount, wait)}"
        )
        return BudgetExceeded(message, limit=rule.name, window=rule.in_words, retry_after=wait)
    message = (
        f"The limit '{rule.name}' of {rule.limit} {_NOUNS[rule.count]} {rule.in_words} has no room: {used} are used or "
        f"reserved, and this call takes {amount}. {_advice(rule, amount, wait)}"
    )
    headers = _left(rule, used, retry_after)
    return LimitExceeded(message, limit=rule.name, window=rule.in_words, retry_after=wait, headers=headers)


def _left(rule: Rule, used: int, retry_after: float) -> Headers:
    """Give the headers of a refusal. A calendar window has room again when it is over, and is then empty."""
    name = _HEADED.get(rule.count)
    if name is None:
        return ()
    reset = rule.window.seconds if isinstance(rule.window, Rolling) else retry_after
    return (
        (b"x-ratelimit-limit-" + name, b"%d" % rule.limit),
        (b"x-ratelimit-remaining-" + name, b"%d" % max(rule.limit - used, 0)),
        (b"x-ratelimit-reset-" + name, reset_of(reset)),
    )


def _advice(rule: Rule, amount: int, wait: float) -> str:
    if amount > rule.limit:
        return "It can never have room for such a call; ask for fewer tokens."
    if rule.window is None:
        return "It has room when another call ends."
    return f"It has room in {spoken(wait)}."


def dollars(nano: int) -> str:
    """Give money in as many digits as it needs, two at least: $5.00, $0.00032."""
    whole, part = divmod(nano, NANO)
    digits = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"${whole}.{digits}"


def spoken(seconds: float) -> str:
    """Give a time in the two largest units: 3 d 4 h, 12 s."""
    left = math.ceil(seconds)
    parts = []
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def reset_of(seconds: float) -> bytes:
    """Give a time as OpenAI's rate-limit headers do: 350ms, 1s, 6m0s, 2h0m0s."""
    if seconds < 1:
        return b"%dms" % max(0, math.ceil(seconds * 1000))
    whole = math.ceil(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, rest)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in headers, as far as it stays the same: of the reset only where the window rolls. `index` is the rule's in its plan."""

    index: int
    rule: Rule
    limit: int
    limit_header: Header
    remaining: bytes
    reset: bytes
    reset_header: Header | None


def shown_in(plan: Plan) -> tuple[tuple[Shown, ...], ...]:
    """Give the rules that callers are told about, of which `limit_headers` chooses one of each."""
    return tuple(tuple(_shown(name, index, plan.rules[index]) for index in indexes) for name, indexes in plan.shown)


def _shown(name: bytes, index: int, rule: Rule) -> Shown:
    reset = b"x-ratelimit-reset-" + name
    return Shown(
        index=index,
        rule=rule,
        limit=rule.limit,
        limit_header=(b"x-ratelimit-limit-" + name, b"%d" % rule.limit),
        remaining=b"x-ratelimit-remaining-" + name,
        reset=reset,
        reset_header=None if isinstance(rule.window, Calendar) else (reset, reset_of(full_in(rule, 0.0))),
    )


def limit_headers(shown: tuple[tuple[Shown, ...], ...], used: Sequence[int], wall: Callable[[], float]) -> Headers:
    """Give OpenAI's x-ratelimit-* headers: of the rules on requests, and of those on tokens, the one with least left.

    `used` is what each counter of the plan holds; `wall` gives the time in seconds since 1970.
    """
    found: list[Header] = []
    for choices in shown:
        one = choices[0] if len(choices) == 1 else min(choices, key=lambda each: _share_left(each, used))
        left = one.limit - used[one.index]
        reset = one.reset_header or (one.reset, reset_of(full_in(one.rule, wall())))
        found += (one.limit_header, (one.remaining, b"%d" % left if left > 0 else b"0"), reset)
    return tuple(found)


def _share_left(shown: Shown, used: Sequence[int]) -> float:
    return (shown.limit - used[shown.index]) / (shown.limit or 1)


def full_in(rule: Rule, wall: float) -> float:
    """Give the seconds until nothing of what was taken up to now counts any more."""
    if rule.window is None:
        return 0.0
    if isinstance(rule.window, Rolling):
        return rule.window.seconds
    return max(span_at(rule.window, wall).end - wall, 0.0)
