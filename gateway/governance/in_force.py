"""What the present generation of the configuration costs, for parts that outlive every generation."""

from __future__ import annotations

from collections.abc import Callable

from gateway.accounting.prices import Prices, TokenPrice
from gateway.live import Generation


class PricesInForce:
    """The prices of the present generation. Who makes the generations says, in `generation`, which it is."""

    def __init__(self) -> None:
        self.generation: Callable[[], Generation] | None = None

    def __call__(self) -> Prices:
        """Give them. Raises RuntimeError before the first generation."""
        return self._present().prices

    def of_model(self, model: str) -> TokenPrice:
        """Give what estimates a call of this model at its dearest target, for as long as this generation is the present one."""
        generation = self._present()
        route = generation.routes.get(model)
        return generation.prices.estimates(() if route is None else [target.name for target in route.targets])

    def _present(self) -> Generation:
        if self.generation is None:
            msg = "prices were asked for before the configuration was in force"
            raise RuntimeError(msg)
        return self.generation()
