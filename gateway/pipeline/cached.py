"""A stage: answers from what was answered before, and keeps what may be given again. What may be cached, and by which key, others say.

An answer from the cache costs nothing and is judged by guardrails like any other. Of identical calls in flight one is asked, and the others
are given its answer. Where the model cannot answer, an old answer may do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from gateway.cache.eligibility import is_remembered, why_not
from gateway.cache.semantic import Question
from gateway.core.answer import Answer
from gateway.core.cached import CacheStatus, CacheWish
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import Cached as Told
from gateway.core.events import Degraded, Event
from gateway.core.responder import NOTHING, Responder, Send, give, whole_of
from gateway.core.usage import NO_USAGE, Usage
from gateway.pipeline import cached_texts
from gateway.pipeline.cached_flights import Flight, Flights
from gateway.pipeline.cached_recording import Recording
from gateway.pipeline.cached_replay import Document, Documents, Pacing, dated, form_of, stream, streams
from gateway.pipeline.cached_shelf import ENTRY_PREFIX, UNWISHED, Shelf, read
from gateway.routing.retry import cause_of
from gateway.stores.answers import Entry

log = structlog.get_logger()

_READS: Final = ("on", "read")
_WRITES: Final = ("on", "write")
_FAILING: Final = ("target", "busy", "credentials", "elsewhere")
"""Failures that are the model's, not the call's."""
_MOST_HEADERS: Final = 512
"""Bytes of a call's headers with which its key is remembered: whatever a client writes there would be kept with it."""

Renew = Callable[[Call], Coroutine[Any, Any, None]]
"""Answers a call for nobody but the cache, with a record of its own. Raises nothing."""
Beside = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
_Ask = Callable[[], Awaitable[Answer | None]]
"""Asks the model, answers the call, and gives the answer if it may be given again."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What all caches of a process share, whatever the configuration: who is being answered, what is written, what is being renewed."""

    flights: Flights
    documents: Documents
    renewing: set[str]


class _Asked(msgspec.Struct, kw_only=True):
    """A call that may be cached. `old` may be served where the model fails; `why` says why nothing was found, `entry` as what the answer is kept."""

    call: Call
    send: Send
    wish: CacheWish
    key: str
    question: Question | None = None
    old: Entry | None = None
    why: str = ""
    similarity: float | None = None
    entry: str = ""


class Cached:
    """A Responder around what asks a model. `beside` starts what is done beside a call; without it nothing is renewed."""

    def __init__(self, shelf: Shelf, means: Means, pacing: Pacing, beside: Beside | None = None) -> None:
        self._inner: Responder = _nobody
        self._shelf = shelf
        self._means = means
        self._pacing = pacing
        self._beside = beside
        self._waiting: dict[str, _Asked] = {}
        self._stamp = object()  # what is known of a body is known for these settings
        self._outside = shelf.keys.outside is not None
        self.renew: Renew | None = None

    def around(self, inner: Responder) -> Cached:
        """Put it around what asks the model, which may itself ask for old answers."""
        self._inner = inner
        return self

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer from the cache, or through the inner responder."""
        wish, known = call.cache, call.remembered
        if known is None or wish is not None or call.shadow_of or self._outside:
            why, key = self._judged(call, wish or UNWISHED)
        else:
            # The same body, byte for byte, has the same key: most hits are such.
            whose = (self._stamp, call.caller, call.headers)
            found = known.keys.get(whose)
            if found is None:
                found = self._judged(call, UNWISHED)
                if sum([len(value) for _, value in call.headers]) <= _MOST_HEADERS:
                    known.note_key(whose, found)
            why, key = found
        if why:
            return self._past(call, send, why)
        if call.operation == "embed":
            return self._embed(call, send, wish or UNWISHED)
        return self._at_once(call, send, wish or UNWISHED, key) or self._answer(call, send, wish or UNWISHED, key)

    def _at_once(self, call: Call, send: Send, wish: CacheWish, key: str) -> Awaitable[None] | None:
        """Serve the fresh answer to the same call, where it is at hand as it goes out; None where it is not. Most hits are such."""
        shelf = self._shelf
        form = form_of(call, self._pacing)
        if form is None or shelf.peek is None or wish.mode not in _READS:
            return None
        entry = shelf.own(shelf.peek(key), call)
        if entry is None or shelf.age(entry, wish) != "fresh":
            return None
        document = self._means.documents.find(entry.id, form, call, int(shelf.wall()))
        return None if document is None else _give(self._told(entry, "exact"), document, send)

    def _judged(self, call: Call, wish: CacheWish) -> tuple[str, str]:
        """Give why a call is not cached, and the key of one that is."""
        why = "off" if wish.mode == "off" else why_not(call, self._shelf.settings)
        if not why and self._shelf.remembers and is_remembered(call):
            why = "store"
        if why:
            return why, ""
        try:
            return "", self._shelf.key(call, call.fields, wish)
        except ValueError:
            return "fields", ""

    async def make(self, call: Call, send: Send) -> None:
        """Answer through the inner responder, and keep what comes."""
        wish = call.cache or UNWISHED
        asked = _Asked(call=call, send=send, wish=wish, key=self._shelf.key(call, call.fields, wish))
        asked.question = self._shelf.question(call, wish)
        await self._made(asked)

    async def give_old(self, call: Call, send: Send, error: str) -> bool:
        """Answer a call that is in flight with the old answer that it may have; whether there is one. `error` keeps the model from it."""
        asked = self._waiting.get(call.id)
        if asked is None or asked.old is None:
            return False
        return await self._stand_in(asked, send, error)

    async def _past(self, call: Call, send: Send, why: str) -> None:
        await send(Told(status="bypass", why=why))
        await self._inner(call, send)

    async def _answer(self, call: Call, send: Send, wish: CacheWish, key: str) -> None:
        asked = _Asked(call=call, send=send, wish=wish, key=key)
        if wish.mode not in _READS:
            asked.question = self._shelf.question(call, wish)
            asked.why = wish.mode
            await self._made(asked)
            return
        entry = await self._shelf.find(key, call)
        if entry is not None and await self._known(asked, entry):
            return
        asked.question = self._shelf.question(asked.call, asked.wish)
        if asked.question is None:
            asked.why = self._shelf.unasked(asked.call)
        elif await self._similar(asked, asked.question):
            return
        await self._together(asked, partial(self._made, asked))

    async def _embed(self, call: Call, send: Send, wish: CacheWish) -> None:
        """Answer text by text."""
        shelf = self._shelf
        try:
            texts = cached_texts.texts_of(call, shelf, wish)
            key = shelf.key(call, call.fields, wish)
        except ValueError:
            texts, key = None, ""
        if texts is None:
            await self._past(call, send, "fields")
            return
        if wish.mode in _READS:
            texts = await cached_texts.known(texts, call, shelf, wish)
        if not texts.missing:
            await cached_texts.give(texts, call, shelf, send)
            return
        keeps = cached_texts.keeper(call, shelf, wish) if wish.mode in _WRITES else None
        ask = partial(cached_texts.make, texts, call, shelf, send, self._inner, keeps=keeps)
        if wish.mode in _READS:
            await self._together(_Asked(call=call, send=send, wish=wish, key=key), ask)
        else:
            await ask()

    async def _known(self, asked: _Asked, entry: Entry) -> bool:
        """Serve what is kept under the call's key, if it may be."""
        age = self._shelf.age(entry, asked.wish)
        if age == "old":
            asked.old = entry
        if age == "fresh":
            return await self._serve(asked, entry, "exact")
        if age != "stale" or not await self._serve(asked, entry, "stale"):
            return False
        self._renew_soon(asked)
        return True

    async def _similar(self, asked: _Asked, question: Question) -> bool:
        """Serve the answer to a question that asks the same, if there is one."""
        layer, call = self._shelf.semantic, asked.call
        if layer is None:
            return False
        found = await layer.find(question, call)
        asked.why, asked.similarity = found.why, found.similarity
        entry = found.entry
        if entry is None:
            return False
        whose = (entry.tenant, entry.model, entry.partition)
        if whose != (call.caller.tenant, self._shelf.depends.model, question.partition):
            asked.why = "foreign"
            return False
        if self._shelf.age(entry, asked.wish) != "fresh":
            asked.why = "stale"
            return False
        if not await self._serve(asked, entry, "semantic"):
            return False
        layer.served(question, entry, found.similarity or 0.0, call)
        return True

    async def _together(self, asked: _Asked, ask: _Ask) -> None:
        """Ask the model, or wait for who is asking it the same."""
        flights, key, call = self._means.flights, asked.key, asked.call
        while (flight := flights.find(key)) is not None:
            # Who leaves while it waits has used nothing.
            await asked.send(Told(status="exact"))
            outcome = await flight.wait()
            if isinstance(outcome, Answer):
                await asked.send(Told(status="exact", entry=flight.entry, age=0.0, saved=_used(outcome)))
                await self._play(outcome, call, asked.send)
                return
            if outcome == "failed":
                await ask()
                return
        await self._leading(asked, flights.begin(key), ask)

    async def _leading(self, asked: _Asked, flight: Flight, ask: _Ask) -> None:
        answer: Answer | None = None
        left = False
        try:
            answer = await ask()
        except asyncio.CancelledError:
            left = True
            raise
        finally:
            flight.entry = asked.entry
            self._means.flights.end(asked.key, flight, "left" if left else answer or "failed")

    async def _made(self, asked: _Asked) -> Answer | None:
        """Ask the model, and give its answer if it may be given again. An old one stands in where the model fails."""
        call, keeps = asked.call, asked.wish.mode in _WRITES
        entry = self._shelf.new_id(ENTRY_PREFIX) if keeps else ""
        await asked.send(Told(status="miss", why=asked.why, entry=entry, similarity=asked.similarity))
        recording = Recording(asked.send, self._shelf.entry_bytes)
        if asked.old is not None:
            self._waiting[call.id] = asked
        try:
            await self._inner(call, recording)
        except SwitchgearError as error:
            begun = recording.started is not None or cause_of(error) not in _FAILING
            if asked.old is None or begun or not await self._stand_in(asked, asked.send, error.code):
                raise
            return None
        finally:
            if asked.old is not None:
                self._waiting.pop(call.id, None)
        answer = recording.answer(call, self._shelf.targets)
        if answer is not None and keeps and self._is_as_asked(asked):
            self._shelf.keep(call, asked.key, answer, entry=entry, wish=asked.wish, question=asked.question)
            asked.entry = entry
        return answer

    def _is_as_asked(self, asked: _Asked) -> bool:
        """Whether the call has the key that it had: the hour may have changed before a target was chosen."""
        shelf, call = self._shelf, asked.call
        return shelf.keys.outside is None or shelf.key(call, call.fields, asked.wish) == asked.key

    async def _stand_in(self, asked: _Asked, send: Send, error: str) -> bool:
        answer = None if asked.old is None else read(asked.old)
        if asked.old is None or answer is None:
            return False
        await send(Degraded("stale", error))
        await send(self._told(asked.old, "stale"))
        await self._play(answer, asked.call, send)
        return True

    async def _serve(self, asked: _Asked, entry: Entry, status: CacheStatus) -> bool:
        """Give an entry's answer; whether it could be read."""
        call, send = asked.call, asked.send
        form = form_of(call, self._pacing)
        if form is None:
            answer = read(entry)
            if answer is None:
                return False
            await send(self._told(entry, status, asked.similarity))
            await self._play(answer, call, send)
            return True
        created = int(self._shelf.wall())
        document = self._means.documents.find(entry.id, form, call, created)
        if document is None:
            answer = read(entry)
            if answer is None:
                return False
            document = self._means.documents.write(entry.id, form, self._of_version(answer), call, created)
        await _give(self._told(entry, status, asked.similarity), document, send)
        return True

    def _told(self, entry: Entry, status: CacheStatus, similarity: float | None = None) -> Told:
        age = max(self._shelf.wall() - entry.made, 0.0)
        return Told(status=status, entry=entry.id, age=age, similarity=similarity, saved=entry.usage or NO_USAGE)

    async def _play(self, answer: Answer, call: Call, send: Send) -> None:
        """Send an answer as events: in pieces to who takes a stream."""
        pacing = self._pacing if streams(call) else msgspec.structs.replace(self._pacing, pace=0.0)
        await stream(dated(self._of_version(answer), int(self._shelf.wall())), send, pacing)

    def _of_version(self, answer: Answer) -> Answer:
        version = self._shelf.depends.version
        if not version:
            return answer
        return msgspec.structs.replace(answer, started=msgspec.structs.replace(answer.started, version=version))

    def _renew_soon(self, asked: _Asked) -> None:
        """Have the answer made anew beside the call, once."""
        renew, key, renewing = self.renew, asked.key, self._means.renewing
        if renew is None or self._beside is None or key in renewing or asked.wish.mode not in _WRITES:
            return
        call = msgspec.structs.replace(asked.call, id=self._shelf.new_id("call_"), received=self._pacing.now())
        renewing.add(key)

        async def run() -> None:
            try:
                await renew(call)
            finally:
                renewing.discard(key)

        try:
            self._beside(run)
        except RuntimeError:  # the server is about to end
            renewing.discard(key)


def renewal(responder: Responder) -> Renew:
    """Give what answers for nobody but the cache."""

    async def renew(call: Call) -> None:
        try:
            await responder(call, _take_no_notice)
        except SwitchgearError as error:
            log.info("cache.renewal.failed", call=call.id, model=call.model, error=error.code)
        except Exception:
            log.exception("cache.renewal.crashed", call=call.id, model=call.model)

    return renew


async def _nobody(call: Call, send: Send) -> None:
    del call, send
    msg = "a cache that surrounds nothing was asked"
    raise RuntimeError(msg)


def _take_no_notice(event: Event) -> Awaitable[None]:
    del event
    return NOTHING


def _give(told: Told, document: Document, send: Send) -> Awaitable[None]:
    take = whole_of(send)
    return give(send, (told, *document)) if take is None else take(told, *document)


def _used(answer: Answer) -> Usage:
    return answer.finished.usage or answer.finished.estimate or NO_USAGE
