"""Embeddings from the cache, text by text: what is known is not asked again, the rest is asked in one call, and both go out as one answer.

Vectors of different targets are never mixed in one answer: they need not mean the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
from anyio import create_task_group

from gateway.core.answer import Answer
from gateway.core.cached import CacheWish
from gateway.core.call import Call
from gateway.core.content import EmbeddingInput
from gateway.core.events import ASIDE, Cached, Embeddings, Event, Finished, Spent, Started
from gateway.core.items import Json
from gateway.core.responder import NOTHING, Responder, Send
from gateway.core.usage import Usage
from gateway.dialects.splice import splice
from gateway.pipeline.cached_recording import Recording
from gateway.pipeline.cached_shelf import ENTRY_PREFIX, Shelf, read
from gateway.providers.exchange import MAX_ANSWER_BYTES
from gateway.stores.answers import Entry

MOST_TEXTS: Final = 2048
"""More in one call than the APIs take: such a call is not cached."""
AT_ONCE: Final = 64
"""Texts that are looked for at once, where that is not done in this process."""
MOST_BYTES: Final = 8 * 1024**2
"""Of an answer that is read after it went out: reading more would hold up other calls."""

Vector = tuple[float, ...]


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    entry: Entry
    vector: Vector


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one call, in order, the keys that their vectors have, and those that are known, all of one target."""

    inputs: tuple[Json, ...]
    keys: tuple[str, ...]
    known: Mapping[str, _Known] = {}

    @property
    def missing(self) -> dict[str, Json]:
        """What has to be asked, each once, by its key."""
        return {key: text for key, text in zip(self.keys, self.inputs, strict=True) if key not in self.known}


def texts_of(call: Call, shelf: Shelf, wish: CacheWish) -> Texts | None:
    """Give the texts of a call; None where they make no sense, or are too many. Raises ValueError for fields that have no key."""
    value = call.fields.get("input")
    inputs: tuple[Json, ...] = (value,)
    if isinstance(value, list) and not (value and all(isinstance(each, int) for each in value)):
        inputs = tuple(value)
    if not 0 < len(inputs) <= MOST_TEXTS or not all(isinstance(each, (str, list)) for each in inputs):
        return None
    rest = shelf.key(call, {name: each for name, each in call.fields.items() if name != "input"}, wish)
    return Texts(inputs=inputs, keys=tuple(shelf.keys.part(rest, _named(each)) for each in inputs))


async def known(texts: Texts, call: Call, shelf: Shelf, wish: CacheWish) -> Texts:
    """Look for the vectors of the texts."""
    found: dict[str, _Known] = {}
    target: str | None = None
    for key, entry in (await _entries(list(dict.fromkeys(texts.keys)), call, shelf)).items():
        if entry is None or shelf.age(entry, wish) != "fresh" or entry.target != (target or entry.target):
            continue
        answer = read(entry)
        if answer is not None and isinstance(answer.result, Embeddings) and len(answer.result.vectors) == 1:
            found[key] = _Known(entry=entry, vector=answer.result.vectors[0])
            target = entry.target
    return msgspec.structs.replace(texts, known=found)


async def _entries(keys: Sequence[str], call: Call, shelf: Shelf) -> dict[str, Entry | None]:
    if shelf.peek is not None:
        return {key: await shelf.find(key, call) for key in keys}
    # Elsewhere each takes a while, and many at a time not much more.
    found: dict[str, Entry | None] = dict.fromkeys(keys)

    async def find(key: str) -> None:
        found[key] = await shelf.find(key, call)

    for start in range(0, len(keys), AT_ONCE):
        async with create_task_group() as tasks:
            for key in keys[start : start + AT_ONCE]:
                tasks.start_soon(find, key)
    return found


async def give(texts: Texts, call: Call, shelf: Shelf, send: Send) -> None:
    """Answer a call whose texts are all known."""
    entries = [texts.known[key].entry for key in dict.fromkeys(texts.keys)]
    age = max(shelf.wall() - min(entry.made for entry in entries), 0.0)
    entry = entries[0].id if len(entries) == 1 else ""
    used = _sum(entries)
    await send(Cached(status="exact", entry=entry, age=age, saved=used))
    first = read(entries[0])
    model = "" if first is None else first.started.model
    await send(Started(id="", model=model, created=int(shelf.wall()), target=entries[0].target))
    await send(Embeddings(vectors=tuple(texts.known[key].vector for key in texts.keys)))
    await send(Finished(usage=used))


async def make(
    texts: Texts,
    call: Call,
    shelf: Shelf,
    send: Send,
    inner: Responder,
    *,
    keeps: Callable[[str, Answer, Usage], None] | None,
) -> Answer | None:
    """Ask for what is missing, and answer; give the answer if others may have it. `keeps` is told of each vector, by its key."""
    missing = texts.missing
    if not texts.known or len(missing) == len(texts.inputs):
        return await _whole(texts, call, shelf, send, inner, keeps=keeps)
    have = [one.entry for one in texts.known.values()]
    await send(Cached(status="miss", why=f"{len(have)} of {len(have) + len(missing)} known", saved=_sum(have)))
    recording = Recording(_aside(send), MAX_ANSWER_BYTES)
    fewer = _with_inputs(call, list(missing.values()))
    await inner(fewer, recording)
    fresh = recording.answer(fewer, shelf.targets)
    fits = fresh is not None and fresh.started.target == have[0].target
    if fresh is None or recording.started is None or not fits or len(_vectors(fresh)) != len(missing):
        # They would not fit together: all are asked, and what was asked was for nothing.
        if recording.started is not None:
            used = None if recording.finished is None else recording.finished.usage or recording.finished.estimate
            await send(Spent(target=recording.started.target, usage=used or Usage(), why="cache"))
        return await _whole(texts, call, shelf, send, inner, keeps=keeps)
    _kept(tuple(missing), fresh, tuple(missing.values()), keeps)
    vectors = {key: one.vector for key, one in texts.known.items()}
    vectors.update(zip(missing, _vectors(fresh), strict=True))
    whole = Embeddings(vectors=tuple(vectors[key] for key in texts.keys))
    await send(msgspec.structs.replace(recording.started, content_type=None, model=fresh.started.model))
    await send(whole)
    await send(fresh.finished)
    return msgspec.structs.replace(fresh, result=whole)


async def _whole(
    texts: Texts,
    call: Call,
    shelf: Shelf,
    send: Send,
    inner: Responder,
    *,
    keeps: Callable[[str, Answer, Usage], None] | None,
) -> Answer | None:
    """Ask for all texts as they came."""
    await send(Cached(status="miss"))
    recording = Recording(send, min(shelf.entry_bytes * len(texts.inputs), MOST_BYTES))
    await inner(call, recording)
    answer = recording.answer(call, shelf.targets)
    return answer if answer is not None and _kept(texts.keys, answer, texts.inputs, keeps) else None


def keeper(call: Call, shelf: Shelf, wish: CacheWish) -> Callable[[str, Answer, Usage], None]:
    """Give what keeps one vector under its key."""

    def keep(key: str, answer: Answer, usage: Usage) -> None:
        shelf.keep(call, key, answer, entry=shelf.new_id(ENTRY_PREFIX), wish=wish, usage=usage)

    return keep


def _kept(
    keys: Sequence[str], answer: Answer, inputs: Sequence[Json], keeps: Callable[[str, Answer, Usage], None] | None
) -> bool:
    """Keep each vector of an answer; whether it has one for each text."""
    vectors = _vectors(answer)
    if len(vectors) != len(keys):
        return False
    if keeps is None:
        return True
    used = answer.finished.usage or answer.finished.estimate or Usage()
    for key, vector, share in zip(keys, vectors, _shares(used.input_total, inputs), strict=True):
        alone = Usage(input=share, estimated=used.estimated)
        one = msgspec.structs.replace(answer, result=Embeddings(vectors=(vector,)), finished=Finished(usage=alone))
        keeps(key, one, alone)
    return True


def _shares(total: int, inputs: Sequence[Json]) -> list[int]:
    """Divide tokens by the lengths of the texts; the sum stays what it is."""
    lengths = [max(len(each), 1) for each in inputs]
    whole, before, shares = sum(lengths), 0, []
    for length in lengths:
        shares.append(total * (before + length) // whole - total * before // whole)
        before += length
    return shares


def _vectors(answer: Answer) -> tuple[Vector, ...]:
    return answer.result.vectors if isinstance(answer.result, Embeddings) else ()


def _sum(entries: Sequence[Entry]) -> Usage:
    used = [entry.usage for entry in entries if entry.usage is not None]
    return Usage(input=sum(one.input for one in used), estimated=any(one.estimated for one in used))


def _named(text: Json) -> str:
    """Tell texts and lists of token ids apart."""
    return f"text:{text}" if isinstance(text, str) else f"tokens:{text}"


def _with_inputs(call: Call, inputs: list[Json]) -> Call:
    content = call.content
    if isinstance(content, EmbeddingInput):
        taken = tuple(tuple(each) if isinstance(each, list) else each for each in inputs)
        content = msgspec.structs.replace(content, inputs=taken)
    return msgspec.structs.replace(
        call,
        fields={**call.fields, "input": inputs},
        body=splice(call.body, {"input": msgspec.json.encode(inputs)}),
        content=content,
    )


def _aside(send: Send) -> Send:
    """Give a Send that lets pass what is said about an answer, and none of the answer."""

    def pass_on(event: Event) -> Awaitable[None]:
        return send(event) if isinstance(event, ASIDE) else NOTHING

    return pass_on
