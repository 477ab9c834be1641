"""How one notice is delivered, and the two ways in which it is not. It sends nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.stores.outbox import Letter


class Undelivered(Exception):
    """It was not taken, for a reason that may pass. `after` is the seconds that whom it is for asks to wait, None where it does not."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Undeliverable(Exception):
    """It will never be taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Deliver = Callable[[Letter], Awaitable[None]]
"""Delivers a letter; once more does no harm. Raises Undelivered, Undeliverable, StoreUnavailable."""
