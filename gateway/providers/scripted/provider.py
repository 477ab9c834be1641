"""The scripted provider: models from a document, served without any upstream."""

from __future__ import annotations

import hashlib
import math
import time

from anyio.abc import TaskGroup

from gateway.config.provider_settings import ScriptedSettings
from gateway.core.call import Call
from gateway.core.content import EmbeddingInput, Operation, Prompt
from gateway.core.errors import InvalidRequest, UpstreamRefused
from gateway.core.events import Embeddings, Finished, Started, TokenCount
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.providers.provider import Health
from gateway.providers.scripted.choose import fitting, situation
from gateway.providers.scripted.document import ScriptedAnswer, ScriptedModel, load_script
from gateway.providers.scripted.player import play
from gateway.providers.token_estimate import ESTIMATED, estimate


class ScriptedProvider:
    """Serves the models of one script."""

    def __init__(self, name: str, settings: ScriptedSettings) -> None:
        self.name = name
        self._script = load_script(settings.document)

    def responder(self, target: Target) -> Responder:
        """Give what plays one model. Its counters of failures live as long as the configuration's generation."""
        return ScriptedResponder(target, self._script.models.get(target.model))

    def relays(self, dialect: str) -> bool:
        """Never: a script looks at what was said."""
        del dialect
        return False

    def serves(self, operation: Operation) -> bool:
        """Generation, estimated token counts, embeddings."""
        return operation in ("generate", "count_tokens", "embed")

    def health(self, model: str) -> Health:
        """Always ready."""
        del model
        return Health()

    async def start(self, tasks: TaskGroup) -> None:
        """Nothing runs in the background."""

    async def aclose(self) -> None:
        """Nothing is open."""


class ScriptedResponder:
    """Answers calls for one model of a script."""

    def __init__(self, target: Target, model: ScriptedModel | None) -> None:
        self._target = target
        self._model = model
        self._failed: dict[int, int] = {}

    async def __call__(self, call: Call, send: Send) -> None:
        """Play the first answer that fits. Raises UpstreamRefused (404) for a model that the script lacks."""
        if self._model is None:
            msg = f"The script has no model {self._target.model!r}."
            raise UpstreamRefused(msg, upstream_status=404, code="model_not_found")
        counts = call.operation == "count_tokens"
        started = Started(
            id=call.id,
            model=call.model,
            created=int(time.time()),
            target=self._target.name,
            headers=(ESTIMATED,) if counts else (),
        )
        content = call.content
        if isinstance(content, EmbeddingInput):
            await self._embed(content, self._model, started, send)
        elif not isinstance(content, Prompt):
            msg = f"The script of {self._target.name} has nothing for such calls."
            raise InvalidRequest(msg, param="model")
        elif counts:
            await send(started)
            await send(TokenCount(input_tokens=estimate(content)))
            await send(Finished())
        else:
            now = situation(content.items)
            answer = self._choose(fitting(self._model.answers, now))
            await play(answer, now, call, started, send)

    def _choose(self, answers: list[ScriptedAnswer]) -> ScriptedAnswer:
        for answer in answers:
            if answer.fail is None or answer.fail.times is None:
                return answer
            failed = self._failed.get(id(answer), 0)
            if failed < answer.fail.times:
                self._failed[id(answer)] = failed + 1
                return answer
        msg = "The script has no answer that fits this conversation."
        raise UpstreamRefused(msg, upstream_status=400, code="script_has_no_answer")

    async def _embed(self, content: EmbeddingInput, model: ScriptedModel, started: Started, send: Send) -> None:
        if model.embedding_dimensions is None:
            msg = f"The scripted model {self._target.name} has no embeddings."
            raise InvalidRequest(msg, param="model")
        size = content.dimensions or model.embedding_dimensions
        await send(started)
        await send(Embeddings(vectors=tuple(_vector(repr(text), size) for text in content.inputs)))
        words = sum(len(text.split()) if isinstance(text, str) else len(text) for text in content.inputs)
        await send(Finished(usage=Usage(input=words, estimated=True)))


def _vector(text: str, size: int) -> tuple[float, ...]:
    """Give a unit vector that depends on the text alone. It means nothing: equal texts are equal, that is all."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * size)
    raw = [int.from_bytes(digest[2 * i : 2 * i + 2], "big") / 32767.5 - 1 for i in range(size)]
    norm = math.sqrt(sum(x * x for x in raw)) or 1.0
    return tuple(x / norm for x in raw)
