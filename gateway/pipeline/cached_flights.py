"""Identical calls in flight: one is asked, the others wait for what comes of it. It knows no answers' meaning, and no clock but its own.

Nobody waits for the one who asks to do anything but end: however it ends, it says so, and then each goes its own way.
"""

from __future__ import annotations

from typing import Final, Literal

from anyio import Event, move_on_after

from gateway.core.answer import Answer

LONGEST_WAIT: Final = 60.0
"""Seconds that a call waits for another: one whose client reads slowly must not hold up the others for long."""

Outcome = Answer | Literal["left", "failed"]
"""left: its client went, so somebody else must ask. failed: there is no answer that others could have."""


class Flight:
    """One call that is being answered for others, too. It has an event only where somebody waits. `entry` is what its answer is kept as."""

    __slots__ = ("_over", "entry", "outcome")

    def __init__(self) -> None:
        self._over: Event | None = None
        self.outcome: Outcome | None = None
        self.entry = ""

    def end(self, outcome: Outcome) -> None:
        """Say what came of it. The first word counts."""
        if self.outcome is None:
            self.outcome = outcome
            if self._over is not None:
                self._over.set()

    async def wait(self) -> Outcome:
        """Wait for the end; it has failed for who has waited too long."""
        if self.outcome is None:
            if self._over is None:
                self._over = Event()
            with move_on_after(LONGEST_WAIT):
                await self._over.wait()
        return self.outcome or "failed"


class Flights:
    """The calls that are in flight, by key."""

    def __init__(self) -> None:
        self._flying: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def find(self, key: str) -> Flight | None:
        """Give the flight of a key."""
        return self._flying.get(key)

    def begin(self, key: str) -> Flight:
        """Begin one."""
        flight = self._flying[key] = Flight()
        return flight

    def end(self, key: str, flight: Flight, outcome: Outcome) -> None:
        """It is over."""
        if self._flying.get(key) is flight:
            del self._flying[key]
        flight.end(outcome)
