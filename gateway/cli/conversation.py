"""One conversation with a model over a gateway's HTTP API: the messages so far, and the next answer as it streams in."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.events import Event, ReasoningDelta, TextDelta
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.sse import SseParser
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts

_TIMEOUTS = HttpTimeouts(first_byte=300.0, idle=300.0, total=3600.0)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: its text, who served it, what it took. Times are seconds."""

    text: str
    target: str
    usage: Usage | None
    duration: float
    first: float | None


class Conversation:
    """Messages to and from one model. `model` and `system` may be changed between turns."""

    def __init__(self, url: str, key: str | None, model: str, system: str | None) -> None:
        self._client = NativeUpstream(url, connections=2)
        self._key = key
        self.model = model
        self.system = system
        self.messages: list[dict[str, str]] = []

    async def say(self, text: str, show: Callable[[str, bool], None]) -> Turn:
        """Send the next message; `show` gets each piece of the answer, and whether it is thinking.

        The message counts as said only when the answer was complete. Raises SwitchgearError.
        """
        began = time.monotonic()
        system = [{"role": "system", "content": self.system}] if self.system else []
        asked = [*self.messages, {"role": "user", "content": text}]
        response = await self._client.request(self._request([*system, *asked]), _TIMEOUTS)
        try:
            if response.status != 200:
                raise OPENAI_CHAT.read_error(response.status, await response.read_all(1 << 20))
            answer, first = await _read(response, show)
        finally:
            await response.aclose()
        said = "".join(
            part.text
            for item in answer.items
            if isinstance(item, Message)
            for part in item.parts
            if isinstance(part, Text)
        )
        self.messages = [*asked, {"role": "assistant", "content": said}]
        return Turn(
            text=said,
            target=(response.header(b"x-switchgear-target") or b"").decode("latin-1"),
            usage=answer.finished.usage,
            duration=time.monotonic() - began,
            first=None if first is None else first - began,
        )

    def _request(self, messages: list[dict[str, str]]) -> HttpRequest:
        body = {
            "model": self.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        key = () if self._key is None else ((b"authorization", f"Bearer {self._key}".encode()),)
        return HttpRequest(
            path=b"/v1/chat/completions",
            headers=((b"content-type", b"application/json"), *key),
            body=msgspec.json.encode(body),
        )

    async def models(self) -> list[str]:
        """Ask for the models' names. Raises SwitchgearError."""
        key = () if self._key is None else ((b"authorization", f"Bearer {self._key}".encode()),)
        response = await self._client.request(HttpRequest(method=b"GET", path=b"/v1/models", headers=key), _TIMEOUTS)
        body = await response.read_all(1 << 24)
        await response.aclose()
        if response.status != 200:
            raise OPENAI_CHAT.read_error(response.status, body)
        return [entry["id"] for entry in msgspec.json.decode(body)["data"]]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _read(response: HttpResponse, show: Callable[[str, bool], None]) -> tuple[Answer, float | None]:
    """Read a stream to its end, showing text as it comes; give the answer and when its first piece came."""
    parser, decoder, builder = SseParser(), OPENAI_CHAT.event_decoder(), AnswerBuilder()
    first: float | None = None

    def take(event: Event) -> None:
        nonlocal first
        builder.add(event)
        if isinstance(event, (TextDelta, ReasoningDelta)):
            first = first or time.monotonic()
            show(event.text, isinstance(event, ReasoningDelta))

    while data := await response.read():
        for name, payload in parser.feed(data):
            for event in decoder.feed(name, payload):
                take(event)
    for name, payload in parser.finish():
        for event in decoder.feed(name, payload):
            take(event)
    for event in decoder.finish():
        take(event)
    return builder.answer(), first
