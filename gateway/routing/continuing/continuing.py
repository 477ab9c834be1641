"""Goes on with an answer that broke off: another target is given what has been said as the beginning of its own answer.

It surrounds what chooses the target, and acts only after the commit point, where nobody else can. It is there only for models that
ask for it: their answers have to be decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import SwitchgearError
from gateway.core.items import Message, Text
from gateway.core.responder import Send
from gateway.core.usage import BYTES_A_TOKEN
from gateway.routing.continuing.thread import Onward, Thread
from gateway.routing.retry import cause_of
from gateway.routing.routed import Routed
from gateway.routing.seat import Seat

log = structlog.get_logger()

_OF_THE_TARGET: Final = ("target", "busy")
_CHAT: Final = "openai_chat"
_GO_ON: Final[dict[str, Any]] = {"continue_final_message": True, "add_generation_prompt": False}
"""vLLM's fields, which its chat API takes beside OpenAI's."""


class Continuing:
    """A Responder. `times` is how often an answer may be gone on with; `opened` makes a call come back as events.

    `deadline` are the seconds from the call's beginning within which somebody else has to be asked.
    """

    def __init__(self, routed: Routed, times: int, deadline: float, opened: Callable[[Call], Call]) -> None:
        self._routed = routed
        self._times = times
        self._deadline = deadline
        self._opened = opened

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer, if need be by several targets. Raises as the last of them did."""
        if not _is_plain_text(call):
            await self._routed(call, send)
            return
        call, thread = self._opened(call), Thread(send)
        deadline = self._routed.now() + self._deadline
        try:
            await self._routed(call, thread)
        except SwitchgearError as error:
            await self._go_on(call, thread, error, deadline)
        except BaseException:
            await thread.give_up()
            raise

    async def _go_on(self, call: Call, thread: Thread, error: SwitchgearError, deadline: float) -> None:
        asked: list[Seat] = []
        broken = [thread.target]
        try:
            for _ in range(self._times):
                now = self._routed.now()
                seat = self._seat(call, asked, broken, now) if _can_be_mended(thread, error) else None
                if seat is None or now >= deadline:
                    break
                asked.append(seat)
                broken.append(seat.name)
                log.info("answer.continued", call=call.id, target=seat.name, after=thread.target, error=error.code)
                failure = await self._ask(seat, call, thread, now, deadline - now)
                if failure is None:
                    return
                # Who did not even begin says nothing of the answer that broke off.
                error = failure if thread.target == seat.name else error
        except BaseException:
            await thread.give_up()
            raise
        await thread.give_up()
        raise error

    async def _ask(self, seat: Seat, call: Call, thread: Thread, now: float, left: float) -> SwitchgearError | None:
        text = thread.text
        given = text.rstrip()
        onward = Onward(thread, text[len(given) :], len(call.body))
        outcome = "failed"
        try:
            failure = await self._routed.ask(seat, _begun(call, given, seat), onward, now, left)
            if failure is None:
                outcome = "finished"
        except SwitchgearError as error:
            failure, outcome = error, "broken" if onward.begun else "failed"
        finally:
            counts = seat.condition.continuations
            counts[outcome] = counts.get(outcome, 0) + 1
        return failure

    def _seat(self, call: Call, asked: list[Seat], broken: list[str], now: float) -> Seat | None:
        """Give who goes on: somebody who has not broken off, if there is one; nobody twice who was asked to already."""
        seats, _ = self._routed.pool.decide(call, now)
        able = [
            seat
            for seat in seats
            if seat.abilities.prefill is not None and seat not in asked and seat.has_room(call.id)
        ]
        others = [seat for seat in able if seat.name not in broken]
        return next(iter((*others, *able)), None)


def _is_plain_text(call: Call) -> bool:
    """Whether the answer can be nothing but text (or tool calls), in one piece and without a form that a beginning would break."""
    content = call.content
    if not call.stream or not isinstance(content, Prompt):
        return False
    if content.output is not None and content.output.kind != "text":
        return False
    if content.logprobs or (content.reasoning is not None and content.reasoning.mode != "disabled"):
        return False
    last = content.items[-1] if content.items else None
    # It gives a beginning of its own.
    return not (isinstance(last, Message) and last.role == "assistant")


def _can_be_mended(thread: Thread, error: SwitchgearError) -> bool:
    return thread.can_go_on and cause_of(error) in _OF_THE_TARGET


def _begun(call: Call, text: str, seat: Seat) -> Call:
    """Give the call with an answer that has begun with `text`."""
    prompt = call.content
    if not isinstance(prompt, Prompt) or not text:
        return call  # nothing has been said: it begins anew
    said = Message(role="assistant", parts=(Text(text=text),))
    rest = prompt.rest
    if seat.abilities.prefill == "vllm":
        rest = {**rest, _CHAT: {**rest.get(_CHAT, {}), **_GO_ON}}
    most = prompt.max_output_tokens
    if most is not None:
        # What has been said counts; how many tokens that were, nobody knows exactly.
        most = max(most - len(text) // BYTES_A_TOKEN, 1)
    prompt = msgspec.structs.replace(prompt, items=(*prompt.items, said), rest=rest, max_output_tokens=most)
    return msgspec.structs.replace(call, content=prompt, dialect=_CHAT)
