"""Chat child: the program that serves one GGUF model over loopback HTTP in OpenAI's wire format, as a child of the gateway.

`python -m gateway.providers.embedded.chat_child MODEL.gguf --id ID [--threads N] [--slots N] [--context N]`; token on stdin,
`ready <port>` on stdout (see `loopback`). A crash of native code ends this process and no other.
POST /v1/chat/completions, /v1/completions (fields: see `generation`), /tokenize; GET /health, /slots, /v1/models.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from gateway.core.errors import SwitchgearError
from gateway.core.ids import new_id
from gateway.providers.embedded import request_fields as field
from gateway.providers.embedded.choices import Choice, Event, Folded, usage
from gateway.providers.embedded.compiling import Compiling
from gateway.providers.embedded.conversation import read_messages
from gateway.providers.embedded.endurance import bound_memory
from gateway.providers.embedded.generation import Generation, read_chat, read_text
from gateway.providers.embedded.llama import Llama, load
from gateway.providers.embedded.loopback import LoopbackApp, Reply, serve, take_stdin, take_stdout
from gateway.providers.embedded.promises import keep_arguments
from gateway.providers.embedded.structured import compile_schema
from gateway.providers.embedded.tool_choice import read_tools
from gateway.schemas.worker import Judging

_OBJECTS = {"chat": ("chat.completion", "chatcmpl-"), "text": ("text_completion", "cmpl-")}


class ChatService:
    """The endpoints around one loaded model."""

    def __init__(self, llama: Llama, model: str) -> None:
        self._llama = llama
        self._model = model
        self._judging = Judging(size=1)
        self._compiling = Compiling(room=llama.context)

    def app(self, token: str) -> LoopbackApp:
        """Give the ASGI application that serves the endpoints to the holder of `token`."""
        routes = {
            "POST /v1/chat/completions": self.chat,
            "POST /v1/completions": self.completions,
            "POST /tokenize": self.tokenize,
            "GET /health": self.health,
            "GET /slots": self.slots,
            "GET /v1/models": self.models,
        }
        return LoopbackApp(routes, token=token, beside=self._llama.vigil.keep)

    async def chat(self, body: dict[str, Any], reply: Reply) -> None:
        """POST /v1/chat/completions."""
        read = partial(read_chat, body, slots=self._llama.slots, end=self._llama.end_token, room=self._llama.context)
        await self._answer(await self._read(read, body), reply)

    async def completions(self, body: dict[str, Any], reply: Reply) -> None:
        """POST /v1/completions."""
        read = partial(read_text, body, slots=self._llama.slots, end=self._llama.end_token, room=self._llama.context)
        await self._answer(await self._read(read, body), reply)

    async def tokenize(self, body: dict[str, Any], reply: Reply) -> None:
        """POST /tokenize: {"messages", "tools"?, "tool_choice"?} or {"prompt"} to {"tokens", "count", "max_model_len"}."""
        field.refuse_unknown(body, ("model", "messages", "prompt", "tools", "tool_choice"))
        if body.get("messages") is not None:
            tokens = await self._llama.tokens(messages=read_messages(body["messages"], read_tools(body)))
        else:
            tokens = await self._llama.tokens(text=field.text(body.get("prompt"), "prompt"))
        await reply.json({"tokens": tokens, "count": len(tokens), "max_model_len": self._llama.context})

    async def health(self, _: dict[str, Any], reply: Reply) -> None:
        """GET /health: it answers at once, however busy the model is."""
        await reply.json({"status": "ok", "model": self._model, "waiting": self._llama.waiting})

    async def slots(self, _: dict[str, Any], reply: Reply) -> None:
        """GET /slots: how many compute now, as llama.cpp counts them."""
        await reply.json({"slots": self._llama.slots, "busy": await self._llama.busy()})

    async def models(self, _: dict[str, Any], reply: Reply) -> None:
        """GET /v1/models."""
        model = {"id": self._model, "object": "model", "created": 0, "owned_by": "switchgear"}
        await reply.json({"object": "list", "data": [{**model, "max_model_len": self._llama.context}]})

    async def _answer(self, wanted: Generation, reply: Reply) -> None:
        kind, prefix = _OBJECTS[wanted.kind]
        head = {"id": new_id(prefix), "object": kind, "created": int(time.time()), "model": self._model}
        if wanted.stream:
            await self._stream(
                wanted, {**head, "object": "chat.completion.chunk" if wanted.kind == "chat" else kind}, reply
            )
        else:
            await self._whole(wanted, head, reply)

    async def _read(self, read: Callable[[], Generation], body: dict[str, Any]) -> Generation:
        """Read a request; in a thread where a grammar has to be compiled, so that those who are being answered do not wait."""
        if body.keys() & {"response_format", "structured_outputs", "tools"}:
            await self._compiling.check(body)
            return await anyio.to_thread.run_sync(read)
        return read()

    async def _whole(self, wanted: Generation, head: dict[str, Any], reply: Reply) -> None:
        choices = [Choice(index, wanted) for index in range(len(wanted.requests))]
        folded = [Folded(index, wanted) for index in range(len(choices))]

        async def on_event(index: int, event: Event) -> None:
            chunks = choices[index].read(event)
            await self._keep(wanted, choices[index])
            for chunk in chunks:
                folded[index].add(chunk)

        await self._run(wanted, on_event)
        counted = usage(choices, wanted.n)
        await reply.json({**head, "choices": [choice.whole() for choice in folded], "usage": counted})

    async def _stream(self, wanted: Generation, head: dict[str, Any], reply: Reply) -> None:
        choices = [Choice(index, wanted) for index in range(len(wanted.requests))]
        tail = {"usage": None} if wanted.include_usage else {}

        async def on_event(index: int, event: Event) -> None:
            chunks = choices[index].read(event)
            await self._keep(wanted, choices[index])
            if "prompt_progress" in event:
                progress = event["prompt_progress"]
                await reply.comment(f"prompt {progress['processed']}/{progress['total']}")
            for chunk in chunks:
                await reply.event({**head, "choices": [chunk], **tail})

        await self._run(wanted, on_event)
        counted = usage(choices, wanted.n)
        if wanted.include_usage:
            await reply.event({**head, "choices": [], "usage": counted})
        await reply.done()

    async def _keep(self, wanted: Generation, choice: Choice) -> None:
        """Raise InvalidOutput for a finished text that is not what was promised: a stop string may have cut it."""
        if wanted.promise is not None and choice.finished is not None:
            text, choice.finished = choice.finished, None
            await wanted.promise.keep(text, self._judging)
        if wanted.tools is not None and choice.finished_calls:
            choice.finished_calls = False
            await keep_arguments(wanted.tools, choice.calls, self._judging)

    async def _run(self, wanted: Generation, on_event: Any) -> None:
        failures: list[SwitchgearError] = []

        async def generate(index: int, scope: anyio.CancelScope) -> None:
            try:
                await self._llama.generate(wanted.kind, wanted.requests[index], partial(on_event, index))
            except SwitchgearError as error:
                # Carried out by hand: the task group would wrap it. One failed choice ends the answer.
                failures.append(error)
                scope.cancel()

        async with anyio.create_task_group() as tasks:
            for index in range(len(wanted.requests)):
                tasks.start_soon(generate, index, tasks.cancel_scope)
        if failures:
            raise failures[0]


def main() -> None:
    """Load the model, announce the port, serve until the parent ends."""
    announce = take_stdout()
    arguments = argparse.ArgumentParser(prog="chat_child")
    arguments.add_argument("model", help="path of a GGUF file")
    arguments.add_argument("--id", required=True, help="the model's name in answers")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--slots", type=int, default=4)
    arguments.add_argument("--context", type=int, default=4096, help="tokens a slot")
    options = arguments.parse_args()
    token = take_stdin()
    # The grammar compiler is loaded, and tried, before anyone waits for it (0.3 s).
    compile_schema({"type": "object"})
    try:
        llama = load(options.model, threads=options.threads, slots=options.slots, context=options.context)
    except RuntimeError:
        # Why is llama.cpp's secret but for its log lines. Left at once: the watching thread cannot be ended in order.
        # On a line of its own, in one write: llama.cpp's thread may be in the middle of one of its lines.
        os.write(2, f"\nfatal: {Path(options.model).name} is no model that llama.cpp can load\n".encode())
        os._exit(1)
    bound_memory()
    serve(ChatService(llama, options.id).app(token), announce)


if __name__ == "__main__":
    main()
