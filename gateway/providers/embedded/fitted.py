"""What a translated call may ask of the embedded chat model beyond OpenAI's API, and what it cannot have."""

from __future__ import annotations

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.events import Event, Started
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.providers.embedded.request_fields import HINTS
from gateway.providers.openai_shaped import with_top_k

_VERBATIM = ("openai_chat", "openai_completions")
_NAMES = {"openai_responses": "reasoning", "anthropic_messages": "thinking"}


class Fitted:
    """A Responder: the model has `top_k`; it does not think, and a wish that it should is refused or left out and named. Hints are named."""

    def __init__(self, responder: Responder, target: Target) -> None:
        self._responder = responder
        self._target = target

    async def __call__(self, call: Call, send: Send) -> None:
        """Pass the call on. Raises UnsupportedParameter, named as the client wrote it, unless the route permits to drop."""
        call, unmet = self._fit(call)
        left_out = (*_hints(call), *unmet)
        if not left_out:
            await self._responder(call, send)
            return

        async def named(event: Event) -> None:
            if isinstance(event, Started):
                event = msgspec.structs.replace(event, dropped=(*event.dropped, *left_out))
            await send(event)

        await self._responder(call, named)

    def _fit(self, call: Call) -> tuple[Call, tuple[str, ...]]:
        """Give the call as the model can take it, and the name of the wish that was left out, if any."""
        content = call.content
        if not isinstance(content, Prompt):
            return call, ()
        prompt = with_top_k(content)
        wish = prompt.reasoning
        fitted = msgspec.structs.replace(call, content=msgspec.structs.replace(prompt, reasoning=None))
        if wish is None or (wish.effort in (None, "none") and wish.mode in (None, "disabled") and wish.budget is None):
            return fitted, ()
        name = _NAMES.get(call.dialect, "reasoning_effort")
        if not self._target.drop:
            msg = f"The model {call.model!r} does not think; leave `{name}` out."
            raise UnsupportedParameter(msg, param=name)
        return fitted, (name,)


def _hints(call: Call) -> tuple[str, ...]:
    """Name what goes to the model as it came, and changes nothing there."""
    if call.opened or call.dialect not in _VERBATIM:
        return ()
    return tuple(
        name for name, value in call.fields.items() if name in HINTS and value not in (None, False, "", [], {})
    )
