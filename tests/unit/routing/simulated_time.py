"""Time that passes only when a test says so, and targets that take some of it."""

import heapq
import itertools

import anyio
from anyio.lowlevel import checkpoint

from gateway.core.events import Finished
from gateway.core.target import Target
from tests.unit.routing.routing_doubles import WORD, World, started


async def settled():
    """Let everybody do what can be done without time."""
    for _ in range(25):
        await checkpoint()


class Simulated(World):
    """A world whose sleepers wake when `pass_time` comes to their moment."""

    def __init__(self):
        super().__init__()
        self._asleep = []
        self._order = itertools.count()

    async def _sleep(self, seconds):
        woken = anyio.Event()
        heapq.heappush(self._asleep, (self.now + seconds, next(self._order), woken))
        await woken.wait()

    async def pass_time(self, seconds):
        """Let so much time pass, moment by moment."""
        end = self.now + seconds
        await settled()
        while self._asleep and self._asleep[0][0] <= end:
            at, _, woken = heapq.heappop(self._asleep)
            self.now = max(self.now, at)
            woken.set()
            await settled()
        self.now = end


class Slow:
    """A target that takes `seconds` for each call. It notes who came, and how many were there at once."""

    def __init__(self, world, name, seconds=1.0, error=None):
        provider, _, model = name.partition("/")
        self.target = Target(provider=provider, model=model or "m")
        self.served = []
        self.there = self.most = 0
        self.seconds = seconds
        self.error = error
        self._world = world

    async def __call__(self, call, send):
        self.served.append(call.caller.id if call.caller.id != "anonymous" else call.id)
        self.there += 1
        self.most = max(self.most, self.there)
        try:
            await self._world.timing.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            await send(started(self.target.name))
            await send(WORD)
            await send(Finished())
        finally:
            self.there -= 1
