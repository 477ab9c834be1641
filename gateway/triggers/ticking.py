"""Looks at the clock: makes a delivery of each time of a schedule, once among all replicas, and says what becomes of those that were missed."""

from __future__ import annotations

import datetime as dt
import hashlib
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from gateway.config.cron import parse_cron, times_after
from gateway.config.trigger_settings import ScheduleTriggerSettings
from gateway.stores.incidents import Changes, Found, Schedule, Wanted
from gateway.triggers.folding import Folding, Outcome
from gateway.triggers.means import Means
from gateway.triggers.payloads import EventDelivery

log = structlog.get_logger()

_LATE: Final = 60.0
"""Seconds beyond which a time was missed: nobody ran, or nobody could write."""
_MOST_MISSED: Final = 100_000
_FOREVER: Final = 1e18
_BACK: Final = 3600.0
"""Seconds by which a clock that went back is another clock; replicas' clocks differ by less."""


class Ticking:
    """Looks at the schedules. It remembers when each is due next, and asks the database only then."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._next: dict[str, tuple[str, float]] = {}
        self._seen = 0.0

    def next_time(self, trigger: str) -> float | None:
        """Give when a schedule is due next; None where it was not looked at yet, or never is."""
        due = self._next.get(trigger, ("", _FOREVER))[1]
        return None if due >= _FOREVER else due

    async def look(self) -> float:
        """Do what is due, and give the time at which there is more to do. Raises StoreUnavailable."""
        soonest, now = _FOREVER, self._means.clock.wall()
        if now < self._seen - _BACK:
            self._next.clear()
        self._seen = now
        schedules = {
            name: trigger
            for name, trigger in self._means.triggers().items()
            if isinstance(trigger, ScheduleTriggerSettings)
        }
        for name, settings in schedules.items():
            spec, due = self._next.get(name, ("", 0.0))
            if spec != _spec(settings) or due <= self._means.clock.wall():
                due = await self._look_at(name, settings)
                self._next[name] = (_spec(settings), due)
            soonest = min(soonest, due)
        return soonest

    async def _look_at(self, name: str, settings: ScheduleTriggerSettings) -> float:
        """Do what is due of one, and give its next time."""
        store, now = self._means.store, self._means.clock.wall()
        cron, zone = parse_cron(settings.cron), ZoneInfo(settings.time_zone)
        spec = _spec(settings)
        before = await store.schedule(name)
        if before is None or before.spec != spec:
            # A schedule that is new has missed nothing.
            await store.advance(Schedule(trigger=name, spec=spec, last=now), before)
            return next(times_after(cron, zone, now), _FOREVER)
        if before.last > now + _BACK:
            # What was due then was made then, or will not be: but nothing would be until the clock is there again.
            log.warning("trigger.clock_went_back", trigger=name, seconds=round(before.last - now))
            await store.advance(Schedule(trigger=name, spec=spec, last=now), before)
            return next(times_after(cron, zone, now), _FOREVER)
        passed = [time for time in islice(times_after(cron, zone, before.last), _MOST_MISSED) if time <= now]
        if passed:
            wanted = _wanted(settings, passed, now)
            # The tick first: who dies after it has made it, and another one who makes it again finds it there.
            for time in wanted:
                await self._tick(name, settings, time)
            await store.advance(Schedule(trigger=name, spec=spec, last=passed[-1]), before)
            if len(passed) > len(wanted):
                log.warning("trigger.times_missed", trigger=name, missed=len(passed) - len(wanted))
        return next(times_after(cron, zone, now), _FOREVER)

    async def _tick(self, name: str, settings: ScheduleTriggerSettings, time: float) -> None:
        means, now = self._means, self._means.clock.wall()
        shown = dt.datetime.fromtimestamp(time, ZoneInfo(settings.time_zone)).isoformat()
        key = f"tick:{time:.0f}"
        overlaps = settings.overlap == "skip" and await self._goes_on(name)
        outcomes: list[Outcome] = []

        def fold(found: Found) -> Changes:
            folding = Folding(name, settings, found, now=now, new_id=means.new_id)
            if overlaps:
                outcomes.append(folding.skip(key))
            else:
                tick = EventDelivery(key=key, title=shown, dedupe=key, shown={"time": shown})
                due_at = max(now, time + _jitter(name, time, settings.jitter))
                outcomes.append(folding.event(tick, "tick", due_at=due_at))
            return folding.changes

        await means.store.take_in(name, Wanted(keys=(key,), dedupes=(key,)), fold)
        for outcome in outcomes:
            if outcome.word != "duplicate":
                means.counts.deliveries.add((name, outcome.word))
                log.info("trigger.ticked", trigger=name, time=shown, outcome=outcome.word, incident=outcome.incident)

    async def _goes_on(self, name: str) -> bool:
        """Whether a run of the schedule is still to come, goes on, or waits for people."""
        return (await self._means.store.figures(name)).open > 0


def _wanted(settings: ScheduleTriggerSettings, passed: list[float], now: float) -> list[float]:
    """Give the times to act on: those that are due now, and of those that were missed what the settings say."""
    on_time = [time for time in passed if now - time <= _LATE]
    missed = [time for time in passed if now - time > _LATE]
    return [*(missed[-1:] if settings.missed == "once" and not on_time else ()), *on_time]


def _spec(settings: ScheduleTriggerSettings) -> str:
    return f"{settings.cron} {settings.time_zone}"


def _jitter(name: str, time: float, most: float) -> float:
    """Give how much later a run begins: the same on every replica, another one each time."""
    digest = hashlib.sha256(f"{name}\0{time:.0f}".encode()).digest()
    return most * int.from_bytes(digest[:4], "big") / 2**32
