"""Plays one scripted answer as events: delays, pieces, tool calls and failures as written."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

import msgspec
from anyio import sleep, sleep_forever

from gateway.core.answer import skeleton
from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import UpstreamBroken, UpstreamRefused
from gateway.core.events import (
    ArgumentsDelta,
    CutShort,
    Event,
    Finished,
    FinishReason,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
)
from gateway.core.items import Item, Json, Message, Reasoning, Refusal, Text, ToolCall
from gateway.core.responder import Send
from gateway.core.usage import Usage
from gateway.providers.scripted.choose import Situation
from gateway.providers.scripted.document import Failure, ScriptedAnswer, ScriptedUsage
from gateway.providers.scripted.quoting import filled, quoted

_Delta = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta


async def play(answer: ScriptedAnswer, now: Situation, call: Call, started: Started, send: Send) -> None:
    """Send the answer's events. Raises what its failure says."""
    failure = answer.fail
    if failure is not None and failure.after_deltas == 0:
        await _fail(failure)
    items = _items(answer, now, call)
    if answer.delay:
        # It stands for an upstream's time, and is told as such.
        began = time.perf_counter()
        await sleep(answer.delay)
        started = msgspec.structs.replace(started, waited=time.perf_counter() - began)
    await send(started)
    said = 0
    try:
        for index, item in enumerate(items):
            await send(ItemStarted(index=index, item=skeleton(item)))
            for delta in _deltas(index, item, answer.deltas):
                if failure is not None and said >= failure.after_deltas:
                    await _fail(failure)
                if answer.pace and said:
                    await sleep(answer.pace)
                await send(delta)
                said += 1
            await send(ItemFinished(index=index, item=item))
        if failure is not None:
            await _fail(failure)
    except BaseException:
        # Also when the client left: it is in nobody's way, because nothing is written any more.
        await send(CutShort(usage=Usage(input=_words_in(now), output=said, estimated=True)))
        raise
    await send(_finished(answer, now, items))


async def _fail(failure: Failure) -> None:
    if failure.silent:
        await sleep_forever()
    if failure.broken or failure.status is None:
        raise UpstreamBroken(failure.message)
    raise UpstreamRefused(failure.message, upstream_status=failure.status, retry_after=failure.retry_after)


def _items(answer: ScriptedAnswer, now: Situation, call: Call) -> list[Item]:
    items: list[Item] = []
    if answer.think is not None:
        items.append(
            Reasoning(text=answer.think, signature=answer.signature, origin="anthropic_messages", id=f"rs_{call.id}")
        )
    text = answer.say if answer.json is None else msgspec.json.encode(quoted(answer.json, now.results)).decode()
    if text is not None:
        text = (text if answer.json is not None else _filled(text, now)).removeprefix(now.begun)
        pieces = _cut(text, answer.deltas) if _asks_for_marks(answer, call) else ()
        marks = tuple(_mark(piece, answer.logprob) for piece in pieces) or None
        items.append(Message(role="assistant", parts=(Text(text=text, logprobs=marks),), id=f"msg_{call.id}"))
    if answer.refuse is not None:
        items.append(Message(role="assistant", parts=(Refusal(text=answer.refuse),), id=f"msg_{call.id}"))
    for number, wanted in enumerate(answer.call):
        arguments = quoted(wanted.arguments, now.results)
        items.append(
            ToolCall(
                call_id=wanted.id or f"call_{call.id.removeprefix('call_')}_{number}",
                name=wanted.tool,
                arguments=arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode(),
                id=f"fc_{call.id}_{number}",
            )
        )
    return items


def _asks_for_marks(answer: ScriptedAnswer, call: Call) -> bool:
    return answer.logprob is not None and isinstance(call.content, Prompt) and bool(call.content.logprobs)


def _mark(piece: str, logprob: float | None) -> dict[str, Json]:
    return {"token": piece, "logprob": logprob, "bytes": list(piece.encode()), "top_logprobs": []}


def _filled(text: str, now: Situation) -> str:
    said = {"{input}": now.user, "{tool_result}": now.tool_result or ""}
    # In one go: what tools and users say is not read as a placeholder.
    return filled(text, now.results, said)


def _deltas(index: int, item: Item, pieces: int | None) -> Iterator[_Delta]:
    if isinstance(item, Reasoning):
        yield from (ReasoningDelta(index=index, text=piece) for piece in _cut(item.text, pieces))
    elif isinstance(item, ToolCall):
        yield from (ArgumentsDelta(index=index, text=piece) for piece in _cut(item.arguments, pieces))
    elif isinstance(item, Message):
        for part in item.parts:
            if isinstance(part, Text):
                for number, piece in enumerate(_cut(part.text, pieces)):
                    marks = None if part.logprobs is None else (part.logprobs[number],)
                    yield TextDelta(index=index, text=piece, logprobs=marks)
            elif isinstance(part, Refusal):
                yield from (RefusalDelta(index=index, text=piece) for piece in _cut(part.text, pieces))


def _cut(text: str, pieces: int | None) -> list[str]:
    """Cut into words (each with the space before it), or into `pieces` parts of about equal length."""
    if pieces is None:
        return re.findall(r"\s*\S+|\s+$", text)
    size = max(1, -(-len(text) // pieces))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _finished(answer: ScriptedAnswer, now: Situation, items: Iterable[Item]) -> Event:
    reason: FinishReason = "tool_calls" if answer.call else "refusal" if answer.refuse is not None else "stop"
    return Finished(reason=answer.finish or reason, usage=_usage(answer.usage, now, items))


def _usage(scripted: ScriptedUsage | None, now: Situation, items: Iterable[Item]) -> Usage:
    if scripted is not None:
        return Usage(**msgspec.structs.asdict(scripted))
    output = reasoning = 0
    for item in items:
        if isinstance(item, Reasoning):
            reasoning += len(item.text.split())
        elif isinstance(item, ToolCall):
            output += len(item.arguments.split())
        elif isinstance(item, Message):
            output += sum(len(part.text.split()) for part in item.parts if isinstance(part, (Text, Refusal)))
    return Usage(input=_words_in(now), output=output, reasoning=reasoning, estimated=True)


def _words_in(now: Situation) -> int:
    return len(now.user.split()) + len((now.tool_result or "").split())
