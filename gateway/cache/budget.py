"""What may be asked beside calls: so many a minute, and so many US dollars a day. Pure but for the clock that it is given."""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.core.clock import Clock

_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_NANO: Final = 1_000_000_000


class Budget:
    """Of one model's verifier or audit, in this process. Days are those of UTC.

    What is on its way counts as the dearest that there has been today, so many at once spend no more than there is. A price that nobody
    knows counts nothing.
    """

    def __init__(self, clock: Clock, *, calls_per_minute: int, usd_per_day: float | None = None) -> None:
        self._clock = clock
        self._calls = calls_per_minute
        self._most = None if usd_per_day is None else round(usd_per_day * _NANO)
        self._begun: deque[float] = deque()
        self._day = -1
        self._spent = 0
        self._dearest = 0
        self._flying = 0

    def take(self) -> bool:
        """Whether one more may be asked now; who may says `give` when it is over."""
        now = self._clock.monotonic()
        while self._begun and now - self._begun[0] >= _MINUTE:
            self._begun.popleft()
        self._turn()
        too_dear = self._most is not None and self._spent + self._dearest * (self._flying + 1) > self._most
        if len(self._begun) >= self._calls or too_dear:
            return False
        self._begun.append(now)
        self._flying += 1
        return True

    def give(self, cost: int | None) -> None:
        """One is over, and has cost so many nano-dollars."""
        self._flying -= 1
        self._turn()
        self._spent += cost or 0
        self._dearest = max(self._dearest, cost or 0)

    def give_unpriced(self, estimate: int | None) -> None:
        """One is over, and nobody has said what it used: it counts as estimated, and no less than the dearest of today."""
        self._turn()
        self.give(max(estimate or 0, self._dearest))

    @property
    def spent(self) -> int:
        """Nano-dollars of today."""
        self._turn()
        return self._spent

    def _turn(self) -> None:
        day = int(self._clock.wall() // _DAY)
        if day != self._day:
            self._day, self._spent, self._dearest = day, 0, 0
