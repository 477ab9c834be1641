"""What a shadow is made of, and what one model's copies may use: how many at once, a minute and a day. Counted in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from gateway.config.shadow_settings import ShadowSettings
from gateway.core.call import Call
from gateway.core.items import Json
from gateway.core.responder import Responder
from gateway.pipeline.recorded import Cost

Clean = Callable[[Call, Json], Awaitable[Json]]
"""Takes out of what is to be kept what data protection would take out; None where it may not be kept at all."""

DAY: Final = 86_400.0
NANO: Final = 1_000_000_000
_MINUTE: Final = 60.0


class ShadowPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one generation of the configuration wants of one model's shadow.

    `answer` answers in the shadow's name; `relays` says whether calls of a dialect need not be decoded there. `priced` says
    whether all its targets have prices, `foreign` whether it is at other providers. `hold` and `release` keep the generation while a copy is on its way.
    """

    model: str
    settings: ShadowSettings
    answer: Responder
    relays: Callable[[str], bool]
    priced: bool
    foreign: bool = False
    cost: Cost
    clean: Clean | None
    hold: Callable[[], None]
    release: Callable[[], None]


class ShadowLane:
    """The counts of one model, kept through reloads. `wall` is seconds since 1970, `now` the steady clock."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.busy = 0
        self.keep_rows = 0
        self._day = 0
        self._spent = 0
        self._minute_ends = 0.0
        self._in_minute = 0

    def spent(self, wall: float) -> int:
        """Give today's cost in nano-dollars."""
        self._turn(wall)
        return self._spent

    def spend(self, nano: int, wall: float) -> None:
        """A copy has cost so much."""
        self._turn(wall)
        self._spent += nano

    def heard(self, nano: int, wall: float) -> None:
        """All processes together have spent so much today, as far as the store knows."""
        self._turn(wall)
        self._spent = max(self._spent, nano)

    def affords(self, settings: ShadowSettings, *, priced: bool, wall: float) -> bool:
        """Whether the day's money allows another copy. What it will cost is not known before: the last one may go over."""
        dollars = settings.budget.usd_per_day
        return dollars is None or (priced and self.spent(wall) < dollars * NANO)

    def take(self, settings: ShadowSettings, now: float) -> bool:
        """Take one of the minute's copies, if there is one left."""
        most = settings.budget.calls_per_minute
        if most is None:
            return True
        if now >= self._minute_ends:
            self._minute_ends, self._in_minute = now + _MINUTE, 0
        if self._in_minute >= most:
            return False
        self._in_minute += 1
        return True

    def _turn(self, wall: float) -> None:
        day = int(wall // DAY)
        if day != self._day:
            self._day, self._spent = day, 0
