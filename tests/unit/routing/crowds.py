"""Calls of one model, made in the background, and what becomes of each."""

import anyio

from gateway.config.routing_settings import RetrySettings
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError
from gateway.routing.opening import open_pool, open_routed
from gateway.routing.overload.line import Lines
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import call_of, hear
from tests.unit.routing.simulated_time import settled

ONCE = RetrySettings(attempts=1)


class Crowd:
    """Calls of a model, made in the background; what became of each is in `ended` ("ok", or the error), in order in `order`."""

    def __init__(self, world, *targets, limits=(2,), lines=None, pools=None, **plan):
        self.world = world
        self.lines = lines or Lines()
        self.plan = RoutingPlan(**{"retry": ONCE, "concurrency": tuple(limits)} | plan)
        self.pool = open_pool("m", [(one.target, one) for one in targets], self.plan, world.conditions)
        self.routed = open_routed(self.pool, self.plan, world.timing, pools or {}, self.lines)
        self.ended = {}
        self.heard = {}
        self.order = []
        self.scopes = {}

    @property
    def line(self):
        return self.lines.of("m")

    @property
    def places(self):
        return [seat.gate.taken for seat in self.pool.seats]

    async def call(self, name, caller="anonymous", background=False, tags=()):
        call = call_of(name, caller=Caller(id=caller, tags=tags))
        if background:
            call = type(call)(
                **{field: getattr(call, field) for field in call.__struct_fields__} | {"background": True}
            )
        with anyio.CancelScope() as scope:
            self.scopes[name] = scope
            try:
                self.heard[name] = await hear(self.routed, call)
            except SwitchgearError as error:
                self.ended[name] = error
            else:
                self.ended[name] = "ok"
            self.order.append(name)


async def come(tasks, crowd, *names, **call):
    """Let calls come, one after the other."""
    for name in names:
        tasks.start_soon(lambda name=name: crowd.call(name, **call))
        await settled()
