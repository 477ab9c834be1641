"""What tests of hedging share: targets that do what they are told and when, an alarm that rings when a test says, and one call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint

from gateway.config.hedge_settings import HedgeSettings
from gateway.config.routing_settings import RetrySettings
from gateway.core.errors import ClientLeft, SwitchgearError
from gateway.core.events import CutShort, Decided, Event, Finished, Spent, Started, TextDelta, Tried
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.routing.timing import Timing
from tests.unit.routing.routing_doubles import World, call_of, started

ONCE = RetrySettings(attempts=1)
PROMPT = {"messages": [{"role": "user", "content": "hi"}]}


class Actor:
    """A target that waits for what a test tells it. `asked` and `cancelled` say how often; it tells `used` when it is cut short."""

    def __init__(self, name: str, used: Usage | None = None) -> None:
        self.target = Target(provider=name, model="m")
        self.asked = 0
        self.cancelled = 0
        self.used = used
        self._to_do: list[list[Event] | Exception] = []
        self._woken = anyio.Event()

    async def __call__(self, call, send):
        self.asked += 1
        try:
            await send(started(self.target.name))
            while True:
                while not self._to_do:
                    await self._woken.wait()
                    self._woken = anyio.Event()
                doing = self._to_do.pop(0)
                if isinstance(doing, Exception):
                    raise doing
                for event in doing:
                    await send(event)
                    if isinstance(event, Finished):
                        return
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            if self.used is not None:
                await send(CutShort(usage=self.used))
            raise

    def _do(self, doing: list[Event] | Exception) -> None:
        self._to_do.append(doing)
        self._woken.set()

    def begin(self) -> None:
        """Say something."""
        self._do([TextDelta(index=0, text=self.target.provider)])

    def end(self) -> None:
        """Say something, and be done."""
        self._do([TextDelta(index=0, text=self.target.provider), Finished(usage=Usage(input=3, output=2))])

    def fail(self, error: Exception) -> None:
        """Raise this."""
        self._do(error)


class HedgedCall:
    """One call under way. `heard` is what the caller heard, `error` how it ended if not well; `refuses` is raised for text, and
    `cancellations` are those of its task that nobody has taken back."""

    def __init__(self, world: World, call, task_group) -> None:
        self.world = world
        self.call = call
        self.heard: list[Event] = []
        self.error: BaseException | None = None
        self.refuses: BaseException | None = None
        self.over = False
        self.left = False
        self.cancellations = 0
        self.alarms: list[tuple[float, object]] = []
        self.beside: list[object] = []
        self._tasks = task_group
        self._task = None

    def later(self, seconds, ring):
        """Note an alarm."""
        entry = (seconds, ring)
        self.alarms.append(entry)
        call = self

        class Handle:
            def cancel(self):
                if entry in call.alarms:
                    call.alarms.remove(entry)

        return Handle()

    def spawn(self, run):
        """Start what is done beside the call."""

        async def noted():
            self.beside.append(run)
            try:
                await run()
            finally:
                self.beside.remove(run)

        self._tasks.start_soon(noted)

    async def run(self, routed):
        """Answer, in a task of its own as the door's."""
        import asyncio  # noqa: PLC0415 - it ends the task as the door's interruption does

        self._task = asyncio.current_task()

        async def send(event):
            if self.refuses is not None and isinstance(event, TextDelta):
                raise self.refuses
            self.heard.append(event)

        try:
            await routed(self.call, send)
        except BaseException as error:
            self.error = error
            if isinstance(error, Exception) or self._task.uncancel() == 0:
                return
            raise
        finally:
            self.over = True
            self.cancellations = self._task.cancelling()

    def ring(self) -> None:
        """The time of the first is over."""
        alarms, self.alarms = self.alarms, []
        for seconds, ring in alarms:
            self.world.now += seconds
            ring()

    def leave(self) -> None:
        """The client leaves; once is enough, as for the door's interruption."""
        if not self.over and not self.left:
            self.left = True
            self._task.cancel(ClientLeft("The client closed its connection."))

    def of(self, kind):
        """Give the events of a kind."""
        return [event for event in self.heard if isinstance(event, kind)]

    @property
    def answered_by(self) -> str | None:
        """The target whose answer began."""
        found = self.of(Started)
        return found[0].target if found else None

    @property
    def tried(self):
        """The targets that failed, and what followed."""
        return [(event.target, event.following) for event in self.of(Tried)]

    @property
    def spent(self):
        """What was used beside the answer."""
        return [(event.target, event.usage, event.why) for event in self.of(Spent)]

    @property
    def why(self):
        """What the last decision says of each target."""
        return {one.target: one.why for one in self.of(Decided)[-1].decision.considered}


async def turns(number: int = 12) -> None:
    """Let the others have their turns."""
    for _ in range(number):
        await checkpoint()


@asynccontextmanager
async def hedged_call(
    *actors, call=None, world: World | None = None, hedge: HedgeSettings | None = None, **plan
) -> AsyncIterator[HedgedCall]:
    """One call of a hedged model with these targets, begun."""
    world = world or World()
    async with anyio.create_task_group() as tasks:
        made = HedgedCall(world, call or call_of(**PROMPT), tasks)
        old = world.timing
        world.timing = Timing(now=old.now, sleep=old.sleep, chance=old.chance, later=made.later, spawn=made.spawn)
        plan.setdefault("retry", ONCE)
        routed = world.routed(*actors, hedge=hedge or HedgeSettings(), **plan)
        tasks.start_soon(made.run, routed)
        await turns(3)
        try:
            yield made
            await turns()
        finally:
            if not made.over:
                made.leave()
            with anyio.move_on_after(5):
                while not made.over or made.beside:
                    await checkpoint()
            tasks.cancel_scope.cancel()


def is_ours(error: BaseException | None) -> bool:
    """Whether callers may see such an error: one of ours, or the cancellation itself; never a group."""
    return error is None or isinstance(error, (SwitchgearError, anyio.get_cancelled_exc_class()))
