"""One conversation with a model over a gateway's HTTP API: the messages so far, and the next answer as it streams in."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.errors import SwitchgearError, UpstreamBroken
from gateway.core.events import Event, FinishReason, ReasoningDelta, RefusalDelta, TextDelta
from gateway.core.items import Json, Message, Refusal, Text
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.sse import SseParser
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts

_TIMEOUTS = HttpTimeouts(first_byte=300.0, idle=300.0, total=3600.0)
_SHORT = HttpTimeouts(connect=5.0, first_byte=10.0, idle=10.0, total=15.0)

Show = Callable[[str, bool], None]
"""Gets each piece of an answer, and whether it is thinking."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: its text, who served it, how it ended, what it took. Times are seconds."""

    text: str
    target: str
    reason: FinishReason
    usage: Usage | None
    duration: float
    first: float | None


class Conversation:
    """Messages to and from one model. `model` and `system` may be changed between turns."""

    def __init__(self, url: str, key: str | None, model: str, system: str | None) -> None:
        self._client = NativeUpstream(url, connections=2)
        self._key_header = () if key is None else ((b"authorization", f"Bearer {key}".encode()),)
        self.model = model
        self.system = system
        self._messages: list[dict[str, str]] = []

    def clear(self) -> None:
        """Forget what was said."""
        self._messages = []

    def take_back(self) -> None:
        """Forget the last message and its answer."""
        self._messages = self._messages[:-2]

    async def say(self, text: str, show: Show) -> Turn:
        """Send the next message; `show` gets the answer as it comes.

        The message counts as said only when the answer was complete. Raises SwitchgearError.
        """
        began = time.monotonic()
        system = [{"role": "system", "content": self.system}] if self.system else []
        asked = [*self._messages, {"role": "user", "content": text}]
        body = {
            "model": self.model,
            "messages": [*system, *asked],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = ((b"content-type", b"application/json"), *self._key_header)
        request = HttpRequest(path=b"/v1/chat/completions", headers=headers, body=msgspec.json.encode(body))
        response = await self._client.request(request, _TIMEOUTS)
        try:
            if response.status != 200:
                raise OPENAI_CHAT.read_error(response.status, await response.read_all(1 << 20))
            answer, first = await _read(response, show)
        finally:
            await response.aclose()
        said = _text(answer)
        self._messages = [*asked, {"role": "assistant", "content": said}]
        return Turn(
            text=said,
            target=(response.header(b"x-switchgear-target") or b"").decode("latin-1"),
            reason=answer.finished.reason,
            usage=answer.finished.usage,
            duration=time.monotonic() - began,
            first=None if first is None else first - began,
        )

    async def models(self) -> dict[str, list[str]]:
        """Ask for the models' names and their targets ("provider/model"). Raises SwitchgearError."""
        status, body = await self._fetch(b"/v1/models")
        if status != 200:
            raise OPENAI_CHAT.read_error(status, body)
        return {entry["id"]: entry.get("targets", []) for entry in _decoded(body)["data"]}

    async def is_loaded(self) -> bool:
        """Whether the model could answer at once; yes where nobody can tell."""
        try:
            _, body = await self._fetch(b"/readyz")
            targets = _decoded(body)["models"].get(self.model, [])
        except (SwitchgearError, KeyError):
            return True
        return not targets or targets[0]["state"] not in ("cold", "starting")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _fetch(self, path: bytes) -> tuple[int, bytes]:
        request = HttpRequest(method=b"GET", path=path, headers=self._key_header)
        response = await self._client.request(request, _SHORT)
        try:
            return response.status, await response.read_all(1 << 24)
        finally:
            await response.aclose()


def _decoded(body: bytes) -> dict[str, Json]:
    try:
        return msgspec.json.decode(body, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UpstreamBroken("what answers there is no Switchgear gateway") from exc


def _text(answer: Answer) -> str:
    """Give the words of an answer, those of a refusal included."""
    messages = (item for item in answer.items if isinstance(item, Message))
    return "".join(part.text for message in messages for part in message.parts if isinstance(part, Text | Refusal))


async def _read(response: HttpResponse, show: Show) -> tuple[Answer, float | None]:
    """Read a stream to its end, showing text as it comes; give the answer and when its first piece came."""
    parser, decoder, builder = SseParser(), OPENAI_CHAT.event_decoder(), AnswerBuilder()
    first: float | None = None

    def take(event: Event) -> None:
        nonlocal first
        builder.add(event)
        if isinstance(event, TextDelta | RefusalDelta | ReasoningDelta):
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
