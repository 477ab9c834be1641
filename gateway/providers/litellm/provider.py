"""A provider that litellm adapts. It needs the extra `litellm`; without it, health and every call say how to install it."""

from __future__ import annotations

import anyio
from anyio.abc import TaskGroup

from gateway.config.provider_settings import LitellmSettings
from gateway.core.call import Call
from gateway.core.content import Operation, Prompt
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.parameters import parameters_lost
from gateway.providers.litellm.answering import Answering
from gateway.providers.litellm.arguments import fixed
from gateway.providers.litellm.library import Library
from gateway.providers.provider import Health


class LitellmProvider:
    """One account at one upstream, reached through litellm's async functions."""

    def __init__(self, name: str, settings: LitellmSettings) -> None:
        self.name = name
        self._provider = settings.provider
        self._fixed = fixed(settings)
        self._library = Library()
        self._importing = anyio.CancelScope()

    def responder(self, target: Target) -> Responder:
        """Give what answers calls for one model."""
        return Answering(self._library, target, f"{self._provider}/{target.model}", self._fixed)

    def relays(self, dialect: str) -> bool:
        """Nothing goes out as it came."""
        del dialect
        return False

    def loses(self, call: Call) -> tuple[str, ...]:
        """Give what of a call Chat Completions has no place for; whether the upstream knows the rest, litellm says."""
        if call.operation != "generate" or not isinstance(call.content, Prompt):
            return ()
        top_k = ("top_k",) if call.content.top_k is not None else ()
        return tuple(dict.fromkeys((*parameters_lost(OPENAI_CHAT, call.content), *top_k)))

    def serves(self, operation: Operation) -> bool:
        """Generation and embeddings."""
        return operation in ("generate", "embed")

    watched = True

    def health(self, model: str) -> Health:
        """Tell how far the import of litellm is; whether the upstream answers shows with each call."""
        del model
        return Health(state=self._library.state, detail=self._library.reason)

    async def start(self, tasks: TaskGroup) -> None:
        """Begin to import litellm."""
        tasks.start_soon(self._import)

    async def _import(self) -> None:
        with self._importing:
            await self._library.load()

    async def aclose(self) -> None:
        """Stop waiting for the import. Connections are litellm's own, and close when they have been idle."""
        self._importing.cancel()
