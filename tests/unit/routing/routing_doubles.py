"""What tests of routing share: a clock that sleeps move, targets that answer or fail as told, and what a caller heard."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.config.routing_settings import BreakerSettings, RetrySettings
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS, Caller
from gateway.core.errors import SwitchgearError
from gateway.core.events import Event, Finished, Started, TextDelta
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.routing.condition import Conditions
from gateway.routing.opening import open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import Pool
from gateway.routing.routed import Routed
from gateway.routing.timing import Timing

WORD = TextDelta(index=0, text="hi")
NO_BUDGET = RetrySettings(attempts=1)


def call_of(name: str = "call_1", *, caller: Caller = ANONYMOUS, session: str | None = None, **fields: Any) -> Call:
    """A call of a model m."""
    return Call(
        id=name, operation="generate", dialect="openai_chat", model="m", stream=True, caller=caller, received=0.0, body=b"{}",
        fields=fields, session=session,
    )  # fmt: skip


def started(target: str) -> Started:
    """The start of a target's answer."""
    return Started(id="call_1", model="m", created=0, target=target)


class World:
    """Time that passes when somebody sleeps, and the conditions of all targets. `chance` is what chance gives."""

    def __init__(self, chance: float = 1.0) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.chance = chance
        self.conditions = Conditions(lambda: self.chance)
        self.timing = Timing(now=lambda: self.now, sleep=self._sleep, chance=lambda: self.chance)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pool(self, *targets: "Upstream", model: str = "m", weights: Sequence[float] = (), **plan: Any) -> Pool:
        """A model's pool."""
        answering = [(target.target, target) for target in targets]
        return open_pool(model, answering, RoutingPlan(weights=tuple(weights), **plan), self.conditions)

    def routed(
        self, *targets: "Upstream", pools: Mapping[str, Pool] | None = None, weights: Sequence[float] = (), **plan: Any
    ) -> Routed:
        """What asks the pool of a model m."""
        pool = self.pool(*targets, weights=weights, **plan)
        return open_routed(pool, RoutingPlan(weights=tuple(weights), **plan), self.timing, pools or {})

    def condition(self, target: str) -> Any:
        """A target's condition."""
        return self.conditions.of(target, BreakerSettings())


Behaviour = SwitchgearError | Exception | Sequence[Event] | None


class Upstream:
    """A target that does, call by call, what it was told; at last always the same. `asked` are the calls that it saw."""

    def __init__(self, name: str, *behaviours: Behaviour, before: Callable[[], None] = lambda: None) -> None:
        provider, _, model = name.partition("/")
        self.target = Target(provider=provider, model=model or "m")
        self.asked: list[Call] = []
        self._behaviours = list(behaviours) or [None]
        self._before = before

    async def __call__(self, call: Call, send: Send) -> None:
        self.asked.append(call)
        self._before()
        behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
        await send(started(self.target.name))
        if isinstance(behaviour, Exception):
            raise behaviour
        for event in (WORD, Finished()) if behaviour is None else behaviour:
            if isinstance(event, Exception):
                raise event
            await send(event)


async def hear(responder: Responder, call: Call | None = None) -> list[Event]:
    """Give what a caller hears."""
    heard: list[Event] = []

    async def send(event: Event) -> None:
        heard.append(event)

    await responder(call or call_of(), send)
    return heard
