"""What an answer cost, as far as this machine's configuration knows the prices of who served it."""

from __future__ import annotations

from pathlib import Path

from gateway.accounting.prices import Prices, open_prices
from gateway.config import ConfigError, load, read_environment
from gateway.core.usage import Usage


class Costs:
    """Prices for people. Unknown is said, never shown as nothing."""

    def __init__(self, prices: Prices | None) -> None:
        self._prices = prices

    @classmethod
    def of(cls, config: Path) -> Costs:
        """Take the prices of a configuration, none when it cannot be read (a remote gateway needs no local file)."""
        try:
            return cls(open_prices(load(config, read_environment())))
        except ConfigError:
            return cls(None)

    def shown(self, target: str, usage: Usage | None) -> str:
        """Give "$0.0012", or that the price is unknown."""
        cost = None if self._prices is None or usage is None else self._prices.cost(target, usage)
        return "price unknown" if cost is None else f"${cost:.6f}".rstrip("0").rstrip(".")
