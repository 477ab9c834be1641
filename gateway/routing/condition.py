"""How a target is doing, as far as calls have shown it: whether it is to be spared, how busy it is, how fast it was.

One condition a target ("provider/model"), shared by all models that use it and kept through reloads. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import exp, inf

from gateway.config.routing_settings import BreakerSettings
from gateway.core.call import Call
from gateway.routing.breaker import Breaker
from gateway.routing.first_times import FirstTimes
from gateway.routing.gate import Gate

FADING_SECONDS = 30.0
"""After so long without a new figure a latency counts a third of what it was: a slow target gets another chance."""


class Condition:
    """One target's condition. Times are seconds on the steady clock.

    `in_flight` are the calls that it has now, `cooling_until` is until when it asked to be left alone; `first` is the time to the
    first token, the peak of late, None before there was any, `first_at` when that was told, and `per_token` the time for each token
    after it. `gate` bounds the calls that it has at once, where there is a bound.
    `served`, `failed` and `repeated` count tries, `hedges` by their outcome (won, lost, failed) those made beside a first one,
    `continuations` (finished, broken, failed) those that were to go on with another's answer.
    """

    __slots__ = (
        "_limits", "breaker", "continuations", "cooling_until", "failed", "first", "first_at", "first_times", "gate", "hedges",
        "in_flight", "per_token", "repeated", "served", "target",
    )  # fmt: skip

    def __init__(self, target: str, breaker: Breaker) -> None:
        self.target = target
        self.breaker = breaker
        self.in_flight = 0
        self.gate: Gate | None = None
        self.cooling_until = 0.0
        self.first: float | None = None
        self.repeated = 0
        self.served = 0
        self.failed = 0
        self.first_at = 0.0
        self.per_token: float | None = None
        self._limits: tuple[tuple[float, float], ...] = ()  # (share used, until when)
        self.hedges: dict[str, int] = {}
        self.continuations: dict[str, int] = {}
        # By kind of call: a document comes as a whole, so that its beginning is its end.
        self.first_times: dict[tuple[str, bool], FirstTimes] | None = None

    def spared(self, now: float) -> bool:
        """Whether no call should go there now."""
        return now < self.cooling_until or not self.breaker.admits(now)

    def begin(self) -> bool:
        """A call goes there; whether it is a probe."""
        self.in_flight += 1
        return self.breaker.begin()

    def succeed(self, now: float, *, probe: bool) -> None:
        """It answered."""
        self.in_flight -= 1
        self.served += 1
        self.breaker.succeed(now, probe=probe)

    def fail(self, now: float, *, probe: bool) -> bool:
        """It failed; whether it is spared from now on."""
        self.in_flight -= 1
        self.failed += 1
        return self.breaker.fail(now, probe=probe)

    def leave(self, *, probe: bool) -> None:
        """The call ended, and nothing follows from that."""
        self.in_flight -= 1
        self.breaker.leave(probe=probe)

    def cool(self, until: float) -> None:
        """It asked to be left alone."""
        self.cooling_until = max(self.cooling_until, until)

    def saw_first(self, seconds: float, now: float) -> None:
        """Note the time to a first token. A longer one counts at once, a shorter one bit by bit (peak-EWMA)."""
        self.first = _peak(self.first, seconds, now - self.first_at)
        self.first_at = now

    def saw_rate(self, seconds_a_token: float, now: float) -> None:
        """Note the time for each token after the first; to be told before `saw_first`, whose time counts for both."""
        self.per_token = _peak(self.per_token, seconds_a_token, now - self.first_at)

    def saw_limits(self, limits: tuple[tuple[float, float], ...]) -> None:
        """Note what its own headers say of its rate limits: (share used, until when on the steady clock)."""
        self._limits = limits

    def limits_used(self, now: float) -> float:
        """Give the largest share of its limits that is used up, as far as that still holds."""
        return max([used for used, until in self._limits if now < until], default=0.0)

    def watch_first_times(self) -> None:
        """Keep a distribution of the times to the first token from now on: somebody hedges."""
        if self.first_times is None:
            self.first_times = {}

    def saw_first_time(self, call: Call, seconds: float, now: float) -> None:
        """Note how long such a call took to begin, where somebody wants to know."""
        if self.first_times is None:
            return
        kind = (call.operation, call.stream)
        times = self.first_times.get(kind)
        if times is None:
            times = self.first_times[kind] = FirstTimes()
        times.saw(seconds, now)

    def first_quantile(self, call: Call, share: float, now: float) -> float | None:
        """Give what this share of such calls stayed under until they began; None while too little is known."""
        times = None if self.first_times is None else self.first_times.get((call.operation, call.stream))
        return None if times is None else times.quantile(share, now)

    def outlasted(self, call: Call, seconds: float, now: float) -> None:
        """Another target was quicker: it would have taken longer than this. Left out, its times would look better than they are."""
        self.saw_first_time(call, seconds, now)
        if self.first is None or seconds > self.first:
            self.saw_first(seconds, now)

    def back_at(self, now: float) -> float:
        """Give the seconds until it may be tried again."""
        return max(self.cooling_until - now, self.breaker.until - now if self.breaker.until else 0.0, 0.0)


def _peak(known: float | None, seen: float, since: float) -> float:
    if known is None or seen >= known:
        return seen
    weight = exp(-since / FADING_SECONDS)
    return known * weight + seen * (1 - weight)


class Conditions:
    """All conditions, by target. `chance` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._known: dict[str, Condition] = {}
        self._wanted: dict[str, BreakerSettings] = {}

    def of(self, target: str, settings: BreakerSettings) -> Condition:
        """Give a target's condition; its breaker goes by these settings from the next `keep` on, a new one at once."""
        known = self._known.get(target)
        if known is None:
            known = self._known[target] = Condition(target, Breaker(settings, self._chance))
        self._wanted[target] = settings
        return known

    def gate_of(self, target: str, limit: int | None) -> Gate | None:
        """Give what bounds the calls of a target whose condition is known; None where nothing does. It keeps the limit that it has."""
        condition = self._known[target]
        if limit is not None and condition.gate is None:
            condition.gate = Gate(limit)
        return None if limit is None else condition.gate

    def limit(self, limits: Mapping[str, int]) -> None:
        """Put limits into force, by target; those that are not named have none any more."""
        for condition in self:
            if condition.gate is not None:
                condition.gate.resize(limits.get(condition.target, inf))

    def keep(self, targets: set[str]) -> None:
        """Forget those of other targets, and put breakers' settings into force: what was built is."""
        for gone in self._known.keys() - targets:
            del self._known[gone]
        for condition in self:
            condition.breaker.settings = self._wanted.pop(condition.target, condition.breaker.settings)
        self._wanted.clear()

    def __iter__(self) -> Iterator[Condition]:
        return iter(tuple(self._known.values()))
