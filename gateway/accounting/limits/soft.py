"""Soft limits: notices that a share of a limit is reached, once a window. Who is told, `alerts` knows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from gateway.accounting.limits.rules import Rule, subject_of
from gateway.accounting.limits.wording import full_in
from gateway.core.clock import Clock
from gateway.stores.counters import Bucket
from gateway.telemetry.metrics import Counter

MOST_NOTICED = 65_536


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a limit is reached. `subject` is whose counter it is; `key`, `seconds`: its name, and how long it holds."""

    rule: Rule
    subject: dict[str, str]
    share: float
    used: int
    key: str
    at: float
    seconds: float


class SoftLimits:
    """Watches what is counted. `announce` takes each notice; it does not block."""

    def __init__(self, clock: Clock, announce: Callable[[Notice], None]) -> None:
        self._clock = clock
        self._announce = announce
        self._rules: dict[str, Rule] = {}
        self._noticed: OrderedDict[tuple[str, float], float] = OrderedDict()
        self.reached = Counter(
            "switchgear_limit_soft_reached_total", "Soft shares of limits that were reached.", ("limit", "share")
        )

    def watch(self, rules: Iterable[Rule]) -> None:
        """Watch these rules, and no others."""
        self._rules = {rule.table: rule for rule in rules if rule.soft}

    def observe(self, bucket: Bucket, slot: int, used: int) -> None:
        """Look whether what a counter holds now has reached a share. Implements the stores' `Observe`."""
        rule = self._rules.get(bucket.table)
        if rule is None:
            return
        for share in rule.soft:
            if used >= share * rule.limit:
                self._reach(rule, bucket, slot, share, used)

    def _reach(self, rule: Rule, bucket: Bucket, slot: int, share: float, used: int) -> None:
        del slot
        now = self._clock.wall()
        known = (bucket.key, share)
        if self._noticed.get(known, 0.0) > now:
            return
        seconds = max(full_in(rule, now), 1.0)
        self._noticed[known] = now + seconds
        self._noticed.move_to_end(known)
        if len(self._noticed) > MOST_NOTICED:
            self._noticed.popitem(last=False)
        self.reached.add((rule.name, f"{share:g}"))
        self._announce(
            Notice(
                rule=rule,
                subject=subject_of(rule, bucket),
                share=share,
                used=used,
                key=f"{bucket.key}\x1f{share:g}",
                at=now,
                seconds=seconds,
            )
        )
