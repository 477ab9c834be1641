"""Answers one call through litellm: chat completions and embeddings, streaming and not, under the target's time limits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import anyio
import msgspec

from gateway.core.answer import replay
from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, SwitchgearError, UpstreamBroken, UpstreamTimeout
from gateway.core.events import Event, Started
from gateway.core.responder import Send
from gateway.core.target import Target
from gateway.dialects.dialect import Dialect
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.upstream_json import decode_upstream
from gateway.providers.litellm.arguments import CHAT, EMBED, arguments
from gateway.providers.litellm.failures import translate
from gateway.providers.litellm.library import Functions, Library

T = TypeVar("T")

_CLOSE_S = 2.0


class Answering:
    """A Responder: one model of one provider of litellm's. `model` is its name for litellm, `fixed` what goes with every call."""

    def __init__(self, library: Library, target: Target, model: str, fixed: Mapping[str, object]) -> None:
        self._library = library
        self._target = target
        self._name = target.name
        self._fixed = {**fixed, "model": model, "timeout": target.timeouts.total}

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer the call. Raises UpstreamError, UnsupportedParameter, or InvalidRequest for an operation that it has not."""
        dialect, known = _dialect(call, self._target)
        asked = arguments(call, self._target, dialect, known)
        functions = await self._library.functions(self._target.timeouts.connect)
        given: dict[str, object] = {**asked.values, **self._fixed}
        if dialect is OPENAI_CHAT:
            # Else, where there are tools, it looks for some of its own MCP gateway, for which it wants a package more.
            given["_skip_mcp_handler"] = True
        started = Started(
            id=call.id, model=call.model, created=int(time.time()), target=self._name, dropped=asked.dropped
        )
        answer = self._stream if call.stream and dialect is OPENAI_CHAT else self._document
        with anyio.move_on_after(self._target.timeouts.total):
            await answer(functions, given, dialect, started, send)
            return
        raise UpstreamTimeout(
            f"{self._name} took longer than {self._target.timeouts.total:g} s in all (total timeout)."
        )

    async def _document(
        self, functions: Functions, given: dict[str, object], dialect: Dialect, started: Started, send: Send
    ) -> None:
        ask = functions.acompletion if dialect is OPENAI_CHAT else functions.aembedding
        begun = time.perf_counter()
        response = await self._within(self._target.timeouts.first_token, "first token", ask(**given))
        answer = dialect.decode_answer(decode_upstream(response.model_dump_json(exclude_none=True).encode()))
        for event in replay(answer):
            await send(_stamped(event, started, begun))

    async def _stream(
        self, functions: Functions, given: dict[str, object], dialect: Dialect, started: Started, send: Send
    ) -> None:
        limits, begun = self._target.timeouts, time.perf_counter()
        first_by = begun + limits.first_token
        stream = await self._within(limits.first_token, "first token", functions.acompletion(**given))
        decoder = dialect.event_decoder()
        try:
            left, what = first_by - time.perf_counter(), "first token"
            while (chunk := await self._within(left, what, anext(stream, None))) is not None:
                for event in decoder.feed("", chunk.model_dump_json(exclude_none=True).encode()):
                    await send(_stamped(event, started, begun))
                left, what = limits.idle, "idle"
            if _was_cut_off(stream):
                raise UpstreamBroken(f"{self._name} ended its stream before the answer was complete.")
            for event in decoder.finish():
                await send(_stamped(event, started, begun))
        finally:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await stream.aclose()

    async def _within(self, seconds: float, what: str, waiting: Awaitable[T]) -> T:
        """Wait for litellm, but not longer than `seconds`, and translate what it raises."""
        try:
            with anyio.move_on_after(seconds):
                return await waiting
        except SwitchgearError:
            raise
        except Exception as exc:
            raise translate(exc, self._name) from exc
        raise UpstreamTimeout(f"{self._name} did not answer in time ({what} timeout).")


def _was_cut_off(stream: object) -> bool:
    """Where the upstream's stream was cut off, litellm makes up a good end; with most adapters it remembers that it did.

    With a few (Gemini's) every piece counts as a possible end, so that nobody can tell.
    """
    marks = ("received_finish_reason", "intermittent_finish_reason")
    return all(getattr(stream, mark, "unknown") is None for mark in marks)


def _dialect(call: Call, target: Target) -> tuple[Dialect, frozenset[str]]:
    if call.operation == "generate":
        return OPENAI_CHAT, CHAT
    if call.operation == "embed":
        return OPENAI_EMBEDDINGS, EMBED
    raise InvalidRequest(
        f"The model {call.model!r} is served by {target.name}, which has no API for this.", param="model"
    )


def _stamped(event: Event, started: Started, begun: float) -> Event:
    """The decoded `Started` lends its id to the one that knows the target."""
    if not isinstance(event, Started):
        return event
    waited = time.perf_counter() - begun
    known: dict[str, Any] = {
        "id": event.id or started.id,
        "created": event.created or started.created,
        "waited": waited,
    }
    return msgspec.structs.replace(started, **known)
