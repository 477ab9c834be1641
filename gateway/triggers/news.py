"""What a run of an incident is told while it goes on: alerts that joined, and alerts that are resolved. It is data of strangers, and labelled so."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from gateway.agents.news_source import Piece
from gateway.config.trigger_settings import AlertmanagerTriggerSettings
from gateway.core.tools import Label
from gateway.stores.incidents import Changes, Incident
from gateway.stores.runs import Run
from gateway.triggers.means import Means
from gateway.triggers.starting import said
from gateway.triggers.telling import Facts, tell_news

_NEWS: Final = ("alerts.fired", "alerts.resolved")
TOLD: Final = "news.told"


class IncidentNews:
    """Finds it. A run knows its incident by the metadata that its trigger gave it; what a client writes there is not believed."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def find(self, run: Run) -> Piece | None:
        """Give what came since the run was told last; None where nothing did, or the trigger tells the next run instead."""
        incident = await self._incident(run)
        if incident is None:
            return None
        settings = self._means.triggers().get(incident.trigger)
        if not isinstance(settings, AlertmanagerTriggerSettings) or settings.on_new_alerts != "tell":
            return None
        heard = _heard(incident)
        if incident.last_seq <= heard:
            return None
        store = self._means.store
        events = [event for event in await store.events(incident.id) if event.seq > heard and event.name in _NEWS]
        if not events:
            return None
        upto = events[-1].seq
        since = msgspec.structs.replace(incident, told_seq=heard, telling_seq=upto)
        alerts, count = await store.told(since, most=settings.shown_alerts)
        facts = Facts(alerts=alerts, all_alerts=count, events=events)
        digest = hashlib.sha256(f"{incident.id}\0{upto}\0{run.id}".encode()).hexdigest()
        label = Label(source=f"triggers/{incident.trigger}", integrity="untrusted")
        return Piece(id=f"msg_{digest[:32]}", text=tell_news(incident.trigger, incident, facts), label=label, upto=upto)

    async def told(self, run: Run, piece: Piece) -> None:
        """Write down that the run knows: no other one is begun for it."""
        incident = await self._incident(run)
        if incident is None:
            return
        now = self._means.clock.wall()

        def fold(found: Incident) -> Changes | None:
            if piece.upto <= _heard(found):
                return None
            there = msgspec.structs.replace(found, told_seq=piece.upto, telling_seq=piece.upto)
            if found.news_seq <= piece.upto and found.phase:
                there = msgspec.structs.replace(there, due_at=None)
            return said(there, now, TOLD, {"run": run.id})

        await self._means.store.change(incident.trigger, incident.id, fold)

    async def _incident(self, run: Run) -> Incident | None:
        """Give the incident of a run that a trigger began, and that it is still about."""
        metadata = run.request.get("metadata")
        name = metadata.get("incident") if isinstance(metadata, dict) else None
        if run.caller.kind != "trigger" or not isinstance(name, str):
            return None
        incident = await self._means.store.find(run.tenant, name)
        if incident is None or incident.kind != "alerts" or run.caller.id != f"trigger:{incident.trigger}":
            return None
        return incident if incident.run in (run.id, run.continues) else None


def _heard(incident: Incident) -> int:
    return max(incident.told_seq, incident.telling_seq)
