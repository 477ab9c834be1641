"""What one model's tokens cost. Arithmetic only: which price belongs to which model, `prices` knows."""

from __future__ import annotations

import msgspec

from gateway.core.usage import Usage

MILLION = 1_000_000


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
        reasoning = self.output if self.reasoning is None else self.reasoning
        total = 0.0
        for tokens, rate in (
            (usage.input, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
            (usage.cache_write_1h, self.cache_write_1h),
            (usage.output, self.output),
            (usage.reasoning, reasoning),
        ):
            if tokens:
                if rate is None:
                    return None
                total += tokens * rate
        return total / MILLION

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

    def rates(self, input_tokens: int) -> Rates:
        """Give the rates of a call into which so many tokens went, cached ones included."""
        for tier in reversed(self.tiers):
            if input_tokens > tier.above:
                return tier
        return self
