"""A cache around a model that says what it is told, with a clock that a test holds."""

import anyio
import msgspec

from gateway.cache.key import Depends, Keys
from gateway.config.cache_settings import ModelCacheSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.events import Cached as Told
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from gateway.pipeline.cached import Cached, Means
from gateway.pipeline.cached_flights import Flights
from gateway.pipeline.cached_replay import Documents, Pacing
from gateway.pipeline.cached_shelf import Shelf
from gateway.stores.answers_memory import MemoryAnswers

TARGET = "up/m"
USED = Usage(input=10, output=5)
ADA = Caller(id="key_ada", kind="key", tenant="acme")


class Clock:
    """Stands still until it is told."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def wall(self):
        return self.now

    monotonic = wall


class Model:
    """What is asked. It says `text` and what number of call it was; it raises `error`, if there is one, and waits for `gate`."""

    def __init__(self):
        self.asked = []
        self.text = "answer"
        self.error = None
        self.gate = None
        self.finished = Finished(usage=USED)
        self.target = TARGET
        self.parts = None
        self.extra = ()
        self.structured = ""

    async def __call__(self, call, send):
        self.asked.append(call)
        number = len(self.asked)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        message = Message(role="assistant", parts=self.parts or (Text(text=f"{self.text} {number}"),))
        began = Started(id=f"upstream-{number}", model="m-2026", created=1, target=self.target)
        await send(msgspec.structs.replace(began, structured=self.structured))
        await send(ItemStarted(index=0, item=msgspec.structs.replace(message, parts=())))
        for event in self.extra:
            await send(event)
        for number, part in enumerate(message.parts):
            if isinstance(part, Text):
                await send(TextDelta(index=0, part=number, text=part.text))
        await send(ItemFinished(index=0, item=message))
        await send(self.finished)


class Heard:
    """What a client got."""

    def __init__(self):
        self.events = []

    async def __call__(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self):
        return "".join(event.text for event in self.of(TextDelta))

    @property
    def told(self):
        """The last word about the cache, as its header has it."""
        last = self.of(Told)[-1]
        return f"{last.status}; {last.why}" if last.why else last.status


class World:
    """A model with a cache."""

    def __init__(
        self, *, tenant_model="m", store=None, touched=(), semantic=None, sleep=anyio.sleep, beside=None, **settings
    ):
        self.clock = Clock()
        self.model = Model()
        self.touched = set(touched)
        chance = settings.pop("chance", lambda: 0.0)
        if "semantic_settings" in settings:
            settings["semantic"] = settings.pop("semantic_settings")
        self.store = store or MemoryAnswers(most_bytes=10**7, entry_bytes=10**6, clock=self.clock, chance=lambda: 0.0)
        self.settings = ModelCacheSettings(**{"pace": 0.0, **settings})
        self._ids = 0
        depends = Depends(model=tenant_model, revision="r1")
        self.shelf = Shelf(
            store=self.store,
            depends=depends,
            settings=self.settings,
            keys=Keys(depends, self.settings.scope),
            targets=frozenset({TARGET}),
            entry_bytes=2000,
            wall=self.clock.wall,
            chance=chance,
            new_id=self.new_id,
            touched=lambda call: call in self.touched,
            semantic=semantic,
        )
        self.means = Means(flights=Flights(), documents=Documents(10**6), renewing=set())
        pacing = Pacing(pace=self.settings.pace, now=anyio.current_time, sleep=sleep)
        self.cached = Cached(self.shelf, self.means, pacing, beside).around(self.model)

    def new_id(self, prefix):
        self._ids += 1
        return f"{prefix}{self._ids:024x}"

    def call(self, text="hello", *, caller=ADA, stream=True, content=True, cache=None, **fields):
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
        return Call(
            id=self.new_id("call_"),
            operation="generate",
            dialect="openai_chat",
            model="m",
            stream=stream,
            caller=caller,
            received=0.0,
            body=msgspec.json.encode(body),
            fields=body,
            content=object() if content else None,
            cache=cache,
        )

    async def ask(self, *args, **more):
        heard = Heard()
        await self.cached(self.call(*args, **more), heard)
        return heard
