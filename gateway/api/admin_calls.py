"""GET /admin/calls/{call}: one call by its id, with where it went and why, and what it used beside its answer.

Who may see it is as for the list of calls; for everybody else it does not exist.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from anyio import sleep

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_figures import dollars
from gateway.api.admin_services import Services
from gateway.api.admin_usage import CALLS_PATH, shown, visible
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.call import Call
from gateway.core.decision import Decision
from gateway.stores.ledger import LedgerRow, RowQuery

PATH = f"{CALLS_PATH}/{{call}}"
MOST_BESIDE: Final = 32
"""Rows beside a call that are shown: those numbered up to this."""
WRITING_SECONDS: Final = 0.1
"""Within which the record of a call that has just ended reaches the ledger's writer."""

_BESIDE = (
    "started_at",
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "estimated",
    "cost",
)


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoint."""

    async def show(asked: Asked) -> Document:
        where = visible(asked, None)
        ledger = services.the_ledger
        for relay in edge.in_progress.values():
            call = relay.call
            if call is not None and call.id == asked.id and _is_seen(call, where):
                return json_document(_in_progress(call, edge))
        ids = (asked.id, *(f"{asked.id}.{number}" for number in range(1, MOST_BESIDE + 1)))
        query = RowQuery(where=where, ids=ids, limit=len(ids))
        found = await ledger.find_rows(query)
        if asked.id not in {row.id for row in found.rows} and services.write_ledger is not None:
            # It may have ended just now, and be on its way.
            await sleep(WRITING_SECONDS)
            await services.write_ledger()
            found = await ledger.find_rows(query)
        rows = {row.id: row for row in found.rows}
        if asked.id not in rows:
            raise absent("call")
        return json_document(_told(rows.pop(asked.id), [rows[one] for one in ids if one in rows]))

    return {PATH: admin_endpoint(edge, "call", {"GET": Deed(right="self", perform=show)})}


def _is_seen(call: Call, where: dict[str, tuple[str, ...]]) -> bool:
    caller = call.caller
    mine = {"tenant": caller.tenant, "user": caller.user, "key": caller.id}
    return all(mine[name] in values for name, values in where.items())


def _in_progress(call: Call, edge: Edge) -> dict[str, Any]:
    caller = call.caller
    return {
        "object": "call",
        "id": call.id,
        "state": "in_progress",
        "started_at": edge.clock.wall() - (edge.clock.monotonic() - call.received),
        "tenant": caller.tenant,
        "team": caller.team,
        "user": caller.user,
        "key": caller.id,
        "tags": dict(caller.tags),
        "model": call.model,
        "dialect": call.dialect,
        "operation": call.operation,
        "stream": call.stream,
    }


def _told(row: LedgerRow, beside: list[LedgerRow]) -> dict[str, Any]:
    costs = [one.cost_nano for one in (row, *beside)]
    known = [cost for cost in costs if cost is not None]
    return {
        **shown(row),
        "state": "finished",
        "decision": None if row.decision is None else _decision(row.decision),
        "beside": [_beside(one) for one in beside],
        "total_cost": dollars(sum(known)) if len(known) == len(costs) else None,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(decision)
    return {"strategy": decision.strategy, "chosen": decision.chosen, **fields}


def _beside(row: LedgerRow) -> dict[str, Any]:
    fields = shown(row)
    target = f"{row.provider}/{row.served}"
    return {"id": row.id, "target": target, "why": row.kind, **{name: fields[name] for name in _BESIDE}}
