"""Follows the runs of incidents to their ends, ends those whose alerts are resolved before they acted, and closes storms that are over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import structlog

from gateway.config.trigger_settings import AlertmanagerTriggerSettings, TriggerSettings
from gateway.core.errors import SwitchgearError
from gateway.core.items import Json
from gateway.stores.incidents import Changes, Incident
from gateway.stores.runs import LIVE, Run
from gateway.triggers.acting import ACTED, deeds
from gateway.triggers.means import Means
from gateway.triggers.starting import said

log = structlog.get_logger()

_ACTED: Final = ("started", "done", "failed", "unknown")
_DEEPEST: Final = 8
_MOST_SEEN: Final = 2000
DEED: Final = "action.ended"
"""The event that says what a run has changed."""
_WAITING_LOOK: Final = 5
"""Looks between two at a run that waits for people: it may wait for days."""


class Following:
    """Looks at runs."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._looks = 0
        self._seen: dict[str, tuple[str, int]] = {}

    async def look(self) -> None:
        """Look at each once. Raises StoreUnavailable."""
        self._looks += 1
        for incident in await self._means.store.active():
            if incident.phase == "waiting" and not incident.cancel and self._looks % _WAITING_LOOK:
                continue
            if incident.phase in ("running", "waiting"):
                await self._follow(incident)
            elif incident.kind == "storm" and not incident.phase:
                await self._calm(incident)

    async def _follow(self, incident: Incident) -> None:
        means, now = self._means, self._means.clock.wall()
        run = await means.runs.find(incident.tenant, incident.run)
        if run is None:
            await self._change(incident, partial(self._over, now, "gone"))
            return
        await self._tell_deeds(incident, run)
        going_on = "" if run.status in LIVE else await means.runs.continued_by(run.id)
        if going_on:
            await self._change(incident, partial(_continued, now, going_on))
        elif run.status in (*LIVE, "waiting"):
            if run.status == "waiting" and incident.phase != "waiting":
                await self._change(incident, partial(_waits, now))
            if incident.cancel:
                await self._cancel(incident, run)
        else:
            means.counts.ended.add((incident.trigger, run.status))
            await self._change(incident, partial(self._over, now, run.status))

    async def _tell_deeds(self, incident: Incident, run: Run) -> None:
        """Write down what the run changed since the last look. It is looked up only where the run has got on."""
        if self._seen.get(incident.id) == (run.id, run.next_seq):
            return
        means = self._means
        calls = [call for call in await means.calls.calls(run.id) if call.effect != "read" and call.state in ACTED]
        if calls:
            events = await means.store.events(incident.id)
            told = {event.body.get("call") for event in events if event.name == DEED}
            left = [call for call in calls if call.id not in told]
            items = await means.runs.items(run.id, "output") if left else ()
            for deed in deeds(run.id, left, items):
                if deed.changes:
                    # Where something else happened meanwhile, or another replica wrote it, the next look sees.
                    seq = events[-1].seq if events else 0
                    await self._change(incident, partial(self._done, deed.body(), seq))
                    events = await means.store.events(incident.id)
                    if events[-1].seq != seq + 1:
                        return
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        self._seen[incident.id] = (run.id, run.next_seq)

    def _done(self, body: dict[str, Json], last_seq: int, found: Incident) -> Changes | None:
        return said(found, self._means.clock.wall(), DEED, body) if found.last_seq == last_seq else None

    async def _change(self, incident: Incident, fold: Callable[[Incident], Changes | None]) -> None:
        """Change an incident, if it still is where it was seen: another replica may have looked, too."""

        def unless_changed(found: Incident) -> Changes | None:
            if (found.run, found.phase) != (incident.run, incident.phase):
                return None
            return fold(found)

        await self._means.store.change(incident.trigger, incident.id, unless_changed)

    def _over(self, now: float, status: str, found: Incident) -> Changes:
        """Say that a run has ended, and what comes then."""
        settings = self._means.triggers().get(found.trigger)
        after = msgspec.structs.replace(found, phase="", cancel=False, until=None)
        if found.kind in ("event", "tick"):
            after = msgspec.structs.replace(after, state="done", ended_at=now, firing=0)
        elif found.kind == "alerts":
            if found.news_seq > found.told_seq and not found.held and found.runs < _most_runs(settings):
                after = msgspec.structs.replace(after, due_at=now)
            elif found.state == "resolved" and found.held != "flapping":
                after = msgspec.structs.replace(after, ended_at=now, due_at=None)
        return said(after, now, f"run.{status}", {"run": found.run})

    async def _cancel(self, incident: Incident, run: Run) -> None:
        """End a run whose alerts are resolved, unless it has acted: what is half done is not left so."""
        means = self._means
        name, body = "run.goes_on", {"reason": "it has acted already"}
        if not await self._has_acted(run, 0):
            name, body = "run.cancelled_by_resolution", {"run": run.id}
            try:
                await means.desk.stop(run.tenant, run.id)
            except SwitchgearError as error:
                log.warning("trigger.cancel_failed", incident=incident.id, run=run.id, reason=error.message)
                return

        def told(found: Incident) -> Changes | None:
            if not found.cancel or found.run != incident.run:
                return None
            return said(msgspec.structs.replace(found, cancel=False), means.clock.wall(), name, {**body})

        await means.store.change(incident.trigger, incident.id, told)

    async def _has_acted(self, run: Run, depth: int) -> bool:
        calls = await self._means.calls.calls(run.id)
        if any(call.effect != "read" and call.state in _ACTED and call.server != "agents" for call in calls):
            return True
        if depth >= _DEEPEST:
            return True  # nobody looked deeper: in doubt it has
        children = [*await self._means.runs.children(run.id)]
        if run.continues and (before := await self._means.runs.find(run.tenant, run.continues)) is not None:
            children.append(before)
        for child in children:
            if await self._has_acted(child, depth + 1):
                return True
        return False

    async def _calm(self, storm: Incident) -> None:
        """Close a storm in which nothing was left over for a while, and whose run has told of it."""
        settings = self._means.triggers().get(storm.trigger)
        now = self._means.clock.wall()
        quiet = 0.0 if settings is None else settings.storm.quiet
        if storm.due_at is not None and settings is not None:
            return
        if storm.updated_at + quiet > now:
            return

        def over(found: Incident) -> Changes | None:
            if found.phase or found.ended_at is not None or found.updated_at != storm.updated_at:
                return None
            ended = msgspec.structs.replace(found, state="done", ended_at=now, due_at=None)
            return said(ended, now, "storm.over", {"count": found.alerts})

        await self._means.store.change(storm.trigger, storm.id, over)


def _most_runs(settings: TriggerSettings | None) -> int:
    return settings.most_runs if isinstance(settings, AlertmanagerTriggerSettings) else 0


def _continued(now: float, run: str, found: Incident) -> Changes:
    return said(msgspec.structs.replace(found, run=run, phase="running"), now, "run.continued", {"run": run})


def _waits(now: float, found: Incident) -> Changes:
    return said(msgspec.structs.replace(found, phase="waiting"), now, "run.waiting", {"run": found.run})
