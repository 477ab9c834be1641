"""Several answers to one call from a target that gives one: as many calls, put together. All of them, or an error."""

from __future__ import annotations

from typing import Any, Final

import anyio
import msgspec

from gateway.core.answer import Answer, AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.errors import InternalError, SwitchgearError
from gateway.core.events import CutShort, Event, Finished, Spent
from gateway.core.items import Item
from gateway.core.responder import Responder, Send
from gateway.core.usage import Usage

MOST_CHOICES: Final = 8
_CHAT: Final = "openai_chat"


class Choices:
    """A Responder that asks the inner one `many` times, `at_once` at a time. The answers go out when all are there, one after the other."""

    def __init__(self, inner: Responder, many: int, target: str, at_once: int = MOST_CHOICES) -> None:
        self._inner = inner
        self._target = target
        self._many = many
        self._at_once = at_once

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer. Raises what the first call that fails raises; what the others used until then is told."""
        answers: list[Answer | None] = [None] * self._many
        faults: list[SwitchgearError] = []
        cut_short: list[Usage] = []
        places = anyio.CapacityLimiter(self._at_once)

        async def ask(number: int) -> None:
            builder = AnswerBuilder()

            async def take(event: Event) -> None:
                if isinstance(event, CutShort):
                    cut_short.append(event.usage)
                builder.add(event)

            try:
                async with places:
                    await self._inner(call, take)
                answers[number] = builder.answer()
            except SwitchgearError as error:
                faults.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for number in range(self._many):
                tasks.start_soon(ask, number)
        whole = [answer for answer in answers if answer is not None]
        if faults:
            used = [answer.finished.usage for answer in whole if answer.finished.usage is not None]
            for usage in (*used, *cut_short):
                await send(Spent(target=self._target, usage=usage, why="choice"))
            raise faults[0]
        if len(whole) < self._many:
            msg = "one of several answers never came"
            raise InternalError(msg)
        for event in replay(_merged(whole)):
            await send(event)


def _merged(answers: list[Answer]) -> Answer:
    first = answers[0]
    items = [_numbered(item, number) for number, answer in enumerate(answers) for item in answer.items]
    reasons = {str(number): answer.finished.reason for number, answer in enumerate(answers)}
    finished = Finished(
        reason=first.finished.reason, usage=_summed(answers), stop_sequence=first.finished.stop_sequence,
        detail={_CHAT: {"reasons": reasons}},
    )  # fmt: skip
    return Answer(started=first.started, items=tuple(items), finished=finished)


def _numbered(item: Item, number: int) -> Item:
    mine: dict[str, Any] = {**item.rest.get(_CHAT, {}), "$choice": number}
    return msgspec.structs.replace(item, rest={**item.rest, _CHAT: mine})


def _summed(answers: list[Answer]) -> Usage | None:
    """Give what all have used; None where one did not say."""
    found = [answer.finished.usage for answer in answers]
    usages = [usage for usage in found if usage is not None]
    if len(usages) < len(found):
        return None
    counts = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
    sums = {name: sum(getattr(usage, name) for usage in usages) for name in counts}
    return Usage(**sums, estimated=any(usage.estimated for usage in usages))
