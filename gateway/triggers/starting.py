"""Begins the runs that incidents wait for. What was accepted is in the database, so whoever comes next begins what another one left.

The order is: the incident says which run is begun, then the run is begun under that id, then the incident says that it was. A process that dies in between
leaves an incident that another one takes up, with the same id: a run that is there already is not begun again.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
import structlog

from gateway.agents.desk import Draft
from gateway.config.agent_settings import PREFIX
from gateway.config.trigger_settings import AlertmanagerTriggerSettings, TriggerSettings
from gateway.core.errors import Conflict, Forbidden, InternalError, InvalidRequest, SwitchgearError
from gateway.core.items import Json
from gateway.stores.audit import SYSTEM, AuditObject
from gateway.stores.incidents import Beginning, Board, Changes, Incident, IncidentEvent
from gateway.stores.runs import LIVE
from gateway.triggers.beginning import decide
from gateway.triggers.identity import caller_of, limits_of
from gateway.triggers.means import Means
from gateway.triggers.telling import MOST_TITLES, Facts, tell

log = structlog.get_logger()

_AT_ONE_LOOK: Final = 100
_MOST_ROUNDS: Final = 100
_MOST_PAUSE: Final = 300.0
_MOST_SHOWN: Final = 20
_LEFT_EVERY: Final = 3.0


class Starting:
    """Begins runs."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._left_at = 0.0

    async def look(self) -> None:
        """Begin what is due. Raises StoreUnavailable."""
        triggers, now = self._means.triggers(), self._means.clock.monotonic()
        names = dict.fromkeys(await self._means.store.due(self._means.clock.wall()))
        if now >= self._left_at:
            # Thousands may be left over: what has no place for now is not looked at all the time.
            self._left_at = now + _LEFT_EVERY
            names |= dict.fromkeys(await self._means.store.with_left_over())
        for name in names:
            settings = triggers.get(name)
            if settings is not None:
                await self._look_at(name, settings)

    async def _look_at(self, name: str, settings: TriggerSettings) -> None:
        means = self._means
        for _ in range(_MOST_ROUNDS):
            now = means.clock.wall()
            decided: list[Beginning] = []

            def deciding(board: Board, now: float = now, decided: list[Beginning] = decided) -> Beginning:
                decided.append(decide(name, settings, board, now=now, new_id=means.new_id))
                return decided[-1]

            begun = await means.store.begin_due(name, now=now, most=_AT_ONE_LOOK, decide=deciding)
            if decided and decided[-1].held is not None:
                means.counts.held.add((name,))
                log.warning("trigger.storm", trigger=name, incident=decided[-1].held.id)
            for incident in begun:
                await self._begin(name, settings, incident)
            if len(begun) < _AT_ONE_LOOK:
                return

    async def _begin(self, name: str, settings: TriggerSettings, incident: Incident) -> None:
        means = self._means
        try:
            if await means.runs.find(incident.tenant, incident.run) is None:
                await means.desk.begin(await self._draft(name, settings, incident))
        except Conflict as error:
            if await means.runs.find(incident.tenant, incident.run) is None:
                await self._refused(name, incident, error)
                return
        except (InvalidRequest, Forbidden) as error:
            await self._refused(name, incident, error)
            return
        except SwitchgearError as error:
            await self._postponed(name, incident, error)
            return
        except Exception:
            log.exception("trigger.crashed", trigger=name, incident=incident.id)
            await self._postponed(name, incident, InternalError())
            return
        means.counts.runs.add((name, "begun"))
        log.info("trigger.run_begun", trigger=name, incident=incident.id, run=incident.run)
        means.audit.record_later(
            "trigger.run_begun",
            actor=SYSTEM,
            about=AuditObject(kind="incident", id=incident.id, tenant=incident.tenant),
            details={"trigger": name, "run": incident.run, "agent": settings.agent},
        )
        await means.store.change(name, incident.id, partial(_begun, incident, means.clock.wall()))

    async def _draft(self, name: str, settings: TriggerSettings, incident: Incident) -> Draft:
        means = self._means
        telling = tell(name, settings, incident, await self._facts(settings, incident))
        model = PREFIX + settings.agent
        fields: dict[str, Json] = {
            "model": model,
            "input": telling.items,
            "background": True,
            "store": True,
            "metadata": {"trigger": name, "incident": incident.id},
        }
        if previous := await self._previous(incident):
            fields["previous_response_id"] = previous
        return Draft(
            caller=caller_of(name, settings),
            model=model,
            fields=fields,
            received=means.clock.monotonic(),
            session=settings.session or incident.id,
            run=incident.run,
            labels=telling.labels,
            limits=limits_of(settings),
        )

    async def _previous(self, incident: Incident) -> str:
        """Give the run to go on from: the incident's last one, where it is kept and has ended."""
        earlier = [run for run in await self._means.store.runs(incident.id) if run != incident.run]
        if not earlier:
            return ""
        found = await self._means.runs.find(incident.tenant, earlier[-1])
        return "" if found is None or found.status in (*LIVE, "waiting") else found.id

    async def _facts(self, settings: TriggerSettings, incident: Incident) -> Facts:
        store = self._means.store
        if incident.kind == "storm":
            titles, left_over = await store.left_over(incident.id, most=MOST_TITLES)
            return Facts(titles=titles, left_over=left_over)
        events = [
            event for event in await store.events(incident.id) if incident.told_seq < event.seq <= incident.telling_seq
        ]
        most = settings.shown_alerts if isinstance(settings, AlertmanagerTriggerSettings) else _MOST_SHOWN
        alerts, count = await store.told(incident, most=most) if incident.kind == "alerts" else ((), 0)
        return Facts(alerts=alerts, all_alerts=count, events=events)

    async def _refused(self, name: str, incident: Incident, error: SwitchgearError) -> None:
        """End an incident whose run can not be begun as things are: when it comes again, it is tried again."""
        self._means.counts.runs.add((name, "refused"))
        log.error("trigger.run_refused", trigger=name, incident=incident.id, reason=error.message)
        await self._means.store.change(
            name, incident.id, partial(_refused, incident, self._means.clock.wall(), error.message)
        )

    async def _postponed(self, name: str, incident: Incident, error: SwitchgearError) -> None:
        self._means.counts.runs.add((name, "postponed"))
        log.warning("trigger.run_postponed", trigger=name, incident=incident.id, reason=error.message)
        pause = max(error.retry_after or 0.0, min(_MOST_PAUSE, 2.0**incident.tries))
        await self._means.store.change(
            name, incident.id, partial(_postponed, incident, self._means.clock.wall(), error.message, pause)
        )


def _begun(begun: Incident, now: float, found: Incident) -> Changes | None:
    if (found.run, found.phase) != (begun.run, "starting"):
        return None
    there = msgspec.structs.replace(found, phase="running", told_seq=found.telling_seq, until=None, tries=0)
    return said(there, now, "run.begun", {"run": begun.run})


def _refused(begun: Incident, now: float, reason: str, found: Incident) -> Changes | None:
    if (found.run, found.phase) != (begun.run, "starting"):
        return None
    over = msgspec.structs.replace(found, phase="", state="failed", ended_at=now, until=None, due_at=None)
    return said(over, now, "run.refused", {"reason": reason[:1000]})


def _postponed(begun: Incident, now: float, reason: str, pause: float, found: Incident) -> Changes | None:
    if (found.run, found.phase) != (begun.run, "starting"):
        return None
    later = msgspec.structs.replace(found, until=now + pause, tries=found.tries + 1)
    if found.tries:
        return Changes(incidents=(later,))
    return said(later, now, "run.postponed", {"reason": reason[:1000]})


def said(incident: Incident, now: float, name: str, body: dict[str, Json]) -> Changes:
    """Give the change that an incident is now so, and the event that says why."""
    seq = incident.last_seq + 1
    event = IncidentEvent(incident=incident.id, seq=seq, at=now, name=name, body=body)
    return Changes(incidents=(msgspec.structs.replace(incident, last_seq=seq, updated_at=now),), events=(event,))
