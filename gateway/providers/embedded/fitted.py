"""What a translated call may ask of the embedded chat model beyond OpenAI's API, and what it cannot have."""

from __future__ import annotations

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.events import Event, Started
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.providers.openai_shaped import with_top_k

_NAMES = {"openai_responses": "reasoning", "anthropic_messages": "thinking"}


class Fitted:
    """A Responder: the model has `top_k`; it does not think, and a wish that it should is refused or left out and named."""

    def __init__(self, responder: Responder, target: Target) -> None:
        self._responder = responder
        self._target = target

    async def __call__(self, call: Call, send: Send) -> None:
        """Pass the call on. Raises UnsupportedParameter, named as the client wrote it, unless the route permits to drop."""
        content = call.content
        if not isinstance(content, Prompt):
            await self._responder(call, send)
            return
        prompt = with_top_k(content)
        wish = prompt.reasoning
        if wish is None:
            await self._responder(msgspec.structs.replace(call, content=prompt), send)
            return
        name = _NAMES.get(call.dialect, "reasoning_effort")
        asked = wish.effort not in (None, "none") or wish.mode not in (None, "disabled") or wish.budget is not None
        if asked and not self._target.drop:
            msg = f"The model {call.model!r} does not think; leave `{name}` out."
            raise UnsupportedParameter(msg, param=name)
        fitted = msgspec.structs.replace(call, content=msgspec.structs.replace(prompt, reasoning=None))

        async def named(event: Event) -> None:
            if isinstance(event, Started) and asked:
                event = msgspec.structs.replace(event, dropped=(*event.dropped, name))
            await send(event)

        await self._responder(fitted, named)
