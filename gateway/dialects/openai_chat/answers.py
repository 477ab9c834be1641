"""Whole answers, both ways. Decoding is the stream's: a message has the fields of a delta."""

from __future__ import annotations

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.call import Call
from gateway.core.errors import UpstreamBroken
from gateway.core.items import Item, Json, Message, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.openai_chat import wire
from gateway.dialects.openai_chat.reasoning import encode_details, plain_text
from gateway.dialects.openai_chat.stream_decode import ChatEventDecoder
from gateway.dialects.openai_chat.usage import encode_usage
from gateway.dialects.openai_errors import in_stream


def decode_answer(fields: dict[str, Json]) -> Answer:
    """Translate an upstream's answer. Raises UpstreamBroken, or the error that came with status 200."""
    if fields.get("error"):
        raise in_stream(fields)
    choices = fields.get("choices")
    if not isinstance(choices, list) or not choices:
        msg = "The upstream's answer has no choices."
        raise UpstreamBroken(msg)
    builder = AnswerBuilder()
    decoder = ChatEventDecoder()
    for event in decoder.take(fields):
        builder.add(event)
    for event in decoder.feed("", b"[DONE]"):
        builder.add(event)
    return builder.answer()


def encode_answer(answer: Answer, call: Call) -> bytes:
    """Give the `chat.completion` document."""
    by_choice: dict[int, list[Item]] = {0: []}
    for item in answer.items:
        by_choice.setdefault(wire.choice_of(item), []).append(item)
    document = wire.head(answer.started, call, "chat.completion")
    document["choices"] = [_choice(number, items, answer) for number, items in sorted(by_choice.items())]
    if answer.finished.usage is not None:
        document["usage"] = encode_usage(answer.finished.usage, wire.raw_usage(answer.finished))
    return msgspec.json.encode({**document, **wire.about(answer.finished)})


def _choice(number: int, items: list[Item], answer: Answer) -> dict[str, Json]:
    marks = [mark for part in _texts(items) for mark in part.logprobs or ()]
    return {
        "index": number,
        "message": _message(items),
        "logprobs": {"content": marks, "refusal": None} if marks else None,
        "finish_reason": wire.finish_reason(
            answer.finished,
            number,
            refusal=any(map(wire.has_refusal, items)),
            deprecated=any(map(wire.is_function_call, items)),
        ),
    }


def _texts(items: list[Item]) -> list[Text]:
    return [part for item in items if isinstance(item, Message) for part in item.parts if isinstance(part, Text)]


def _message(items: list[Item]) -> dict[str, Json]:
    texts = _texts(items)
    messages = [item for item in items if isinstance(item, Message)]
    refusals = [part.text for item in messages for part in item.parts if isinstance(part, Refusal)]
    calls = [item for item in items if isinstance(item, ToolCall)]
    message: dict[str, Json] = {
        "role": "assistant",
        "content": "".join(text.text for text in texts) if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    if marks := [mark for item in messages for mark in wire.citations(item)]:
        message["annotations"] = marks
    if audio := next((audio for item in messages if (audio := wire.audio(item))), None):
        message["audio"] = audio
    _add_reasoning(message, [item for item in items if isinstance(item, Reasoning)])
    _add_calls(message, calls)
    return message


def _add_reasoning(message: dict[str, Json], items: list[Reasoning]) -> None:
    if thought := "\n\n".join(text for item in items if (text := plain_text(item))):
        message["reasoning_content"] = thought
    details: list[Json] = []
    for item in items:
        details += encode_details(item, len(details))
    if details:
        message["reasoning_details"] = details


def _add_calls(message: dict[str, Json], calls: list[ToolCall]) -> None:
    if functions := [call for call in calls if wire.is_function_call(call)]:
        message["function_call"] = {"name": functions[0].name, "arguments": functions[0].arguments}
    if modern := [call for call in calls if not wire.is_function_call(call)]:
        message["tool_calls"] = [wire.encode_tool_call(call) for call in modern]
