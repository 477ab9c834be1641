"""What the present generation of the configuration costs, for parts that outlive every generation."""

from __future__ import annotations

from collections.abc import Callable

from gateway.accounting.prices import Prices
from gateway.core.usage import Usage
from gateway.live import Generation


class PricesInForce:
    """The prices of the present generation. Who makes the generations says, in `generation`, which it is."""

    def __init__(self) -> None:
        self.generation: Callable[[], Generation] | None = None

    def __call__(self) -> Prices:
        """Give them. Raises RuntimeError before the first generation."""
        return self._present().prices

    def of_model(self, model: str, usage: Usage) -> int | None:
        """Give nano-dollars for usage at the dearest target of a model; None when no target's price is known."""
        generation = self._present()
        route = generation.routes.get(model)
        targets = () if route is None else route.targets
        costs = [generation.prices.nano(target.name, usage) for target in targets]
        return max((cost for cost in costs if cost is not None), default=None)

    def _present(self) -> Generation:
        if self.generation is None:
            msg = "prices were asked for before the configuration was in force"
            raise RuntimeError(msg)
        return self.generation()
