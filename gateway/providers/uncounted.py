"""Estimates what an answer has used where its upstream did not count, or not to the end. An estimate says that it is one."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.items import Item, Message, Reasoning, Refusal, Text, ToolCall
from gateway.core.usage import BYTES_A_TOKEN, Usage

_MADE_OF_TOKENS = ("generate", "embed", "rerank")


def cut_short(known: Usage | None, call: Call, events: int) -> Usage:
    """Give the usage of an answer that was cut short: what the upstream said, else an estimate: an event is a token."""
    estimate = len(call.body) // BYTES_A_TOKEN
    if known is None:
        return Usage(input=estimate, output=events, estimated=True)
    input_tokens = known.input if known.input_total else estimate
    return msgspec.structs.replace(known, input=input_tokens, output=max(known.output, events), estimated=True)


def of_stream(call: Call, events: int) -> Usage | None:
    """Give an estimate for a whole stream that nobody counted; None for an operation that is not made of tokens."""
    return cut_short(None, call, events) if call.operation in _MADE_OF_TOKENS else None


def of_answer(call: Call, answer: Answer) -> Usage | None:
    """The same for a whole answer, by the length of what it says."""
    if call.operation not in _MADE_OF_TOKENS:
        return None
    said = sum(len(text.encode("utf-8", "surrogatepass")) for item in answer.items for text in _texts(item))
    return Usage(input=len(call.body) // BYTES_A_TOKEN, output=-(-said // BYTES_A_TOKEN), estimated=True)


def _texts(item: Item) -> Iterator[str]:
    if isinstance(item, Message):
        yield from (part.text for part in item.parts if isinstance(part, Text | Refusal))
    elif isinstance(item, ToolCall):
        yield item.name
        yield item.arguments
    elif isinstance(item, Reasoning):
        yield item.text
        yield from item.summary
