"""What an answer took, for people: tokens, time, and the cost as far as the configuration knows prices."""

from __future__ import annotations

from pathlib import Path

from gateway.accounting.prices import Prices, open_prices
from gateway.cli.conversation import Turn
from gateway.config import ConfigError, peek, read_environment
from gateway.core.usage import Usage


class Costs:
    """Prices for people. Unknown is said, never shown as nothing."""

    def __init__(self, prices: Prices | None) -> None:
        self._prices = prices

    @classmethod
    def of(cls, config: Path) -> Costs:
        """Take the prices of a configuration, none when it cannot be read (a remote gateway needs no local file)."""
        try:
            return cls(open_prices(peek(config, read_environment())))
        except ConfigError:
            return cls(None)

    def shown(self, target: str, usage: Usage | None) -> str:
        """Give "$0.0012", or that the price is unknown."""
        cost = None if self._prices is None or usage is None else self._prices.cost(target, usage)
        if cost is None:
            return "price unknown"
        if 0 < cost < 0.000001:
            return "less than $0.000001"
        return f"${cost:.6f}".rstrip("0").rstrip(".")


_ENDINGS = {
    "length": ", cut off at the token limit",
    "content_filter": ", cut off by a content filter",
    "refusal": ", refused",
}


def figures(turn: Turn, model: str, costs: Costs) -> str:
    """Give the line below an answer: who served it, tokens in and out, cost, seconds."""
    usage = turn.usage
    tokens = "tokens unknown" if usage is None else f"{usage.input_total} + {usage.output_total} tokens"
    if usage is not None and usage.estimated:
        tokens += " (estimated)"
    first = "" if turn.first is None else f", first after {turn.first:.2f} s"
    cost = costs.shown(turn.target, usage)
    return f"{turn.target or model}: {tokens}, {cost}, {turn.duration:.2f} s{first}{_ENDINGS.get(turn.reason, '')}"
