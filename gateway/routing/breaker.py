"""A circuit breaker: says when a target is to be spared, and when it may be tried again. Pure; clocks and chance are arguments.

Closed, it counts faults: so many in a row, or too large a share of a window, open it. Open, it lets nobody through until its
time is over, which doubles with every probe that fails. Half open, it lets a few probes through; one that succeeds closes it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from gateway.config.routing_settings import BreakerSettings

State = Literal["closed", "open", "half_open"]

SPREAD = 0.2
"""The share of its time by which an open breaker may be late, so that replicas do not probe all at once."""


class Breaker:
    """One target's breaker. Times are seconds on the steady clock; `chance` gives numbers from 0 to 1."""

    __slots__ = (
        "_bad", "_bad_before", "_chance", "_good", "_good_before", "_openings", "_probing", "_row", "_turns_at", "settings",
        "until",
    )  # fmt: skip

    def __init__(self, settings: BreakerSettings, chance: Callable[[], float]) -> None:
        self.settings = settings
        self.until = 0.0
        """When an open breaker may be probed; 0 while it is closed."""
        self._chance = chance
        self._openings = 0
        self._probing = 0
        self._row = 0
        # Two halves of the window: the present one, and the one before.
        self._good = self._bad = self._good_before = self._bad_before = 0
        self._turns_at = -inf

    def state(self, now: float) -> State:
        """Give its state at this moment."""
        if not self.until:
            return "closed"
        return "open" if now < self.until else "half_open"

    def admits(self, now: float) -> bool:
        """Whether a call may go through. It changes nothing."""
        return not self.until or (now >= self.until and self._probing < self.settings.probes)

    def begin(self) -> bool:
        """A call goes through; whether it is a probe, which `succeed`, `fail` and `leave` are then told."""
        if not self.until:
            return False
        self._probing += 1
        return True

    def succeed(self, now: float, *, probe: bool) -> None:
        """The target did what it should."""
        self._row = 0
        if now >= self._turns_at:
            self._turn(now)
        self._good += 1
        if probe:
            self._probing -= 1
            self.close()

    def fail(self, now: float, *, probe: bool) -> bool:
        """The target failed; whether that opened the breaker."""
        self._row += 1
        if now >= self._turns_at:
            self._turn(now)
        self._bad += 1
        if probe:
            self._probing -= 1
        if self.until:
            # Only a probe says something new: what else comes in now was sent before the breaker opened.
            if not probe:
                return False
        elif not self._too_bad():
            return False
        self.open(now)
        return True

    def leave(self, *, probe: bool) -> None:
        """The call ended without saying anything about the target."""
        if probe:
            self._probing -= 1

    def open(self, now: float) -> None:
        """Let nobody through for a while."""
        settings = self.settings
        seconds = min(settings.open * 2 ** min(self._openings, 30), settings.longest)
        self._openings += 1
        self.until = now + seconds * (1 + SPREAD * self._chance())

    def close(self) -> None:
        """Let everybody through, and forget."""
        self.until = 0.0
        self._openings = self._row = 0
        self._good = self._bad = self._good_before = self._bad_before = 0

    def share(self, now: float) -> float:
        """Give the share of faults in the window."""
        if now >= self._turns_at:
            self._turn(now)
        bad, all_ = self._bad + self._bad_before, self._bad + self._bad_before + self._good + self._good_before
        return bad / all_ if all_ else 0.0

    def _too_bad(self) -> bool:
        settings = self.settings
        if self._row >= settings.failures:
            return True
        bad = self._bad + self._bad_before
        calls = bad + self._good + self._good_before
        return calls >= settings.least and bad >= settings.share * calls

    def _turn(self, now: float) -> None:
        half = self.settings.window / 2
        if now < self._turns_at + half:
            self._good_before, self._bad_before = self._good, self._bad
        else:
            self._good_before = self._bad_before = 0
        self._good = self._bad = 0
        self._turns_at = now + half
