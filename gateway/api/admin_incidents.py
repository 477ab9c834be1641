"""/admin/incidents: what triggers were sent and what became of it, with the timeline of each; and a run for one that was left over."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_records import listed
from gateway.api.admin_runs import Watching, run_view
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit
from gateway.api.admin_triggers import there
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.stores.incidents import Changes, Incident, IncidentState
from gateway.triggers.timeline import timeline

LIST_PATH = "/admin/incidents"
ONE_PATH = "/admin/incidents/{incident}"
START_PATH = "/admin/incidents/{incident}/start"


class IncidentQuery(Body, frozen=True, kw_only=True):
    """Which incidents."""

    trigger: Annotated[str, Meta(max_length=64, description="Of this trigger alone.")] = ""
    state: Annotated[IncidentState, Meta(description="In this state alone.")] | None = None
    storm: Annotated[str, Meta(max_length=64, description="Left over in this storm alone.")] = ""
    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""


def endpoints(edge: Edge, services: Services, watching: Watching | None) -> dict[str, AsgiApp]:
    """Give the endpoints; without `watching` they say that this server has no triggers."""

    async def found(asked: Asked) -> Incident:
        incident = await there(watching).means.store.find(asked.tenants(None), asked.id)
        if incident is None:
            raise absent("incident")
        return incident

    async def show_list(asked: Asked) -> Document:
        query, store = asked.query(IncidentQuery), there(watching).means.store
        page = await store.list(
            asked.tenants(query.tenant),
            after=query.after,
            limit=query.limit + 1,
            trigger=query.trigger,
            state=query.state,
            storm=query.storm,
        )
        shown = page[: query.limit]
        return listed([_shown(one) for one in shown], shown[-1].id if len(page) > query.limit else "")

    async def show(asked: Asked) -> Document:
        incident, means = await found(asked), there(watching).means
        runs = [await means.runs.find(incident.tenant, name) for name in await means.store.runs(incident.id)]
        moments = []
        if watching is not None:
            moments = await timeline(
                incident.id, store=means.store, runs=means.runs, calls=means.calls, approvals=watching.approvals
            )
        return json_document(
            {
                **_shown(incident),
                "alerts_shown": [
                    {"firing": alert.firing, "at": alert.at, **alert.shown}
                    for alert in await means.store.alerts(incident.id)
                ],
                "runs_shown": [run_view(run) for run in runs if run is not None],
                "timeline": moments,
            }
        )

    async def start(asked: Asked) -> Document:
        incident, desk = await found(asked), there(watching)
        now = services.clock.wall()

        def begin(one: Incident) -> Changes | None:
            if one.ended_at is not None or one.phase or one.kind == "storm":
                return None
            return Changes(incidents=(msgspec.structs.replace(one, held="", held_until=None, due_at=now),))

        async with services.audited(asked, "incident.started", ("incident", incident.id, incident.tenant)):
            after = await desk.means.store.change(incident.trigger, incident.id, begin)
        desk.wake()
        return json_document(_shown(after or incident))

    return {
        LIST_PATH: admin_endpoint(edge, "incident", {"GET": Deed(right="read", perform=show_list)}),
        ONE_PATH: admin_endpoint(edge, "incident", {"GET": Deed(right="read", perform=show)}),
        START_PATH: admin_endpoint(edge, "incident", {"POST": Deed(right="write", perform=start)}),
    }


def _shown(incident: Incident) -> dict[str, Any]:
    return {
        "object": "incident",
        "id": incident.id,
        "trigger": incident.trigger,
        "tenant": incident.tenant,
        "kind": incident.kind,
        "title": incident.title,
        "state": incident.state,
        "held": incident.held or None,
        "held_until": incident.held_until,
        "storm": incident.part_of or None,
        "firing": incident.firing,
        "alerts": incident.alerts,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "ended_at": incident.ended_at,
        "due_at": incident.due_at,
        "run": incident.run or None,
        "run_phase": incident.phase or None,
        "runs": incident.runs,
        "events": incident.last_seq,
    }
