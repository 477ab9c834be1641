"""Llama: one GGUF model in this process, run by llama.cpp (xllamacpp) with parallel slots. It speaks llama.cpp's own events.

Why its in-process calls and not its own listener: a callback that answers True stops a generation at the next event, its
listener looks for closed connections once a second. Facts (SmolLM2-135M Q4_1, one thread of a 2-core machine): loads in 2 s,
75 tok/s for one stream, constrained or not, and the same in sum for four, prefill 40 to 125 tok/s by what else runs, 370 to
410 MB resident with 4 slots of 4096 tokens. The KV
cache is kept in q8_0: half the memory of f16 at the same speed. Prompts are read 16 tokens at a time, no slower, so that others
get their next token, and a cancelled prompt stops, within half a second.
"""

from __future__ import annotations

import http.client
import math
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
import xllamacpp
from anyio.streams.memory import MemoryObjectSendStream

from gateway.core.errors import InternalError, InvalidRequest, SwitchgearError, Unavailable
from gateway.providers.embedded.endurance import Vigil

Kind = Literal["chat", "text"]
Event = dict[str, Any]
OnEvent = Callable[[Event], Awaitable[None]]

# The extension module has no stubs: type checkers see nothing in it.
_native: Any = xllamacpp
_Q8_0 = 8
_PROMPT_BATCH = 16
_WAITING_LIMIT = 64
# A prompt prefix is found again in its slot; llama.cpp's second cache, in host memory, may take 8 GB by default.
_HOST_CACHE_MIB = 0
_ERRORS_ONLY = 1


class Llama:
    """A loaded model. Made by `load`; belongs to one event loop."""

    def __init__(self, server: Any, *, key: str, slots: int, context: int) -> None:
        self._server = server
        self._key = key
        self._address = server.listening_address.removeprefix("http://")
        self._slots = anyio.CapacityLimiter(slots)
        self.slots = slots
        self.context = context
        self.vigil = Vigil()
        self.end_token = self._find_end_token()

    @property
    def waiting(self) -> int:
        """How many generations wait for a slot."""
        return self._slots.statistics().tasks_waiting

    async def generate(self, kind: Kind, request: dict[str, Any], on_event: OnEvent) -> None:
        """Generate, handing each event to `on_event`; ends with the last one. A cancelled call stops computing.

        `request` is llama.cpp's own. Waits first come, first served for a slot. Raises Unavailable when too many wait, and
        what `on_event` raises, which also stops the generation.
        """
        if self.waiting >= _WAITING_LIMIT:
            raise Unavailable("Too many requests wait for the embedded model.", retry_after=5)
        # Unbounded, but its content is not: a generation ends at the context's length.
        send, events = anyio.create_memory_object_stream[Event](math.inf)
        left = _Left()
        failure: list[SwitchgearError] = []
        async with anyio.create_task_group() as tasks, events:
            tasks.start_soon(self._run, kind, request, send, left)
            try:
                async for event in events:
                    await on_event(event)
            except SwitchgearError as error:
                # Carried out by hand: the task group would wrap it.
                failure.append(error)
            finally:
                left.now = True
                tasks.cancel_scope.cancel()
        if failure:
            raise failure[0]

    async def _run(
        self,
        kind: Kind,
        request: dict[str, Any],
        send: MemoryObjectSendStream[Event],
        left: _Left,
    ) -> None:
        handle = self._server.handle_chat_completions if kind == "chat" else self._server.handle_completions
        options = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}

        def on_event(event: Event) -> bool:
            self.vigil.heard()
            if not left.now:
                anyio.from_thread.run_sync(_offer, send, event)
            return left.now

        def run() -> None:
            with self.vigil.over(constrained="grammar" in request):
                handle({**request, **options}, on_event)

        with send:
            try:
                # Not abandoned when cancelled: the slot is free when the native call is over, not before.
                await anyio.to_thread.run_sync(run, limiter=self._slots)
            except RuntimeError as exc:
                # What xllamacpp raises for a request that llama.cpp refuses before it has a slot.
                _offer(send, {"error": {"code": 400, "message": str(exc)}})

    async def tokens(self, *, messages: list[dict[str, Any]] | None = None, text: str = "") -> list[int]:
        """Give the token ids of a rendered conversation, or of `text`."""
        if messages is not None:
            text = (await self._ask("POST", "/apply-template", {"messages": messages}))["prompt"]
        body = {"content": text, "add_special": True, "parse_special": True}
        tokens: list[int] = (await self._ask("POST", "/tokenize", body))["tokens"]
        return tokens

    async def busy(self) -> int:
        """Ask llama.cpp itself how many slots compute now."""
        return sum(1 for slot in await self._ask("GET", "/slots", None) if slot["is_processing"])

    def _find_end_token(self) -> int:
        ask = {
            "content": self._ask_now("GET", "/props", None)["eos_token"],
            "add_special": False,
            "parse_special": True,
        }
        return int(self._ask_now("POST", "/tokenize", ask)["tokens"][0])

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        return await anyio.to_thread.run_sync(self._ask_now, method, path, body)

    def _ask_now(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, msgspec.json.encode(body) if body is not None else None, headers)
            response = connection.getresponse()
            answer = msgspec.json.decode(response.read())
        finally:
            connection.close()
        if response.status == 400:
            raise InvalidRequest(str(answer.get("error", {}).get("message", "refused")))
        if response.status != 200:
            raise InternalError
        return answer


class _Left:
    """Whether the client has left: written by the event loop, read by the generation's thread."""

    now = False


def _offer(send: MemoryObjectSendStream[Event], event: Event) -> None:
    try:
        send.send_nowait(event)
    except anyio.BrokenResourceError:
        # The reader left between two events; the next one finds `left` set.
        return


def load(path: str, *, threads: int, slots: int, context: int) -> Llama:
    """Load the GGUF file at `path`, with `slots` parallel generations of `context` tokens each.

    Raises RuntimeError when llama.cpp cannot load it.
    """
    key = secrets.token_hex(16)
    params = _native.CommonParams()
    params.model.path = path
    params.n_ctx = context * slots
    params.n_parallel = slots
    params.n_batch = params.n_ubatch = _PROMPT_BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_type_k = params.cache_type_v = _Q8_0
    params.cache_ram_mib = _HOST_CACHE_MIB
    params.verbosity = _ERRORS_ONLY
    # Its listener cannot be turned off; it serves only our own questions (template, tokens, slots), under a key of its own.
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_threads_http = 2
    params.ui = False
    return Llama(_native.Server(params), key=key, slots=slots, context=context)
