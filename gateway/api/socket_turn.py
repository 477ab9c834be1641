"""One turn of a WebSocket: a request to the door of /v1/responses, as if it had come over HTTP, and its events as messages.

So identity, policies, limits, records and the journal are those of a call over HTTP, because it is one but for the socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from gateway.api.asgi import AsgiApp, Message, Scope
from gateway.api.edge import Edge
from gateway.api.prompting_door import USED
from gateway.api.socket_memory import Memory, items_of
from gateway.api.socket_messages import PREVIOUS, BadMessage, Said, ended, error_message, error_of, event_message
from gateway.core.errors import BodyTooLarge, InvalidRequest, SwitchgearError
from gateway.core.events import Finished
from gateway.core.items import Json
from gateway.core.prompt_use import PromptUse
from gateway.core.usage import Usage
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.response_object import ResponseDocument, Stored
from gateway.dialects.sse import SseParser
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route

Tell = Callable[[bytes], Awaitable[None]]
"""Sends one message to the client. Awaiting it is the back-pressure."""
_TOLD_HEADERS = (b"retry-after", b"x-switchgear-call-id")
_encode = msgspec.json.Encoder().encode


class Turns:
    """Answers requests of one WebSocket. `scope` gives the scope of a request whose body has been read; `keeps` is whether responses can be kept."""

    def __init__(
        self, edge: Edge, door: AsgiApp, scope: Callable[[], Scope], tell: Tell, memory: Memory, *, keeps: bool
    ) -> None:
        self._edge = edge
        self._door = door
        self._scope = scope
        self._tell = tell
        self._keeps = keeps
        self._memory = memory

    async def answer(self, said: Said) -> None:
        """Answer one request: its events, or an error."""
        previous = said.fields.get(PREVIOUS)
        try:
            said, use = self._filled(said)
            fields, known = self._spelled_out(said)
            if not said.generate:
                await self._warm_up(said, fields, use)
                return
            body = _encode({**fields, "stream": True})
            if len(body) > self._edge.body_bytes:
                msg = f"The request, with what it goes on from, is larger than the limit of {self._edge.body_bytes} bytes."
                raise BodyTooLarge(msg)
        except SwitchgearError as error:
            if isinstance(previous, str):
                self._memory.forget(previous)
            await self._tell(error_message(error, said.lane, {}))
            return
        heard = _Heard(self._tell, said.lane, known)
        scope = self._scope()
        scope["extensions"][USED] = use
        await self._door(scope, _once(body), heard.take)
        await heard.finish()
        if heard.response is None:
            if isinstance(previous, str):
                # As OpenAI has it: what could not be gone on from is forgotten, and the client begins anew.
                self._memory.forget(previous)
        elif heard.response.get("store") is not True:
            items = [*items_of(fields.get("input")), *(heard.response.get("output") or ())]
            self._memory.keep(said.lane, heard.response["id"], items)

    def _filled(self, said: Said) -> tuple[Said, PromptUse | None]:
        """Give a request as its prompt fills it in: only then is it known what was said in it. Raises as Prompts.fill."""
        filled = self._edge.current().prompts.fill(said.fields, most=self._edge.body_bytes)
        return (said, None) if filled is None else (msgspec.structs.replace(said, fields=filled.fields), filled.use)

    def _spelled_out(self, said: Said) -> tuple[dict[str, Json], str]:
        """Give a body that says the same without what only this WebSocket knows; and the id of that, empty where there is no such thing."""
        previous = said.fields.get(PREVIOUS)
        before = self._memory.find(previous) if isinstance(previous, str) else None
        if before is not None:
            fields = {name: value for name, value in said.fields.items() if name != PREVIOUS}
            fields["input"] = [*before.items, *items_of(fields.get("input"))]
            return fields, before.id
        if isinstance(previous, str) and not self._keeps:
            msg = f"There is no response {previous[:100]!r} here: this WebSocket knows the last one of each stream."
            raise BadMessage(msg, "previous_response_not_found", PREVIOUS)
        return said.fields, ""

    async def _warm_up(self, said: Said, fields: dict[str, Json], use: PromptUse | None) -> None:
        """Answer a request that wants nothing from its model yet: its items are remembered, to be gone on from. Raises SwitchgearError."""
        if fields.get(PREVIOUS) is not None:
            msg = "`generate` can be false only where the response goes on from what this WebSocket remembers, or from nothing."
            raise InvalidRequest(msg, param="generate")
        generation, model = self._edge.current(), fields.get("model")
        if not isinstance(model, str):
            msg = "`model` is required and must be a non-empty string."
            raise InvalidRequest(msg, param="model")
        scope = self._scope()
        caller = await generation.identity.identify(scope["headers"], scope.get("client"))
        find_route(generation.routes, model, shown=lambda near: offered(generation.authorizer, caller, near.subject))
        OPENAI_RESPONSES.decode_call({**fields, "stream": True})
        stored = Stored(
            id=self._edge.new_id("resp_"),
            created=int(self._edge.clock.wall()),
            model=model,
            previous=said.fields.get(PREVIOUS) or "",
            kept=False,
        )
        document = ResponseDocument(fields if use is None else {**fields, "prompt": use.echo}, "", stored)
        whole = document.finished(Finished(reason="stop", usage=Usage()), [])
        told = (("created", document.running()), ("in_progress", document.running()), ("completed", whole))
        for number, (name, response) in enumerate(told):
            event = {"type": f"response.{name}", "sequence_number": number, "response": response}
            await self._tell(event_message(f"response.{name}", _encode(event), said.lane, ""))
        self._memory.keep(said.lane, stored.id, items_of(fields.get("input")))


class _Heard:
    """An ASGI send that takes an answer of the door, and tells it on. `response` is how it ended, None where there was only an error."""

    def __init__(self, tell: Tell, lane: str, previous: str) -> None:
        self.response: dict[str, Json] | None = None
        self._tell = tell
        self._lane = lane
        self._previous = previous
        self._status = 500
        self._headers: dict[str, str] = {}
        self._parser: SseParser | None = None
        self._document = b""

    async def take(self, message: Message) -> None:
        """Take an ASGI message."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            named = dict(message.get("headers", ()))
            self._headers = {name.decode(): named[name].decode("latin-1") for name in _TOLD_HEADERS if name in named}
            if named.get(b"content-type", b"").startswith(b"text/event-stream"):
                self._parser = SseParser()
            return
        body = message.get("body", b"")
        if self._parser is None:
            self._document += body
            return
        for name, data in self._parser.feed(body):
            await self._event(name, data)

    async def finish(self) -> None:
        """Tell what is left: the end of a stream, or a document, which here is always an error's."""
        if self._parser is not None:
            for name, data in self._parser.finish():
                await self._event(name, data)
        elif self._document:
            await self._tell(error_of(self._status, self._document, self._lane, self._headers))

    async def _event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            return
        await self._tell(event_message(name, data, self._lane, self._previous))
        self.response = ended(name, data) or self.response


def _once(body: bytes) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
