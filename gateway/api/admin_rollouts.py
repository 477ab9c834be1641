"""/admin/rollouts: how far rollouts are and what the evidence says, and what an operator does to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Text
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.config.settings import ModelSettings
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden
from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.course import steered, switched
from gateway.routing.rollouts.report import report, summary
from gateway.stores.rollouts import RolloutState

LIST_PATH = "/admin/rollouts"
ONE_PATH = "/admin/rollouts/{model:path}"
VERSION_PATH = "/admin/models/{model:path}/version"

Change = Callable[[RolloutState, ModelSettings, float], RolloutState]
Why = Annotated[Text, Meta(description="A sentence for the history.")]


class Steering(Body, frozen=True, kw_only=True):
    """What to do to a rollout. `share` is the challenger's in percent, for the action of that name."""

    action: Literal["pause", "resume", "promote", "rollback", "share", "restart"]
    share: Annotated[float, Meta(gt=0, lt=100, description="The challenger's share, in percent.")] | None = None
    why: Why = ""


class Switch(Body, frozen=True, kw_only=True):
    """The version that is to have all calls."""

    version: Annotated[str, Meta(min_length=1, max_length=64)]
    why: Why = ""


def endpoints(edge: Edge, services: Services, conductor: Conductor) -> dict[str, AsgiApp]:
    """Give the endpoints."""
    rollouts = _Rollouts(services, conductor)
    return {
        LIST_PATH: admin_endpoint(edge, "rollout", {"GET": Deed(right="read", perform=rollouts.list)}),
        ONE_PATH: admin_endpoint(
            edge,
            "rollout",
            {"GET": Deed(right="read", perform=rollouts.show), "POST": Deed(right="write", perform=rollouts.steer)},
        ),
        VERSION_PATH: admin_endpoint(edge, "rollout", {"POST": Deed(right="write", perform=rollouts.switch)}),
    }


class _Rollouts:
    def __init__(self, services: Services, conductor: Conductor) -> None:
        self._services = services
        self._conductor = conductor

    async def list(self, asked: Asked) -> Document:
        _check(asked)
        return json_document({"object": "list", "data": [summary(known) for known in self._conductor]})

    async def show(self, asked: Asked) -> Document:
        _check(asked)
        return json_document(report(self._conductor.find(asked.id)))

    async def steer(self, asked: Asked) -> Document:
        _check(asked)
        body, by = asked.body(Steering), asked.caller.id

        def change(state: RolloutState, model: ModelSettings, now: float) -> RolloutState:
            return steered(state, model, body.action, now, by=by, share=body.share, why=body.why)

        details = {"why": body.why} | ({"share": body.share} if body.action == "share" else {})
        return await self._act(asked, f"rollout.{body.action}", details, change)

    async def switch(self, asked: Asked) -> Document:
        _check(asked)
        body, by = asked.body(Switch), asked.caller.id

        def change(state: RolloutState, model: ModelSettings, now: float) -> RolloutState:
            return switched(state, model, body.version, now, by=by)

        return await self._act(asked, "rollout.switch", {"version": body.version, "why": body.why}, change)

    async def _act(self, asked: Asked, action: str, details: dict[str, Any], change: Change) -> Document:
        known = self._conductor.find(asked.id)
        if self._services.audit is None:
            await self._conductor.act(known.name, change)
        else:
            async with self._services.audited(asked, action, ("model", known.name, ""), details):
                await self._conductor.act(known.name, change)
        return json_document(report(self._conductor.find(asked.id)))


def _check(asked: Asked) -> None:
    """Models are of all tenants. Raises Forbidden."""
    if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
        msg = "Rollouts are of all tenants: those who administer the default one may see and steer them."
        raise Forbidden(msg)
