"""/admin/budgets: limits that are made while the server runs. What a limit means is the limiter's business."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_figures import dollars, read_dollars
from gateway.api.admin_records import amended, listed, worth_noting
from gateway.api.admin_rights import is_platform_owner
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import END, Body, Cursor, Id, Limit, Name, OptionalId, Pattern
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.config.limit_settings import WINDOW, LimitRuleSettings, rule_problems
from gateway.core.errors import Conflict, InvalidRequest
from gateway.stores.budgets import Budget

LIST_PATH = "/admin/budgets"
ONE_PATH = "/admin/budgets/{budget}"

EVERYBODY = ""
"""The tenant of a budget that counts the calls of all tenants."""

_WHOLE: Final = re.compile(r"[0-9]{1,18}")

Count = Literal["requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost"]
Dimension = Annotated[str, Meta(pattern=rf"^(tenant|team|user|key|model|tag:[A-Za-z0-9._-]{{1,64}}){END}")]
Amount = Annotated[
    float | Annotated[str, Meta(max_length=40)],
    Meta(description="How much, in the unit of `count`; dollars for cost, as a number or a decimal text."),
]
Per = Annotated[list[Dimension], Meta(max_length=8, description="A counter for each distinct combination of these.")]
Match = Annotated[
    dict[Dimension, Annotated[list[Pattern], Meta(min_length=1, max_length=200)]],
    Meta(max_length=8, description="Which calls it holds for; a * at the end of a value stands for any rest."),
]
Window = Annotated[str, Meta(pattern=WINDOW.removesuffix("$") + END, description="minute, hour, day, month, 15m, 7d.")]
Zone = Annotated[str, Meta(max_length=64, pattern=rf"^[A-Za-z0-9_+/-]+{END}", description="Such as Europe/Berlin.")]
Soft = Annotated[
    list[Annotated[float, Meta(gt=0, le=1)]], Meta(max_length=10, description="Shares at which an alert goes out.")
]
WholeTenant = Annotated[
    OptionalId, Meta(description="Whose calls count; an empty text is everybody's, which a platform owner may set.")
]


class BudgetQuery(Body, frozen=True, kw_only=True):
    """Which budgets to list, by name."""

    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""


class NewBudget(Body, frozen=True, kw_only=True):
    """A budget to make; without `tenant` for the caller's own."""

    name: Name
    limit: Amount
    count: Count = "cost"
    tenant: WholeTenant | None = None
    per: Per = msgspec.field(default_factory=list)
    match: Match = msgspec.field(default_factory=dict)
    window: Window = "month"
    window_kind: Literal["rolling", "calendar"] = "calendar"
    time_zone: Zone = "UTC"
    soft: Soft = msgspec.field(default_factory=list)
    hard: bool = True


class BudgetChange(Body, frozen=True, kw_only=True):
    """What to change of a budget. What it counts, and how, stays: what was counted would mean something else."""

    name: Name | UnsetType = UNSET
    limit: Amount | UnsetType = UNSET
    soft: Soft | UnsetType = UNSET
    hard: bool | UnsetType = UNSET


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""
    budgets = _Budgets(services)
    return {
        LIST_PATH: admin_endpoint(
            edge,
            "budget",
            {"GET": Deed(right="read", perform=budgets.list), "POST": Deed(right="write", perform=budgets.create)},
        ),
        ONE_PATH: admin_endpoint(
            edge,
            "budget",
            {
                "GET": Deed(right="read", perform=budgets.show),
                "PATCH": Deed(right="write", perform=budgets.change),
                "DELETE": Deed(right="write", perform=budgets.delete),
            },
        ),
    }


class _Budgets:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, asked: Asked) -> Document:
        body = asked.body(NewBudget)
        now = self._services.clock.wall()
        budget = Budget(
            id=self._services.new_id("budget_"),
            tenant=await self._tenant(asked, body.tenant),
            name=body.name,
            count=body.count,
            limit=_whole(body.count, body.limit),
            per=tuple(body.per),
            match={name: tuple(values) for name, values in body.match.items()},
            window=body.window,
            window_kind=body.window_kind,
            time_zone=body.time_zone,
            soft=tuple(sorted(body.soft)),
            hard=body.hard,
            created_at=now,
            updated_at=now,
        )
        _check(budget)
        async with self._services.audited(asked, "budget.created", _about(budget), worth_noting(shown(budget))):
            await self._services.the_budgets.add(budget)
        return json_document(shown(budget))

    async def list(self, asked: Asked) -> Document:
        query = asked.query(BudgetQuery)
        found = await self._services.the_budgets.list(asked.tenants(query.tenant))
        ordered = sorted(found, key=lambda budget: budget.id)
        page = [budget for budget in ordered if budget.id > query.after][: query.limit + 1]
        more = len(page) > query.limit
        return listed([shown(budget) for budget in page[: query.limit]], page[query.limit - 1].id if more else "")

    async def show(self, asked: Asked) -> Document:
        return json_document(shown(await self._found(asked)))

    async def change(self, asked: Asked) -> Document:
        budget = await self._found(asked)
        named = amended(asked.body(BudgetChange))
        if not named:
            msg = "There is nothing to change in this body."
            raise InvalidRequest(msg)
        changes = {name: _KEPT.get(name, _as_it_is)(value) for name, value in named.items()}
        if "limit" in named:
            changes["limit"] = _whole(budget.count, named["limit"])
        changed = msgspec.structs.replace(
            budget, **changes, updated_at=self._services.clock.wall(), version=budget.version + 1
        )
        _check(changed)
        details = {name: field for name, field in shown(changed).items() if name in named}
        async with self._services.audited(asked, "budget.updated", _about(budget), details):
            if not await self._services.the_budgets.replace(changed):
                msg = "Somebody else changed this budget meanwhile: look at it, and try again."
                raise Conflict(msg)
        return json_document(shown(changed))

    async def delete(self, asked: Asked) -> Document:
        budget = await self._found(asked)
        async with self._services.audited(asked, "budget.deleted", _about(budget)):
            if not await self._services.the_budgets.remove(asked.tenants(None), budget.id):
                raise absent("budget")
        return json_document({"object": "budget", "id": budget.id, "deleted": True})

    async def _found(self, asked: Asked) -> Budget:
        budget = await self._services.the_budgets.find(asked.tenants(None), asked.id)
        if budget is None:
            raise absent("budget")
        return budget

    async def _tenant(self, asked: Asked, wanted: str | None) -> str:
        """Give whose calls are to count. Raises NotFound for a tenant that is not there, or not for this caller."""
        if wanted == EVERYBODY and is_platform_owner(asked.caller):
            return EVERYBODY
        tenant = asked.tenant(wanted)
        if await self._services.the_directory.tenants.find(tenant, tenant=None) is None:
            raise absent("tenant")
        return tenant


def shown(budget: Budget) -> dict[str, Any]:
    """Give what may be shown; the limit of a cost is a decimal text of dollars."""
    fields = msgspec.to_builtins(budget)
    return {"object": "budget", **fields, "limit": dollars(budget.limit) if budget.count == "cost" else budget.limit}


def _whole(count: str, limit: float | str) -> int:
    """Give a limit as it is kept. Raises InvalidRequest."""
    if count == "cost":
        return read_dollars(limit, "limit")
    if isinstance(limit, str):
        if _WHOLE.fullmatch(limit):
            return int(limit)
    elif limit >= 0 and float(limit).is_integer():
        return int(limit)
    msg = f"`limit` is a whole number of {count}, 0 or more."
    raise InvalidRequest(msg, param="limit")


def _check(budget: Budget) -> None:
    """Raise InvalidRequest for what a limit of the configuration could not be either."""
    rule = LimitRuleSettings(
        count=budget.count,
        limit=budget.limit / 1e9 if budget.count == "cost" else budget.limit,
        window=budget.window,
        window_kind=budget.window_kind,
        time_zone=budget.time_zone,
    )
    for field, sentence in rule_problems(rule):
        raise InvalidRequest(f"`{field}`: {sentence}.", param=field)


def _about(budget: Budget) -> tuple[str, str, str]:
    return "budget", budget.id, budget.tenant


def _as_it_is(value: Any) -> Any:
    return value


_KEPT: dict[str, Callable[[Any], Any]] = {"soft": lambda shares: tuple(sorted(shares))}
