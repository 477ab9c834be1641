"""OpenAI and every API of its shape; what differs between vendors is a preset of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from anyio.abc import TaskGroup

from gateway.config.presets import PRESETS
from gateway.config.provider_settings import HttpSettings, OpenAISettings
from gateway.config.secret import Secret
from gateway.core.call import Call
from gateway.core.content import Operation
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.providers import openai_shaped
from gateway.providers.by_dialect import Counted
from gateway.providers.exchange import Exchange
from gateway.providers.http.connect import make_upstream
from gateway.providers.http.protocol import Upstream
from gateway.providers.keyring import Keyring
from gateway.providers.probing import Get, Probing, split_root
from gateway.providers.provider import Health
from gateway.providers.token_count import INPUT_TOKENS
from gateway.providers.token_estimate import TokenEstimate


class OpenAIProvider:
    """One account at one upstream of OpenAI's shape."""

    def __init__(self, name: str, settings: OpenAISettings) -> None:
        self.name = name
        # Others of this shape take other subsets, which nobody knows.
        self.strictness: Literal["openai"] | None = "openai" if settings.kind in ("openai", "azure") else None
        self._apis = settings.spoken_apis
        self._dialects = openai_shaped.dialects(self._apis)
        self._operations = openai_shaped.operations(self._apis)
        self._counts = settings.kind == "openai" and "responses" in self._apis
        self._output_limit = PRESETS[settings.kind].output_limit
        query = f"?api-version={settings.azure_api_version}" if settings.azure_api_version else ""
        self._access = openai_shaped.Access(
            upstream=open_upstream(settings.endpoint, settings),
            keyring=Keyring([key.reveal() for key in settings.keys]),
            key_header=PRESETS[settings.kind].key_header,
            headers=extra_headers(settings),
            query=query.encode(),
            stream_usage=settings.stream_usage,
        )
        self._probing = open_probing(name, settings, settings.endpoint, f"/models{query}", self._access.credentials)

    @property
    def watched(self) -> bool:
        """Whether there are health checks."""
        return self._probing is not None

    def responder(self, target: Target) -> Responder:
        """Give what answers calls for one model."""
        adapt = None if "max_tokens" in target.without else self._adapt
        shaped = openai_shaped.responder(self.name, self._access, self._apis, target, adapt)
        return Counted(shaped, self._count(target)) if "generate" in self._operations else shaped

    def _count(self, target: Target) -> Responder:
        """Only OpenAI itself can be asked; for the others there is an estimate that says so."""
        if not self._counts:
            return TokenEstimate(target)
        wire = openai_shaped.OpenAIWire(self._access, INPUT_TOKENS, b"/responses/input_tokens")
        return Exchange(wire, target, verbatim=False)

    def _adapt(self, body: dict[str, object], call: Call) -> dict[str, object]:
        """Give the token limit the name that this vendor knows, in a translated chat call."""
        del call
        if self._output_limit == "max_tokens" and "messages" in body and "max_completion_tokens" in body:
            body["max_tokens"] = body.pop("max_completion_tokens")
        return body

    def relays(self, dialect: str) -> bool:
        """Whether the upstream speaks this dialect itself."""
        return dialect in self._dialects

    def loses(self, call: Call) -> tuple[str, ...]:
        """Give what of a call the upstream's APIs have no place for."""
        return openai_shaped.loses(self._apis, call)

    def serves(self, operation: Operation) -> bool:
        """Whether one of the upstream's APIs does this."""
        return operation in self._operations or (operation == "count_tokens" and "generate" in self._operations)

    def health(self, model: str) -> Health:
        """Tell what the health checks say; without them, whether it answers shows with each call."""
        del model
        return Health() if self._probing is None else self._probing.health()

    async def start(self, tasks: TaskGroup) -> None:
        """Begin the health checks."""
        if self._probing is not None:
            tasks.start_soon(self._probing.run)

    async def aclose(self) -> None:
        """End the health checks, and close the connections."""
        if self._probing is not None:
            await self._probing.aclose()
        await self._access.upstream.aclose()


def open_upstream(base_url: str, settings: HttpSettings, *, connections: int | None = None) -> Upstream:
    """Make the HTTP client that the settings ask for, perhaps with fewer connections."""
    proxy = settings.proxy
    return make_upstream(
        base_url,
        http=settings.http,
        connections=connections or settings.connections,
        proxy=proxy.reveal() if isinstance(proxy, Secret) else proxy,
    )


def open_probing(
    name: str, settings: HttpSettings, base_url: str, otherwise: str, credentials: Callable[[], openai_shaped.Headers]
) -> Probing | None:
    """Give the health checks that the settings ask for; `otherwise` is what is asked below the base address where they name no path.

    They have a connection of their own: a server whose connections are all taken by calls is not ill.
    """
    check = settings.health_check
    if check is None:
        return None
    root, below = split_root(base_url)
    upstream = open_upstream(root, settings, connections=1)
    extra = extra_headers(settings)
    path = below + otherwise if check.path is None else check.path
    asking = Get(upstream, path.encode(), lambda: (*credentials(), *extra), check.timeout)
    return Probing(name, check, asking, upstream.aclose)


def extra_headers(settings: HttpSettings) -> tuple[tuple[bytes, bytes], ...]:
    """Give the headers that the operator adds to every request."""
    return tuple(
        (name.lower().encode("latin-1"), (value.reveal() if isinstance(value, Secret) else value).encode("utf-8"))
        for name, value in settings.headers.items()
    )
