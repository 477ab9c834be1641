"""A semantic cache over real parts: the memory of answers, the index in process, the guards; the models are scripted here."""

import contextlib
import math
import struct
from collections.abc import AsyncIterator

import anyio

from gateway.cache.encoding import encode
from gateway.cache.opening import SemanticCache
from gateway.cache.recent_hits import RecentHits
from gateway.cache.scored import ScoredAnswers
from gateway.cache.semantic import Found, Question
from gateway.config.cache_settings import SemanticSettings
from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import UpstreamTimeout
from gateway.core.events import Embeddings, Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from gateway.stores.answers import Entry
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.vectors import VectorIndex
from gateway.stores.vectors_embedded import EmbeddedVectors

NANO = 1_000_000_000


def angled(cosine: float) -> tuple[float, ...]:
    """A vector at this cosine to the first one."""
    return (cosine, math.sqrt(1 - cosine * cosine), 0.0, 0.0)


def message(text: str) -> Message:
    return Message(id="msg_1", role="assistant", parts=(Text(text=text),))


class World:
    """`near` says at which cosine a text lies to all that are not named. `words` is what models say, by name, in turn; the last stays."""

    def __init__(
        self, settings: SemanticSettings | None = None, *, index: VectorIndex | None = None, chance: float = 0.0
    ) -> None:
        self.now = 1000.0
        self.near: dict[str, float] = {}
        self.words: dict[str, list[str]] = {}
        self.asked: list[Call] = []
        self.wait: dict[str, float] = {}
        self.broken: set[str] = set()
        self.ids = 0
        clock = Clock(wall=lambda: self.now, monotonic=lambda: self.now)
        self.answers = MemoryAnswers(most_bytes=2**24, entry_bytes=2**20, clock=clock, chance=lambda: 0.5)
        self.index = index or EmbeddedVectors(10_000)
        self.hits = RecentHits()
        self.cache = SemanticCache(
            "embedder", self.answers, self.index, self.hits, clock=clock, chance=lambda: chance, ids=self.new_id
        )
        self.scores = ScoredAnswers(self.answers, self.hits, self.cache)
        self.settings = settings or SemanticSettings()
        self.layer = self.cache.layer("chat", self.settings, self.ask, lambda target, usage: NANO)

    def new_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}{self.ids}"

    async def ask(self, model: str, call: Call, send) -> None:
        """What answers in the operator's name."""
        self.asked.append(call)
        if model in self.wait:
            await anyio.sleep(self.wait[model])
        if model in self.broken:
            raise UpstreamTimeout("too late")
        await send(Started(id="1", model=model, created=0, target=f"test/{model}"))
        if call.operation == "embed":
            vectors = tuple(angled(self.near.get(text, 1.0)) for text in call.content.inputs)
            await send(Embeddings(vectors=vectors))
        else:
            said = self.words.get(model, ["the answer"])
            text = said.pop(0) if len(said) > 1 else said[0]
            await send(ItemStarted(index=0, item=Message(id="msg_1", role="assistant", parts=())))
            await send(TextDelta(index=0, text=text))
            await send(ItemFinished(index=0, item=message(text)))
        await send(Finished(usage=Usage(input=1, output=1)))

    def figures(self) -> dict:
        return next(each for each in self.cache.figures() if each["model"] == "chat")

    def asked_of(self, model: str) -> list[Call]:
        return [call for call in self.asked if call.model == model]

    def call(self, text: str = "", *, tenant: str = "acme", number: int = 0) -> Call:
        fields = {"model": "chat", "messages": [{"role": "user", "content": text}]}
        return Call(
            id=f"call_{number}", operation="generate", dialect="openai_chat", model="chat", stream=False,
            caller=Caller(id="key_1", tenant=tenant), received=self.now, body=b"{}", fields=fields,
        )  # fmt: skip

    def question(self, text: str, *, tenant: str = "acme", partition: str = "p", threshold=None, said=()) -> Question:
        return Question(partition=partition, text=text, tenant=tenant, model="chat", threshold=threshold, said=said)

    async def keep(
        self, text: str, *, answer: str = "the answer", entry: str = "", ttl: float = 3600.0, **where
    ) -> Entry:
        """Ask, miss, and keep the answer."""
        question = self.question(text, **where)
        await self.layer.find(question, self.call(text, tenant=question.tenant))
        return self.put(question, answer=answer, entry=entry, ttl=ttl)

    def put(self, question: Question, *, answer: str = "the answer", entry: str = "", ttl: float = 3600.0) -> Entry:
        """Keep an answer to a question that was asked."""
        text = question.text
        started = Started(id="1", model="m", created=0, target="test/m")
        kept = Entry(
            id=entry or self.new_id("entry_"), key=f"{question.tenant} {question.partition} {text}",
            partition=question.partition, question=text, tenant=question.tenant, model="chat", dialect="openai_chat",
            operation="generate", target="test/m", made=self.now, fresh_until=self.now + ttl, kept_until=self.now + 2 * ttl,
            answer=encode(Answer(started=started, items=(message(answer),), finished=Finished())),
        )  # fmt: skip
        self.answers.keep(kept)
        self.layer.keep(question, kept)
        return kept

    async def find(self, text: str, *, number: int = 0, **where) -> Found:
        question = self.question(text, **where)
        return await self.layer.find(question, self.call(text, tenant=question.tenant, number=number))

    async def serve(self, text: str, *, number: int = 0, **where) -> Found:
        """Find, and serve what is found."""
        question = self.question(text, **where)
        call = self.call(text, tenant=question.tenant, number=number)
        found = await self.layer.find(question, call)
        if found.entry is not None:
            self.layer.served(question, found.entry, found.similarity or 0.0, call)
        return found

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.cache.run)
            yield
            tasks.cancel_scope.cancel()


def unpacked(vector: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))
