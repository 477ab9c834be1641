"""/admin/triggers: what starts runs without a person asking, how each is doing, and firing one by hand."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_rights import sees
from gateway.api.admin_runs import Watching
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.api.triggers import delivered, read
from gateway.config.trigger_settings import (
    AlertmanagerTriggerSettings,
    AnyTriggerSettings,
    ScheduleTriggerSettings,
    TriggerSettings,
    WebhookTriggerSettings,
)
from gateway.core.errors import InvalidRequest, NotFound
from gateway.triggers.desk import TriggerDesk
from gateway.triggers.payloads import EventDelivery

LIST_PATH = "/admin/triggers"
ONE_PATH = "/admin/triggers/{trigger}"
FIRE_PATH = "/admin/triggers/{trigger}/fire"


class Firing(Body, frozen=True, kw_only=True):
    """What a trigger is to be given, as its sender would send it. A schedule needs nothing."""

    payload: Annotated[dict[str, Any], Meta(description="The body that the trigger is sent.")] | None = None


def there(watching: Watching | None) -> TriggerDesk:
    """Give the desk. Raises NotFound where there is none."""
    if watching is None or watching.triggers is None:
        msg = "This server has no triggers: set `triggers`, `agents`, `runs` and `database` in its configuration."
        raise NotFound(msg)
    return watching.triggers


def endpoints(edge: Edge, services: Services, watching: Watching | None) -> dict[str, AsgiApp]:
    """Give the endpoints; without `watching` they say that this server has no triggers."""

    def found(asked: Asked) -> AnyTriggerSettings:
        settings = there(watching).means.triggers().get(asked.id)
        if settings is None or not sees(asked.caller, settings.run_as.tenant):
            raise absent("trigger")
        return settings

    async def show_list(asked: Asked) -> Document:
        desk = there(watching)
        seen = [
            await _shown(desk, name, settings)
            for name, settings in desk.means.triggers().items()
            if sees(asked.caller, settings.run_as.tenant)
        ]
        return json_document({"object": "list", "data": seen, "has_more": False, "next": None})

    async def show(asked: Asked) -> Document:
        return json_document(await _shown(there(watching), asked.id, found(asked)))

    async def fire(asked: Asked) -> Document:
        desk, settings = there(watching), found(asked)
        firing = asked.body(Firing) if asked.body_bytes else Firing()
        identifier = services.new_id("fired_")
        if isinstance(settings, ScheduleTriggerSettings):
            shown = {"time": f"fired by hand ({identifier})"}
            delivery: Any = EventDelivery(
                key=f"event:{identifier}", title="fired by hand", dedupe=identifier, shown={**shown}
            )
        else:
            if firing.payload is None:
                msg = "`payload` is missing: what the trigger would be sent."
                raise InvalidRequest(msg, param="payload")
            delivery = read(settings, msgspec.json.encode(firing.payload), identifier)
        async with services.audited(asked, "trigger.fired", ("trigger", asked.id, settings.run_as.tenant)) as details:
            outcome = await desk.intake.take(asked.id, settings, delivery)
            details["outcome"], details["incident"] = outcome.word, outcome.incident
        return msgspec.structs.replace(delivered(asked.id, outcome), status=200)

    return {
        LIST_PATH: admin_endpoint(edge, "trigger", {"GET": Deed(right="read", perform=show_list)}),
        ONE_PATH: admin_endpoint(edge, "trigger", {"GET": Deed(right="read", perform=show)}),
        FIRE_PATH: admin_endpoint(edge, "trigger", {"POST": Deed(right="write", perform=fire)}),
    }


async def _shown(desk: TriggerDesk, name: str, settings: AnyTriggerSettings) -> dict[str, Any]:
    """Give what there is to see of a trigger: no secret is among it."""
    figures = await desk.means.store.figures(name)
    return {
        "object": "trigger",
        "id": name,
        "kind": settings.kind,
        "agent": settings.agent,
        "tenant": settings.run_as.tenant,
        "user": settings.run_as.user or f"trigger:{name}",
        "state": "storm" if figures.storm else "flapping" if figures.flapping else "ready",
        "last_delivery": None if figures.last_at is None else {"at": figures.last_at, "outcome": figures.last_outcome},
        "incidents": {
            "open": figures.open,
            "running": figures.running,
            "waiting": figures.waiting,
            "flapping": figures.flapping,
            "left_over": figures.left_over,
        },
        "storm": figures.storm or None,
        "bounds": {"per_minute": settings.storm.per_minute, "at_once": settings.storm.at_once},
        **await _own(desk, name, settings),
    }


async def _own(desk: TriggerDesk, name: str, settings: TriggerSettings) -> dict[str, Any]:
    if isinstance(settings, ScheduleTriggerSettings):
        schedule = await desk.means.store.schedule(name)
        due = desk.next_time(name)
        seen = None if schedule is None else schedule.last
        return {"cron": settings.cron, "time_zone": settings.time_zone, "next_at": due, "looked_at": seen}
    if isinstance(settings, AlertmanagerTriggerSettings):
        signed = settings.signing_secret is not None
        return {"bearer": settings.token is not None, "signed": signed, "on_resolved": settings.on_resolved}
    return {"signed": isinstance(settings, WebhookTriggerSettings)}
