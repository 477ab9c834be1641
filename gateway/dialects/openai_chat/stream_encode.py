"""Events -> chunks for a client."""

from __future__ import annotations

import msgspec

from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    Verbatim,
)
from gateway.core.items import Item, Json, Message, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.openai_chat import wire
from gateway.dialects.openai_chat.reasoning import encode_details, plain_text
from gateway.dialects.openai_chat.usage import encode_usage
from gateway.dialects.openai_errors import error_object
from gateway.dialects.sse import event as sse

_encode = msgspec.json.Encoder().encode
DONE = b"data: [DONE]\n\n"


class _Choice:
    """What has to be remembered of one choice while it streams."""

    def __init__(self) -> None:
        self.role_sent = False
        self.calls = 0
        self.details = 0
        self.refusal = False
        self.deprecated = False


class _Open:
    """An item on its way: its choice, its number among the calls, whether any of it has been said."""

    def __init__(self, choice: int, item: Item, call: int) -> None:
        self.choice = choice
        self.item = item
        self.call = call
        self.said = False
        self.summary_part = 0


class ChatEventEncoder:
    """Encodes one stream. A text delta costs one JSON string between two ready-made pieces."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._with_usage = wire.wants_usage(call)
        self._head = b""
        self._tail = b',"usage":null}\n\n' if self._with_usage else b"}\n\n"
        self._text = (b"", b"")
        self._document: dict[str, Json] = {}
        self._choices: dict[int, _Choice] = {}
        self._open: dict[int, _Open] = {}

    def encode(self, event: Event) -> bytes:
        """Give the server-sent events for one event."""
        if isinstance(event, TextDelta):
            return self._text_delta(event)
        if isinstance(event, ArgumentsDelta):
            return self._arguments(event.index, event.text)
        if isinstance(event, ReasoningDelta):
            return self._reasoning(event)
        if isinstance(event, RefusalDelta):
            return self._refusal(event.index, event.text)
        if isinstance(event, ItemStarted):
            return self._item_started(event)
        if isinstance(event, ItemFinished):
            return self._item_finished(event)
        return self._frame(event)

    def error(self, error: SwitchgearError) -> bytes:
        """Give the terminal error event."""
        return sse(_encode({"error": error_object(error)}))

    def _frame(self, event: Event) -> bytes:
        if isinstance(event, Started):
            return self._started(event)
        if isinstance(event, Finished):
            return self._finished(event)
        return event.data if isinstance(event, Verbatim) else b""

    def _started(self, event: Started) -> bytes:
        self._document = wire.head(event, self._call, "chat.completion.chunk")
        self._head = b"data: " + _encode(self._document)[:-1] + b',"choices":[{"index":'
        self._text = (self._head + b'0,"delta":{"content":', b'},"logprobs":null,"finish_reason":null}]' + self._tail)
        return self._role(0)

    def _role(self, number: int) -> bytes:
        choice = self._choices.setdefault(number, _Choice())
        if choice.role_sent:
            return b""
        choice.role_sent = True
        return self._chunk(number, {"role": "assistant"})

    def _chunk(self, number: int, delta: Json, finish: str | None = None, logprobs: Json = None) -> bytes:
        return b'%b%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]%b' % (
            self._head,
            number,
            _encode(delta),
            _encode(logprobs),
            _encode(finish),
            self._tail,
        )

    def _text_delta(self, event: TextDelta) -> bytes:
        item = self._open[event.index]
        item.said = True
        if event.logprobs is None and item.choice == 0:
            before, after = self._text
            return before + _encode(event.text) + after
        logprobs = {"content": event.logprobs, "refusal": None} if event.logprobs else None
        return self._chunk(item.choice, {"content": event.text}, logprobs=logprobs)

    def _arguments(self, index: int, text: str) -> bytes:
        item = self._open[index]
        if not text or not isinstance(item.item, ToolCall):
            return b""
        item.said = True
        if wire.is_function_call(item.item):
            return self._chunk(item.choice, {"function_call": {"arguments": text}})
        body = {"arguments": text} if item.item.kind == "function" else {"input": text}
        return self._chunk(item.choice, {"tool_calls": [{"index": item.call, item.item.kind: body}]})

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        item = self._open[event.index]
        text = event.text
        if event.kind == "summary" and event.part != item.summary_part:
            item.summary_part = event.part
            text = "\n\n" + text
        item.said = True
        return self._chunk(item.choice, {"reasoning_content": text})

    def _refusal(self, index: int, text: str) -> bytes:
        item = self._open[index]
        item.said = True
        self._choices[item.choice].refusal = True
        return self._chunk(item.choice, {"refusal": text})

    def _item_started(self, event: ItemStarted) -> bytes:
        number = wire.choice_of(event.item)
        role = self._role(number)
        choice = self._choices[number]
        self._open[event.index] = _Open(number, event.item, choice.calls)
        item = event.item
        if not isinstance(item, ToolCall):
            return role
        if wire.is_function_call(item):
            choice.deprecated = True
            return role + self._chunk(number, {"function_call": {"name": item.name, "arguments": ""}})
        choice.calls += 1
        call = {"index": choice.calls - 1, **wire.encode_tool_call(item)}
        return role + self._chunk(number, {"tool_calls": [call]})

    def _item_finished(self, event: ItemFinished) -> bytes:
        open_item = self._open.get(event.index)
        if open_item is None:
            return b""
        if isinstance(event.item, Message):
            return self._message_finished(event.index, event.item, open_item)
        if isinstance(event.item, Reasoning):
            return self._reasoning_finished(event.item, open_item)
        if isinstance(event.item, ToolCall) and not open_item.said:
            return self._arguments(event.index, event.item.arguments)
        return b""

    def _message_finished(self, index: int, message: Message, item: _Open) -> bytes:
        late = b""
        if not item.said:
            for part in message.parts:
                if isinstance(part, Text):
                    late += self._text_delta(TextDelta(index=index, text=part.text, logprobs=part.logprobs))
                elif isinstance(part, Refusal):
                    late += self._refusal(index, part.text)
        delta: dict[str, Json] = {}
        if marks := wire.citations(message):
            delta["annotations"] = marks
        if audio := wire.audio(message):
            delta["audio"] = audio
        return late + (self._chunk(item.choice, delta) if delta else b"")

    def _reasoning_finished(self, reasoning: Reasoning, item: _Open) -> bytes:
        delta: dict[str, Json] = {}
        text = plain_text(reasoning)
        if text and not item.said:
            delta["reasoning_content"] = text
        choice = self._choices[item.choice]
        if details := encode_details(reasoning, choice.details):
            choice.details += len(details)
            delta["reasoning_details"] = details
        return self._chunk(item.choice, delta) if delta else b""

    def _finished(self, event: Finished) -> bytes:
        about = wire.about(event)
        if about:
            self._tail = b"," + _encode(about)[1:-1] + self._tail
        chunks = [
            self._chunk(number, {}, finish=self._finish_reason(event, number, choice))
            for number, choice in sorted(self._choices.items())
        ]
        if self._with_usage and event.usage is not None:
            usage = encode_usage(event.usage, wire.raw_usage(event))
            chunks.append(sse(_encode({**self._document, "choices": [], "usage": usage})))
        chunks.append(DONE)
        return b"".join(chunks)

    def _finish_reason(self, event: Finished, number: int, choice: _Choice) -> str:
        return wire.finish_reason(event, number, refusal=choice.refusal, deprecated=choice.deprecated)
