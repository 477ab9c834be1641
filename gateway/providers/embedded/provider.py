"""The embedded provider: a small chat model and a sentence-embedding model, each in a child process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Final

from anyio.abc import TaskGroup

from gateway.config.provider_settings import EMBEDDING_MODEL, EmbeddedSettings
from gateway.core.call import Call
from gateway.core.content import Operation
from gateway.core.errors import ModelNotFound, UpstreamUnreachable
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.providers import openai_shaped
from gateway.providers.by_dialect import Counted
from gateway.providers.child_upstream import ChildUpstream
from gateway.providers.embedded.fitted import Fitted
from gateway.providers.embedded.launch import MissingModel, chat_command, chat_model, embedding_command
from gateway.providers.embedded.patient import Patient
from gateway.providers.exchange import Exchange
from gateway.providers.http.below import Below
from gateway.providers.keyring import Keyring
from gateway.providers.provider import Health
from gateway.providers.supervisor import ChildCommand, ChildSupervisor, RestartPolicy
from gateway.providers.token_count import TOKENIZE

_CONNECTIONS = 256  # requests that may wait for a slot at once


class EmbeddedModel:
    """One model in one child, or the reason why there is none."""

    def __init__(
        self, name: str, apis: tuple[str, ...], command: Callable[[], ChildCommand], settings: EmbeddedSettings
    ) -> None:
        self.name = name
        self.apis = apis
        self.missing: str | None = None
        self.upstream: ChildUpstream | None = None
        self.access: openai_shaped.Access | None = None
        self.at_root: openai_shaped.Access | None = None
        try:
            started_by = command()
        except MissingModel as exc:
            self.missing = str(exc)
            return
        policy = RestartPolicy(start_timeout=settings.start_timeout)
        child = ChildSupervisor(name, started_by, policy=policy, lazy=settings.load == "lazy")
        noun = f"The embedded model {name!r}"
        self.upstream = ChildUpstream(child, connections=_CONNECTIONS, prefix="", noun=noun)
        keyring = Keyring([started_by.first_line or ""])
        self.at_root = openai_shaped.Access(upstream=self.upstream, keyring=keyring)
        self.access = openai_shaped.Access(upstream=Below(self.upstream, b"/v1"), keyring=keyring)

    def health(self) -> Health:
        """Tell the child's state."""
        if self.upstream is None:
            return Health(state="failed", detail=self.missing)
        return self.upstream.health()


class EmbeddedProvider:
    """The models of this machine. What is missing (a package, a file) is told by health and by every call, not at start."""

    constrains: Final = "grammar"

    def __init__(self, name: str, settings: EmbeddedSettings) -> None:
        self.name = name
        self._models: dict[str, EmbeddedModel] = {}
        if settings.chat_model != "off":
            chat = settings.chat_model
            self._models[chat] = EmbeddedModel(chat, ("chat", "completions"), lambda: _chat_command(settings), settings)
        if settings.embedding:
            self._models[EMBEDDING_MODEL] = EmbeddedModel(EMBEDDING_MODEL, ("embeddings",), embedding_command, settings)
        apis = [api for model in self._models.values() for api in model.apis]
        self._apis = tuple(apis)
        self._dialects = openai_shaped.dialects(apis)
        self._operations = openai_shaped.operations(apis)

    def responder(self, target: Target) -> Responder:
        """Give what answers calls for one model."""
        model = self._models.get(target.model)
        if model is None:
            known = ", ".join(self._models) or "none"
            message = f"The embedded provider {self.name} has no model {target.model!r}; it has: {known}."
            return _Unserved(ModelNotFound(message))
        if model.access is None or model.at_root is None:
            return _Unserved(UpstreamUnreachable(model.missing or ""))
        shaped = Patient(partial(openai_shaped.responder, self.name, model.access, model.apis), target)
        if "chat" not in model.apis:
            return shaped
        count = Exchange(openai_shaped.OpenAIWire(model.at_root, TOKENIZE, b"/tokenize"), target, verbatim=False)
        return Fitted(Counted(shaped, count), target)

    def relays(self, dialect: str) -> bool:
        """The children speak OpenAI's chat, completions and embeddings themselves."""
        return dialect in self._dialects

    def loses(self, call: Call) -> tuple[str, ...]:
        """Give what of a call the children's API has no place for; `top_k` it has."""
        return tuple(name for name in openai_shaped.loses(self._apis, call) if name != "top_k")

    def serves(self, operation: Operation) -> bool:
        """Generation, its token counts, and embeddings, as far as they are switched on."""
        return operation in self._operations or (operation == "count_tokens" and "generate" in self._operations)

    watched = True

    def health(self, model: str) -> Health:
        """Tell the state of the model's child."""
        found = self._models.get(model)
        return Health(state="failed", detail=f"there is no model {model!r}") if found is None else found.health()

    async def start(self, tasks: TaskGroup) -> None:
        """Begin to supervise the children; lazy ones start with their first request."""
        for model in self._models.values():
            if model.upstream is not None:
                model.upstream.start(tasks)

    def kill(self) -> None:
        """End the children at once."""
        for model in self._models.values():
            if model.upstream is not None:
                model.upstream.kill()

    async def aclose(self) -> None:
        """Stop the children."""
        for model in self._models.values():
            if model.upstream is not None:
                await model.upstream.aclose()


class _Unserved:
    """Answers every call with the reason why there is no answer."""

    def __init__(self, reason: ModelNotFound | UpstreamUnreachable) -> None:
        self._reason = reason

    async def __call__(self, call: Call, send: Send) -> None:
        """Raise the reason: a new one each time, an exception carries the traceback of its call."""
        del call, send
        raise type(self._reason)(self._reason.message)


def _chat_command(settings: EmbeddedSettings) -> ChildCommand:
    path = settings.chat_model_path
    model = chat_model(
        None if path is None else str(path),
        cores=os.cpu_count() or 2 if settings.threads is None else settings.threads + 1,
        slots=settings.parallel,
        context=settings.context // settings.parallel,
    )
    return chat_command(model)
