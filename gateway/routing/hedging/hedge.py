"""When a call is hedged: after how long, with which target, and how often at all. It asks nobody; `race` does."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.hedge_settings import HedgeSettings
from gateway.core.call import Call
from gateway.routing.hedging.harmless import is_harmless
from gateway.routing.retry import RetryBudget
from gateway.routing.seat import Seat


class Hedge:
    """One model's hedging. Times are seconds on the steady clock."""

    def __init__(self, settings: HedgeSettings) -> None:
        self.settings = settings
        self.budget = RetryBudget(settings.share)

    def wait(self, call: Call, seats: Sequence[Seat], now: float) -> float | None:
        """Note a call, and give how long its first target may take before another is asked; None where none is to be."""
        if len(seats) < 2 or not is_harmless(call):
            return None
        self.budget.deposit()
        # Nothing is set up for a call that there is no budget for.
        return self.patience(call, seats[0], now) if self.budget.left >= 1 else None

    def peek(self, call: Call, seats: Sequence[Seat], now: float) -> float | None:
        """Give the same for a call that is not made, budget or not."""
        return self.patience(call, seats[0], now) if len(seats) > 1 and is_harmless(call) else None

    def patience(self, call: Call, seat: Seat, now: float) -> float:
        """Give how long this target may take to begin its answer to such a call."""
        settings = self.settings
        known = seat.condition.first_quantile(call, settings.quantile, now)
        return settings.after if known is None else min(max(known, settings.least), settings.most)

    def second(self, seats: Sequence[Seat], now: float) -> Seat | None:
        """Give the target to ask beside the first, and take it off the budget; None when there is none, or no budget."""
        for seat in seats[1:]:
            # What has no weight is asked only when the others fail; who waits for a place needs it more.
            if seat.weight and not seat.condition.spared(now) and seat.has_room(""):
                return seat if self.budget.withdraw() else None
        return None
