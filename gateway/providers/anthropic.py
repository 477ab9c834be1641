"""Anthropic's Messages API, natively: messages and token counts go out as they came, every other dialect translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from anyio.abc import TaskGroup

from gateway.config.provider_settings import AnthropicSettings
from gateway.core.call import Call
from gateway.core.content import Operation
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES
from gateway.dialects.dialect import Dialect
from gateway.dialects.parameters import parameters_lost
from gateway.providers.by_dialect import ByDialect
from gateway.providers.exchange import Exchange
from gateway.providers.http.protocol import Upstream
from gateway.providers.keyring import Keyring
from gateway.providers.openai import extra_headers, open_probing, open_upstream
from gateway.providers.provider import Health

Headers = tuple[tuple[bytes, bytes], ...]

PATHS: Mapping[str, bytes] = {
    ANTHROPIC_MESSAGES.name: b"/v1/messages",
    ANTHROPIC_COUNT_TOKENS.name: b"/v1/messages/count_tokens",
}


class AnthropicWire:
    """A Wire for the Messages API and its token counting."""

    def __init__(self, upstream: Upstream, dialect: Dialect, keyring: Keyring, headers: Headers, beta: str) -> None:
        self.upstream = upstream
        self.dialect = dialect
        self._keyring = keyring
        self._fixed = headers
        self._beta = beta.encode("utf-8")

    def headers(self, call: Call, key: str | None) -> Headers:
        """Give version, credentials, and the beta features of operator and client together."""
        asked = [value for name, value in call.headers if name == b"anthropic-beta"]
        betas = [value for value in (self._beta, *asked) if value]
        credentials = () if key is None else ((b"x-api-key", key.encode("utf-8")),)
        beta = ((b"anthropic-beta", b",".join(betas)),) if betas else ()
        return (*self._fixed, *credentials, *beta)

    def path(self, call: Call, target: Target) -> bytes:
        """Give the API's path; the model is named in the body."""
        del call, target
        return PATHS[self.dialect.name]

    def changes(self, call: Call, target: Target) -> Mapping[str, bytes]:
        """Name the target's model."""
        return {} if call.model == target.model else {"model": msgspec.json.encode(target.model)}

    def adapt(self, body: dict[str, object], call: Call) -> dict[str, object]:
        """Nothing differs from the dialect."""
        del call
        return body

    def credentials(self) -> Sequence[str | None]:
        """Give the keys in turn."""
        return self._keyring.in_turn()

    def stripper(self, call: Call) -> Callable[[bytes], bytes] | None:
        """Nothing was added."""
        del call
        return None


class AnthropicProvider:
    """One account at Anthropic, or at whatever speaks its API."""

    strictness: Final = "anthropic"

    def __init__(self, name: str, settings: AnthropicSettings) -> None:
        self.name = name
        self._upstream = open_upstream(settings.base_url, settings)
        self._keyring = Keyring([key.reveal() for key in settings.keys])
        self._headers: Headers = (
            (b"content-type", b"application/json"),
            (b"anthropic-version", settings.version.encode("utf-8")),
            *extra_headers(settings),
        )
        self._beta = ",".join(settings.beta)
        self._probing = open_probing(name, settings, settings.base_url, "/v1/models", self._credentials)

    @property
    def watched(self) -> bool:
        """Whether there are health checks."""
        return self._probing is not None

    def _credentials(self) -> Headers:
        key = self._keyring.in_turn()[0]
        return self._headers if key is None else (*self._headers, (b"x-api-key", key.encode("utf-8")))

    def responder(self, target: Target) -> Responder:
        """Give what answers calls for one model."""
        messages, count = (self._wire(dialect) for dialect in (ANTHROPIC_MESSAGES, ANTHROPIC_COUNT_TOKENS))
        own: dict[str, Responder] = {
            wire.dialect.name: Exchange(wire, target, verbatim=True) for wire in (messages, count)
        }
        translated: dict[Operation, Responder] = {
            "generate": Exchange(messages, target, verbatim=False),
            "count_tokens": Exchange(count, target, verbatim=False),
        }
        return ByDialect(self.name, own, translated)

    def _wire(self, dialect: Dialect) -> AnthropicWire:
        return AnthropicWire(self._upstream, dialect, self._keyring, self._headers, self._beta)

    def relays(self, dialect: str) -> bool:
        """Whether this is Anthropic's own dialect."""
        return dialect in PATHS

    def loses(self, call: Call) -> tuple[str, ...]:
        """Give what of a call Anthropic's API has no place for."""
        if call.operation != "generate" or call.dialect in PATHS:
            return ()
        return parameters_lost(ANTHROPIC_MESSAGES, call.content)

    def serves(self, operation: Operation) -> bool:
        """Generation and token counts."""
        return operation in ("generate", "count_tokens")

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
        await self._upstream.aclose()
