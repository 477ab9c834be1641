"""What tests of limits share: a clock that is moved by hand, calls and their records."""

from collections.abc import Callable
from typing import Any

from gateway.accounting.limits.limiter import Limiter
from gateway.accounting.limits.soft import Notice, SoftLimits
from gateway.config.limit_settings import LimitRuleSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.stores.counters_memory import MemoryCounters

NOON = 1_767_960_000.0  # 2026-01-09, 12:00 UTC
KEY = Caller(id="key_1", kind="key", tenant="acme", team="red", user="ann", tags=(("project", "apollo"),))


class Time:
    """A clock that is moved by hand. The wall clock can be made to jump; the other never does."""

    def __init__(self, wall: float = NOON) -> None:
        self._steady = 1000.0
        self._ahead = wall - 1000.0
        self.clock = Clock(monotonic=lambda: self._steady, wall=lambda: self._steady + self._ahead)

    def pass_by(self, seconds: float) -> None:
        self._steady += seconds

    def jump(self, seconds: float) -> None:
        self._ahead += seconds


class Bench:
    """A limiter on a clock of its own, that prices a token at a dollar."""

    def __init__(self, *, price: float | None = 1.0, wall: float = NOON, **rules: LimitRuleSettings) -> None:
        self.time = Time(wall)
        self.notices: list[Notice] = []
        soft = SoftLimits(self.time.clock, self.notices.append)
        self.store = MemoryCounters(self.time.clock, observe=soft.observe)

        def cost(model: str) -> Callable[[int, int], int | None]:
            del model
            return lambda put_in, came_out: None if price is None else round((put_in + came_out) * price * 10**9)

        self.limiter = Limiter(self.store, soft, clock=self.time.clock, price=cost)
        self.limiter.configure(rules)
        self._calls = 0

    async def reserve(self, caller: Caller = KEY, model: str = "gpt", **fields: Any) -> Call:
        self._calls += 1
        call = call_of(f"call_{self._calls}", caller, model, **fields)
        await self.limiter.reserve(call)
        return call

    def settle(self, call: Call, **fields: Any) -> None:
        self.limiter.settle(record_of(call, **fields))

    def settle_soon(self, call: Call, **fields: Any) -> None:
        self.limiter.settle_soon(record_of(call, **fields))

    async def used(self) -> list[int]:
        """What each counter holds, for the caller KEY at the model gpt."""
        way = self.limiter._find_way(call_of("", KEY, "gpt"))
        return [] if way is None else list(await self.store.used(way.plan.buckets))


def call_of(
    name: str,
    caller: Caller = KEY,
    model: str = "gpt",
    *,
    body: bytes = b"",
    operation: Any = "generate",
    **fields: Any,
) -> Call:
    """A call; `body` of four bytes a token."""
    return Call(
        id=name,
        operation=operation,
        dialect="openai_chat",
        model=model,
        stream=False,
        caller=caller,
        received=0.0,
        body=body,
        fields=fields,
    )


def record_of(
    call: Call, *, usage: Usage | None = None, cost: float | None = None, error: str | None = None, **rest: Any
) -> Record:
    """The record of a call."""
    caller = call.caller
    return Record(
        id=call.id,
        started_at=0.0,
        operation=call.operation,
        dialect=call.dialect,
        stream=call.stream,
        caller=caller.id,
        model=call.model,
        provider="p",
        served="m",
        route=("p/m",),
        status=200 if error is None else 502,
        duration=1.0,
        first_token=rest.get("first_token"),
        upstream=None,
        usage=usage,
        cost=cost,
        finish_reason=None,
        error=error,
        parameters={},
        tenant=caller.tenant,
        team=caller.team,
        user=caller.user,
        tags=caller.tags,
        beside=rest.get("beside", ()),
    )
