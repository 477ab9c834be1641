"""Tells whether two answers to the same question say the same: by a model that judges, else by their meaning and by the guards. Coarse."""

from __future__ import annotations

from typing import Final, Literal

import anyio

from gateway.cache.asking import Asking, cosine
from gateway.cache.budget import Budget
from gateway.cache.embedded_texts import EmbeddedTexts
from gateway.cache.refusals import Refusal
from gateway.cache.verifier import compared, say
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.ids import NewId

Compared = Literal["right", "wrong", "unclear", "failed"]

ALIKE: Final = 0.8
"""Cosine from which two answers say the same."""
APART: Final = 0.5
"""Cosine below which they do not. Between both nobody knows."""
SHORT: Final = 200
"""Characters up to which the guards look at answers: longer ones differ in some word, whatever they say."""
TELLING: Final = frozenset({"dates", "negation", "numbers", "units"})
"""Guards whose word counts between answers. Other words and names prove nothing: what is the same can be said in many ways."""
_SECONDS: Final = 30.0
_MOST_SHOWN: Final = 8000
_OUTPUT_TOKENS: Final = 16
_ANSWERS: Final = (
    "The first text is a question, the other two are answers to it. Do both answers say the same in substance, so that who "
    "has read one learns nothing different from the other? Other wording, order and length do not matter; another fact, number, name, "
    "recommendation or conclusion does. Answer with one word, yes or no, and nothing else."
)


class Comparison:
    """Compares answers by `model`, or without one by vectors. `budget` is that of the model's questions."""

    def __init__(
        self, model: str | None, texts: EmbeddedTexts, guard: Refusal | None, *, budget: Budget, new_id: NewId
    ) -> None:
        self._model = model
        self._texts = texts
        self._guard = guard
        self._budget = budget
        self._new_id = new_id

    async def compare(self, question: str, served: str, again: str, asking: Asking, call: Call) -> Compared:
        """Say whether an answer that was served is as good as the one that the question's own is."""
        if " ".join(served.split()).casefold() == " ".join(again.split()).casefold():
            return "right"
        if self._model is not None:
            return await self._judged(self._model, question, served, again, asking, call)
        try:
            with anyio.fail_after(_SECONDS):
                one, other = await self._texts.of((served[:_MOST_SHOWN], again[:_MOST_SHOWN]), asking, call)
        except (SwitchgearError, OSError):
            return "failed"
        alike = cosine(one, other)
        if alike < APART:
            return "wrong"
        short = len(served) <= SHORT and len(again) <= SHORT
        if short and self._guard is not None and self._guard(again, served) in TELLING:
            return "wrong"
        return "right" if alike >= ALIKE else "unclear"

    async def _judged(self, model: str, question: str, served: str, again: str, asking: Asking, call: Call) -> Compared:
        texts = {"the question": question, "the first answer": served, "the second answer": again}
        shown = {name: text[:_MOST_SHOWN] for name, text in texts.items()}
        prompt = compared(_ANSWERS, shown, _OUTPUT_TOKENS, self._new_id)
        said = await say(model, prompt, asking, call, budget=self._budget, seconds=_SECONDS)
        if said == "yes":
            return "right"
        if said == "no":
            return "wrong"
        return "unclear" if said == "unclear" else "failed"
