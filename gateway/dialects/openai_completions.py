"""OpenAI's legacy completions API: one text in, one text out. For the hub a prompt is what a user said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.call import Call
from gateway.core.content import Content, Operation, Prompt
from gateway.core.errors import SwitchgearError, UnsupportedParameter, UpstreamBroken
from gateway.core.events import (
    Event,
    Finished,
    ItemStarted,
    RefusalDelta,
    Started,
    TextDelta,
    Verbatim,
)
from gateway.core.items import Item, Json, Message, Refusal, Text
from gateway.dialects import openai_errors
from gateway.dialects.answer_ids import answer_id
from gateway.dialects.completion_logprobs import decode_logprobs, encode_logprobs
from gateway.dialects.dialect import Dialect, EncodedCall
from gateway.dialects.openai_chat import wire
from gateway.dialects.openai_chat.shaped import ChatShaped
from gateway.dialects.openai_chat.shapes import StreamOptions
from gateway.dialects.openai_chat.stream_decode import ChatEventDecoder
from gateway.dialects.openai_chat.stream_encode import DONE
from gateway.dialects.openai_chat.usage import encode_usage
from gateway.dialects.rest import own
from gateway.dialects.shapes import check
from gateway.dialects.sse import event as sse
from gateway.dialects.upstream_json import decode_upstream

NAME = "openai_completions"
_SAME = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "user")
_HUB_FIELDS = {"model", "prompt", "max_tokens", "stop", "logprobs", *_SAME}


class _Body(msgspec.Struct):
    model: str
    prompt: str | list[str | int | list[int]]
    best_of: int | None = None
    echo: bool | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None


class OpenAICompletions(ChatShaped):
    """`POST /v1/completions`. Implements Dialect."""

    name: str = NAME
    operation: Operation = "generate"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Request body -> Prompt. Several prompts, or token ids, stay a matter of this dialect. Raises InvalidRequest."""
        body = check(fields, _Body)
        rest = {name: value for name, value in fields.items() if name not in _HUB_FIELDS or value is None}
        prompt = body.prompt
        if isinstance(prompt, list) and not (len(prompt) == 1 and isinstance(prompt[0], str)):
            rest["prompt"] = prompt
        else:
            rest["$prompt"] = prompt
        text = prompt if isinstance(prompt, str) else prompt[0] if "$prompt" in rest else None
        rest["$stop"] = body.stop
        return Prompt(
            items=(Message(role="user", parts=(Text(text=text),)),) if isinstance(text, str) else (),
            max_output_tokens=body.max_tokens,
            stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
            logprobs=True if body.logprobs is not None else None,
            top_logprobs=body.logprobs,
            rest={NAME: rest},
            **{name: fields[name] for name in _SAME if fields.get(name) is not None},
        )

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Prompt -> request body, for prompts that came as such. Raises UnsupportedParameter for conversations."""
        if not isinstance(content, Prompt) or NAME not in content.rest:
            msg = "A conversation cannot be expressed in the Completions API, which would serve this call."
            raise UnsupportedParameter(msg, param="messages")
        mine = own(content.rest, NAME)
        body: dict[str, Json] = {"model": model, "prompt": _prompt(content)}
        given = {name: getattr(content, name) for name in _SAME}
        given |= {"max_tokens": content.max_output_tokens, "logprobs": content.top_logprobs, "stop": _stop(content)}
        body |= {name: value for name, value in given.items() if value is not None}
        options, said = mine.pop("stream_options", None), mine.pop("stream", ...)
        if stream:
            body |= {"stream": True, "stream_options": {**(options or {}), "include_usage": True}}
        elif not said:
            body["stream"] = said
        return EncodedCall(body={**body, **{name: value for name, value in mine.items() if name not in body}})

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """`text_completion` -> Answer. Raises UpstreamBroken."""
        if fields.get("error"):
            raise openai_errors.in_stream(fields)
        if not isinstance(fields.get("choices"), list) or not fields["choices"]:
            msg = "The upstream's answer has no choices."
            raise UpstreamBroken(msg)
        decoder, builder = CompletionEventDecoder(), AnswerBuilder()
        for event in [*decoder.take(fields), *decoder.end()]:
            builder.add(event)
        return builder.answer()

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Answer -> `text_completion`."""
        by_choice: dict[int, list[Item]] = {0: []}
        for item in answer.items:
            by_choice.setdefault(wire.choice_of(item), []).append(item)
        document = _head(answer.started, call)
        document["choices"] = [_choice(number, items, answer) for number, items in sorted(by_choice.items())]
        if answer.finished.usage is not None:
            document["usage"] = encode_usage(answer.finished.usage, wire.raw_usage(answer.finished))
        return msgspec.json.encode(document)

    def event_decoder(self) -> CompletionEventDecoder:
        """A decoder for one stream."""
        return CompletionEventDecoder()

    def event_encoder(self, call: Call) -> CompletionEventEncoder:
        """An encoder for one stream."""
        return CompletionEventEncoder(call)


def _prompt(content: Prompt) -> Json:
    mine = content.rest[NAME]
    if "prompt" in mine:
        return mine["prompt"]
    texts = [
        part.text
        for item in content.items
        if isinstance(item, Message)
        for part in item.parts
        if isinstance(part, Text)
    ]
    if len(texts) != 1 or len(content.items) != 1:
        msg = "A conversation cannot be expressed in the Completions API, which would serve this call."
        raise UnsupportedParameter(msg, param="prompt")
    return [texts[0]] if isinstance(mine.get("$prompt"), list) else texts[0]


def _stop(content: Prompt) -> Json:
    noted = content.rest[NAME].get("$stop")
    if isinstance(noted, str) and content.stop == (noted,):
        return noted
    return list(content.stop) if content.stop or noted == [] else None


class CompletionEventDecoder:
    """Decodes one stream of completions: the same as chat's, with `text` in the place of a delta."""

    def __init__(self) -> None:
        self._chat = ChatEventDecoder()

    def feed(self, name: str, data: bytes) -> Sequence[Event]:
        """Take one server-sent event."""
        if data.strip() == b"[DONE]":
            return self._chat.feed(name, data)
        chunk = decode_upstream(data)
        if chunk.get("error") or name == "error":
            raise openai_errors.in_stream(chunk)
        return list(self.take(chunk))

    def take(self, chunk: dict[str, Json]) -> Iterator[Event]:
        """Take one decoded chunk, or a whole answer."""
        choices = chunk.get("choices")
        if isinstance(choices, list):
            chunk = {**chunk, "choices": [_as_chat(choice) for choice in choices if isinstance(choice, dict)]}
        return self._chat.take(chunk)

    def finish(self) -> Sequence[Event]:
        """The stream has ended."""
        return self._chat.finish()

    def end(self) -> Sequence[Event]:
        """A whole answer has been taken."""
        return self._chat.feed("", b"[DONE]")


def _as_chat(choice: dict[str, Json]) -> dict[str, Json]:
    marks = choice.get("logprobs")
    logprobs = {"content": decode_logprobs(marks)} if isinstance(marks, dict) else None
    return {**choice, "delta": {"content": choice.get("text")}, "logprobs": logprobs}


def _head(started: Started, call: Call) -> dict[str, Json]:
    return {**wire.head(started, call, "text_completion"), "id": answer_id(started.id, call.id, "cmpl-")}


def _choice(number: int, items: list[Item], answer: Answer) -> dict[str, Json]:
    parts = [part for item in items if isinstance(item, Message) for part in item.parts]
    marks = [mark for part in parts if isinstance(part, Text) for mark in part.logprobs or ()]
    return {
        "index": number,
        "text": "".join(part.text for part in parts if isinstance(part, (Text, Refusal))),
        "logprobs": encode_logprobs(marks),
        "finish_reason": _finish(answer.finished, number, refusal=any(map(wire.has_refusal, items))),
    }


def _finish(finished: Finished, number: int, *, refusal: bool) -> str:
    reason = wire.finish_reason(finished, number, refusal=refusal, deprecated=False)
    return reason if reason in ("length", "content_filter") else "stop"


class CompletionEventEncoder:
    """Encodes one stream of completions."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._with_usage = wire.wants_usage(call)
        self._document: dict[str, Json] = {}
        self._choices: dict[int, int] = {}
        self._offsets: dict[int, int] = {}
        self._refusing: set[int] = set()

    def encode(self, event: Event) -> bytes:
        """Give the server-sent events for one event."""
        if isinstance(event, (TextDelta, RefusalDelta)):
            return self._text(event)
        if isinstance(event, ItemStarted):
            self._choices[event.index] = wire.choice_of(event.item)
            return b""
        if isinstance(event, Started):
            self._document = _head(event, self._call)
            return b""
        if isinstance(event, Finished):
            return self._finished(event)
        return event.data if isinstance(event, Verbatim) else b""

    def error(self, error: SwitchgearError) -> bytes:
        """Give the terminal error event."""
        return sse(openai_errors.encode_error(error))

    def _text(self, event: TextDelta | RefusalDelta) -> bytes:
        number = self._choices[event.index]
        offset = self._offsets.get(number, 0)
        self._offsets[number] = offset + len(event.text)
        marks = event.logprobs if isinstance(event, TextDelta) else None
        if isinstance(event, RefusalDelta):
            self._refusing.add(number)
        return self._chunk(number, event.text, encode_logprobs(marks or (), offset), None)

    def _chunk(self, number: int, text: str, logprobs: Json, finish: str | None) -> bytes:
        choice = {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}
        chunk: dict[str, Any] = {**self._document, "choices": [choice]}
        if self._with_usage:
            chunk["usage"] = None
        return sse(msgspec.json.encode(chunk))

    def _finished(self, event: Finished) -> bytes:
        numbers = sorted({0, *self._choices.values()})
        chunks = [
            self._chunk(number, "", None, _finish(event, number, refusal=number in self._refusing))
            for number in numbers
        ]
        if self._with_usage and event.usage is not None:
            usage = encode_usage(event.usage, wire.raw_usage(event))
            chunks.append(sse(msgspec.json.encode({**self._document, "choices": [], "usage": usage})))
        return b"".join(chunks) + DONE


OPENAI_COMPLETIONS: Dialect = OpenAICompletions()
