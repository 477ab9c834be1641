"""vLLM: OpenAI's shape, and its tokenizer, adapters and load; a server that runs already, or a child started here."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import Final

import anyio
import structlog
from anyio.abc import TaskGroup

from gateway.config.environment import read_environment
from gateway.config.provider_settings import VllmSettings, VllmSpawnSettings
from gateway.core.call import Call
from gateway.core.content import Operation
from gateway.core.errors import SwitchgearError, UpstreamRefused
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS
from gateway.providers import openai_shaped
from gateway.providers.by_dialect import ByDialect
from gateway.providers.child_upstream import ChildUpstream
from gateway.providers.exchange import Exchange
from gateway.providers.http.below import Below
from gateway.providers.http.protocol import Upstream
from gateway.providers.keyring import Keyring
from gateway.providers.openai import extra_headers, open_probing, open_upstream
from gateway.providers.provider import Health
from gateway.providers.token_count import TOKENIZE
from gateway.providers.vllm import spawn
from gateway.providers.vllm.adapters import Adapters
from gateway.providers.vllm.fields import Fitted
from gateway.providers.vllm.load import Load, read_load
from gateway.providers.vllm.server_api import ServerApi

log = structlog.get_logger()

_PREFIX = "/v1"
_TEND_S = 30.0  # between looks at the adapters, where no load is read
_FAREWELL_S = 5.0


class VllmProvider:
    """One vLLM server. Calls never wait for what is watched in the background, nor fail by it."""

    constrains: Final = "vllm"
    strictness: Final = "vllm"

    def __init__(self, name: str, settings: VllmSettings) -> None:
        self.name = name
        self._apis = settings.spoken_apis
        self._interval = settings.load_interval
        keys = [key.reveal() for key in settings.keys]
        self._child: ChildUpstream | None = None
        if settings.spawn is not None:
            keys = keys or [spawn.own_key(settings.spawn) or secrets.token_urlsafe(32)]
            self._child = _child(name, settings, settings.spawn, keys[0])
        base, slash, _ = settings.endpoint.rpartition(_PREFIX)
        prefix = _PREFIX if slash and settings.endpoint.endswith(_PREFIX) else ""
        self._root: Upstream = self._child or open_upstream(base if prefix else settings.endpoint, settings)
        keyring, headers = Keyring(keys), extra_headers(settings)
        self._at_root = openai_shaped.Access(upstream=self._root, keyring=keyring, headers=headers)
        self._access = openai_shaped.Access(
            upstream=Below(self._root, prefix.encode()),
            keyring=keyring,
            headers=headers,
            stream_usage=settings.stream_usage,
        )
        self._server = ServerApi(self._root, prefix.encode(), keyring, headers)
        # A server started here is given its adapters on the command line, and has them after every restart.
        self._adapters = Adapters(name, {} if self._child else settings.lora, self._server)
        self._load: Load | None = None
        self._fault: Health | None = None
        self._probing = open_probing(
            name, settings, base if prefix else settings.endpoint, "/health", self._at_root.credentials
        )
        self._watch = anyio.CancelScope()

    def responder(self, target: Target) -> Responder:
        """Give what answers calls for one model, or one adapter."""
        shaped = openai_shaped.responder(self.name, self._access, self._apis, target)
        count = Exchange(openai_shaped.OpenAIWire(self._at_root, TOKENIZE, b"/tokenize"), target, verbatim=False)
        own: dict[str, Responder] = {}
        if "messages" in self._apis:
            wire = openai_shaped.OpenAIWire(self._access, ANTHROPIC_COUNT_TOKENS, b"/messages/count_tokens")
            own[ANTHROPIC_COUNT_TOKENS.name] = Exchange(wire, target, verbatim=True)
        translated: dict[Operation, Responder] = dict.fromkeys(openai_shaped.operations(self._apis), shaped)
        answering = Fitted(ByDialect(self.name, own, {**translated, "count_tokens": count}))
        return _Adapted(answering, target, self._adapters) if self._adapters.any else answering

    def relays(self, dialect: str) -> bool:
        """Whether the server speaks this dialect itself, as far as the settings say."""
        if dialect == ANTHROPIC_COUNT_TOKENS.name:
            return "messages" in self._apis
        return dialect in openai_shaped.dialects(self._apis)

    def loses(self, call: Call) -> tuple[str, ...]:
        """Give what of a call the server's APIs have no place for; `top_k` it has."""
        return tuple(name for name in openai_shaped.loses(self._apis, call) if name != "top_k")

    def serves(self, operation: Operation) -> bool:
        """Token counts, and what its APIs do."""
        return operation == "count_tokens" or operation in openai_shaped.operations(self._apis)

    def health(self, model: str) -> Health:
        """Tell what the child's supervisor, or the last look at the server, says."""
        if self._child is not None and (child := self._child.health()).state != "ready":
            return child
        if self._probing is not None and (checked := self._probing.health()).state != "ready":
            return checked
        if self._fault is not None:
            return self._fault
        fault = self._adapters.fault(model)
        return Health() if fault is None else Health(state="failed", detail=fault)

    @property
    def watched(self) -> bool:
        """Whether it may tell of more than that it is ready."""
        return self._child is not None or self._probing is not None or self._interval > 0 or self._adapters.any

    def load(self) -> Load | None:
        """Give the last reading of the server's load; None when there is none, or the last one failed."""
        return self._load

    async def start(self, tasks: TaskGroup) -> None:
        """Start the child, and begin to watch."""
        if self._child is not None:
            self._child.start(tasks)
        if self._probing is not None:
            tasks.start_soon(self._probing.run)
        if self._interval > 0 or self._adapters.any:
            tasks.start_soon(self._keep_watch)

    async def _keep_watch(self) -> None:
        with self._watch:
            while True:
                if self._child is None or self._child.health().state == "ready":
                    await self._look()
                await anyio.sleep(self._interval or _TEND_S)

    async def _look(self) -> None:
        try:
            if self._interval > 0:
                self._load = read_load(await self._server.metrics(), at=time.time())
            await self._adapters.tend()
        except SwitchgearError as exc:
            if self._fault is None:
                log.warning("vllm.lost", provider=self.name, reason=exc.message)
            # A server whose figures alone cannot be had, behind a proxy perhaps, still serves calls.
            answers = isinstance(exc, UpstreamRefused)
            self._load, self._fault = None, Health(state="failed", detail=exc.message, answers=answers)
            return
        if self._fault is not None:
            log.info("vllm.found_again", provider=self.name)
            self._fault = None

    def kill(self) -> None:
        """End the child, if there is one, at once."""
        if self._child is not None:
            self._child.kill()

    async def aclose(self) -> None:
        """Stop watching, unload the adapters loaded here, close the connections, stop the child."""
        self._watch.cancel()
        if self._probing is not None:
            await self._probing.aclose()
        with anyio.move_on_after(_FAREWELL_S), suppress(SwitchgearError):
            await self._adapters.unload()
        await self._root.aclose()


class _Adapted:
    """Says at once why an adapter's calls cannot be answered, where the server would only say that it knows no such model."""

    def __init__(self, responder: Responder, target: Target, adapters: Adapters) -> None:
        self._responder = responder
        self._target = target
        self._adapters = adapters

    async def __call__(self, call: Call, send: Send) -> None:
        if (fault := self._adapters.fault(self._target.model)) is not None:
            raise UpstreamRefused(f"The adapter {self._target.name} is not loaded: {fault}", upstream_status=503)
        await self._responder(call, send)


def _child(name: str, settings: VllmSettings, started: VllmSpawnSettings, key: str) -> ChildUpstream:
    command = spawn.command(started, settings.lora, read_environment(), key)
    supervisor = spawn.supervisor(f"vLLM ({name})", started, command)
    return ChildUpstream(supervisor, connections=settings.connections, prefix="", patient=False)
