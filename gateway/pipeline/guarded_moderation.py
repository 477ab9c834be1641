"""The guardrail that asks a moderation model of this gateway, in process: what it flags does not pass."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.call import Call
from gateway.core.content import ModerationInput
from gateway.core.errors import UpstreamBroken
from gateway.core.events import Event, Moderations
from gateway.core.ids import new_id
from gateway.core.responder import Responder
from gateway.protection.verdict import ALLOW, Verdict


class ModerationJudge:
    """Asks `model` through `responder`, in the name of the caller; the question has a record of its own.

    `threshold` is the score from which a category counts; None takes the model's own word ("flagged").
    """

    def __init__(self, responder: Responder, model: str, threshold: float | None = None) -> None:
        self._responder = responder
        self._model = model
        self._threshold = threshold

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts. Raises what the model's route raises, or UpstreamBroken for what is no judgement."""
        said = [text for text in texts if text.strip()]
        if not said:
            return ALLOW
        results: list[object] = []

        async def collect(event: Event) -> None:
            if isinstance(event, Moderations):
                results.extend(event.results)

        await self._responder(self._question(said, call), collect)
        if not results:
            msg = f"The moderation model {self._model!r} gave no judgement."
            raise UpstreamBroken(msg)
        flagged = sorted({name for result in results for name in self._flagged(result)})
        return Verdict(decision="block", reason=", ".join(flagged)) if flagged else ALLOW

    def _question(self, texts: list[str], call: Call) -> Call:
        content = ModerationInput(input=texts)
        return Call(
            id=new_id("mod_"),
            operation="moderate",
            dialect="openai_moderations",
            opened=True,
            model=self._model,
            stream=False,
            caller=call.caller,
            received=call.received,
            body=msgspec.json.encode(content),
            fields={},
            content=content,
            trace=call.trace,
        )

    def _flagged(self, result: object) -> list[str]:
        """Give the categories that count; a result that is not understood is flagged."""
        if not isinstance(result, dict):
            return ["unreadable"]
        if self._threshold is not None and isinstance(scores := result.get("category_scores"), dict):
            return [name for name, score in scores.items() if float(score or 0) >= self._threshold]
        if result.get("flagged") is False:
            return []
        categories = result.get("categories")
        named = [name for name, is_so in categories.items() if is_so] if isinstance(categories, dict) else []
        return named or ["flagged"]
