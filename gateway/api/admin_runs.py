"""/admin/runs: the runs of all callers, for who operates the server: what each did, what it does now, and an end to it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta

from gateway.agents.desk import RunDesk
from gateway.agents.travelling import Travelling
from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint, read_asked
from gateway.api.admin_records import listed
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit
from gateway.api.asgi import AsgiApp, AsgiSend, Receive, Scope
from gateway.api.attending import attend
from gateway.api.edge import Edge, refuse_while_draining
from gateway.api.errors import dialect_of, reply_error
from gateway.api.plain import Document, json_document
from gateway.api.run_relay import RunStream
from gateway.core.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, SwitchgearError
from gateway.notices.approval_view import approval_view
from gateway.stores.approvals import ApprovalStore
from gateway.stores.runs import Lineage, Run, RunItem, RunStatus, RunStore
from gateway.stores.tool_calls import ToolCall, ToolJournal
from gateway.triggers.desk import TriggerDesk

log = structlog.get_logger()

LIST_PATH = "/admin/runs"
ONE_PATH = "/admin/runs/{run}"
EVENTS_PATH = "/admin/runs/{run}/events"
CANCEL_PATH = "/admin/runs/{run}/cancel"

_MOST_EVENTS = 2**53


class RunQuery(Body, frozen=True, kw_only=True):
    """Which runs."""

    status: Annotated[RunStatus, Meta(description="In this state alone; waiting is for people.")] | None = None
    agent: Annotated[str, Meta(max_length=200, description="Of this agent alone.")] = ""
    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""


class EventsQuery(Body, frozen=True, kw_only=True):
    """From where on. The header `Last-Event-ID` says the same, and counts where both are given."""

    starting_after: Annotated[
        int, Meta(ge=-1, le=_MOST_EVENTS, description="Only events after the one with this number.")
    ] = -1


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to see of runs, who ends them, who makes others from them, and what begins them without being asked."""

    desk: RunDesk
    runs: RunStore
    calls: ToolJournal
    approvals: ApprovalStore
    travel: Travelling | None = None
    triggers: TriggerDesk | None = None


def endpoints(edge: Edge, services: Services, watching: Watching | None) -> dict[str, AsgiApp]:
    """Give the endpoints; without `watching` they say that this server has no runs."""
    runs = _Runs(services, watching)
    return {
        LIST_PATH: admin_endpoint(edge, "run", {"GET": Deed(right="read", perform=runs.show_list)}),
        ONE_PATH: admin_endpoint(edge, "run", {"GET": Deed(right="read", perform=runs.show)}),
        EVENTS_PATH: _Events(edge, runs),
        CANCEL_PATH: admin_endpoint(edge, "run", {"POST": Deed(right="write", perform=runs.stop)}),
    }


class _Runs:
    def __init__(self, services: Services, watching: Watching | None) -> None:
        self._services = services
        self._there = watching

    @property
    def there(self) -> Watching:
        if self._there is None:
            msg = "This server has no runs: set `runs` and `database` in its configuration."
            raise NotFound(msg)
        return self._there

    async def found(self, asked: Asked) -> Run:
        run = await self.there.runs.find(asked.tenants(None), asked.id)
        if run is None:
            raise absent("run")
        return run

    async def show_list(self, asked: Asked) -> Document:
        query = asked.query(RunQuery)
        found = await self.there.runs.list(
            asked.tenants(query.tenant),
            after=query.after,
            limit=query.limit + 1,
            status=query.status,
            agent=query.agent,
        )
        page = found[: query.limit]
        return listed([run_view(run) for run in page], page[-1].id if len(found) > query.limit else "")

    async def show(self, asked: Asked) -> Document:
        run, there = await self.found(asked), self.there
        approvals = [
            approval_view(approval, await there.approvals.votes(approval.id))
            for approval in await there.approvals.of_run(run.id)
        ]
        return json_document(
            {
                **run_view(run),
                "items": [_item_view(item) for item in await there.runs.items(run.id)],
                "calls": [_call_view(call) for call in await there.calls.calls(run.id)],
                "approvals": approvals,
                "children": [run_view(child) for child in await there.runs.children(run.id)],
            }
        )

    async def stop(self, asked: Asked) -> Document:
        run = await self.found(asked)
        async with self._services.audited(asked, "run.cancelled", ("run", run.id, run.tenant)):
            ended = await self.there.desk.stop(run.tenant, run.id)
        return json_document(run_view(ended))


class _Events:
    """Gives the events of a run as they come, each with its number as the event's id."""

    methods = ("GET",)

    def __init__(self, edge: Edge, runs: _Runs) -> None:
        self._edge = edge
        self._runs = runs

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        edge = self._edge
        try:
            run, after = await self._begin(scope, receive)
        except SwitchgearError as error:
            await reply_error(send, dialect_of(scope), error, [])
            return
        except Exception:
            log.exception("endpoint.crashed", path=scope["path"])
            await reply_error(send, dialect_of(scope), InternalError(), [])
            return
        desk = self._runs.there.desk

        async def follow(call: None, relay: RunStream) -> None:
            del call
            await desk.follow(run.tenant, run.id, relay.take, after=after)
            await relay.end()

        await attend(edge, scope, None, follow, RunStream(None, send, edge.clock.monotonic, after, numbered=True))

    async def _begin(self, scope: Scope, receive: Receive) -> tuple[Run, int]:
        """Give the run, and the number of the event after which the client listens. Raises SwitchgearError."""
        if scope["method"] != "GET":
            msg = f"{scope['path']} takes GET, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)
        asked = await read_asked(self._edge, scope, receive, what="run", right="read")
        run, after = await self._runs.found(asked), _after(asked, scope)
        refuse_while_draining(scope)
        return run, after


def _after(asked: Asked, scope: Scope) -> int:
    """Give the number of the event after which the client listens. Raises InvalidRequest."""
    told = dict(scope["headers"]).get(b"last-event-id", b"").strip()
    if not told:
        return asked.query(EventsQuery).starting_after
    if not told.isdigit() or len(told) > 16:
        msg = "`Last-Event-ID` is the number of an event."
        raise InvalidRequest(msg, param="last-event-id")
    return int(told)


def run_view(run: Run) -> dict[str, Any]:
    """Give what there is to see of a run besides what was said in it."""
    caller = run.caller
    return {
        "object": "run",
        "id": run.id,
        "tenant": run.tenant,
        "key": caller.id,
        "user": caller.user or None,
        "agent": run.agent or None,
        "version": run.version or None,
        "model": run.model,
        "status": run.status,
        "background": run.background,
        "previous": run.previous or None,
        "continues": run.continues or None,
        "parent": run.parent or None,
        "parent_call": run.parent_call or None,
        "depth": run.depth,
        "conversation": run.conversation or None,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "cancel_requested_at": run.cancel_requested_at,
        "events": run.next_seq,
        "limits": msgspec.to_builtins(run.limits),
        "spent": msgspec.to_builtins(run.spent),
        "holder": run.lease_owner or None,
        "takeovers": max(0, run.epoch - 1),
        **_lineage_view(run.lineage),
    }


def _lineage_view(lineage: Lineage | None) -> dict[str, Any]:
    if lineage is None:
        return {"forked_from": None, "replay_of": None, "lineage": None}
    said = {"at": lineage.at, "after": lineage.after, "changed": lineage.changed, "loose": lineage.loose}
    of = {"forked_from": None, "replay_of": None}
    return {**of, "forked_from" if lineage.kind == "fork" else "replay_of": lineage.run, "lineage": said}


def _item_view(item: RunItem) -> dict[str, Any]:
    label = None if item.label is None else item.label.shown()
    return {"id": item.id, "place": item.place, "index": item.index, "label": label, "body": item.body}


def _call_view(call: ToolCall) -> dict[str, Any]:
    shown = msgspec.structs.asdict(call)
    del shown["marks"]  # the provider's own, and nobody else can read them
    return {**shown, "object": "tool_call", "approval": call.approval or None, "error": call.error or None}
