"""What one model's tokens cost, to the nano-dollar. Arithmetic only: which price belongs to which model, `prices` knows.

A rate is the decimal number that was written, not the binary fraction next to it: 0.1 is a tenth. Sums are made of whole
numbers, and a call is rounded once, at its end, to whole nano-dollars (half to even).
"""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

from gateway.core.usage import Usage

MILLION = 1_000_000
NANO = 1_000_000_000
"""Nano-dollars in a dollar."""

_NANO_A_MICRO = 1000  # tokens × dollars per million tokens are micro-dollars


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens of each bucket of `Usage`; None is unknown.

    Only `reasoning` has a stand-in: vendors bill it as output where they name no price of its own.
    """

    input: float | None = None
    output: float | None = None
    reasoning: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None

    def cost(self, usage: Usage) -> float | None:
        """Give US dollars for the usage, or None when a bucket that holds tokens has no known price."""
        return Tariff(self).dollars(usage)

    @property
    def known(self) -> bool:
        """Whether there is any price at all."""
        return self.input is not None or self.output is not None


class Tier(Rates, frozen=True, kw_only=True):
    """The rates of a whole call, once more than `above` tokens went in."""

    above: int


class ModelFacts(Rates, frozen=True, kw_only=True):
    """One line of the price table: what a model costs, holds and can do.

    `context` and `max_output` are tokens; `tiers` are sorted by `above`; `supports` names abilities.
    """

    mode: str = "chat"
    context: int | None = None
    max_output: int | None = None
    tiers: tuple[Tier, ...] = ()
    supports: frozenset[str] = frozenset()


class Tariff:
    """Rates made ready for exact sums: whole numbers over one common power of ten. Making one costs what ten sums cost."""

    __slots__ = ("_divisor", "_rates")

    def __init__(self, rates: Rates) -> None:
        reasoning = rates.output if rates.reasoning is None else rates.reasoning
        written = [
            None if rate is None else Decimal(str(rate))
            for rate in (
                rates.input, rates.output, rates.cache_read, rates.cache_write, rates.cache_write_1h, reasoning,
            )
        ]  # fmt: skip
        divisor: int = 10 ** max((_places(rate) for rate in written if rate is not None), default=0)
        whole = [None if rate is None else int(rate * divisor) * _NANO_A_MICRO for rate in written]
        # In lowest terms: up to three places there is nothing left to divide by.
        common = math.gcd(divisor, *(rate for rate in whole if rate is not None))
        self._divisor = divisor // common
        self._rates = tuple(None if rate is None else rate // common for rate in whole)

    def nano(self, usage: Usage) -> int | None:
        """Give whole nano-dollars for the usage, or None when a bucket that holds tokens has no known price."""
        total = self._total(usage)
        if total is None or self._divisor == 1:
            return total
        whole, rest = divmod(total, self._divisor)
        return self._rounded(whole, rest) if rest else whole

    def of_tokens(self, put_in: int, came_out: int) -> int | None:
        """Give the same for plain input and output: what an estimate is made of, before every call."""
        into, out = self._rates[0], self._rates[1]
        if (into is None and put_in) or (out is None and came_out):
            return None
        total, divisor = put_in * (into or 0) + came_out * (out or 0), self._divisor
        if divisor == 1:
            return total
        whole, rest = divmod(total, divisor)
        return self._rounded(whole, rest) if rest else whole

    def dollars(self, usage: Usage) -> float | None:
        """Give the binary fraction nearest to the cost in US dollars, which is not for sums."""
        total = self._total(usage)
        return None if total is None else total / (self._divisor * NANO)

    def _rounded(self, whole: int, rest: int) -> int:
        return whole + (2 * rest > self._divisor or (2 * rest == self._divisor and whole % 2 == 1))

    def _total(self, usage: Usage) -> int | None:
        """Nano-dollars times the divisor."""
        tokens = (
            usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.reasoning,
        )  # fmt: skip
        total = 0
        for count, rate in zip(tokens, self._rates, strict=True):
            if count:
                if rate is None:
                    return None
                total += count * rate
        return total


def _places(rate: Decimal) -> int:
    """How many decimal places a rate has."""
    exponent = rate.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
