"""A stage: no call goes further than its limits allow. How much that is, and what has been used, the limiter knows.

The reservation is settled with the call's record, not here: whatever becomes of the call, its record is made once.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from msgspec.structs import replace

from gateway.accounting.limits.estimates import CountInput, count_by_length
from gateway.core.call import Call
from gateway.core.events import Event, Started
from gateway.core.responder import Lane, Responder, Send, lane_of
from gateway.pipeline.recorded import Watch

Headers = tuple[tuple[bytes, bytes], ...]


class Limits(Protocol):
    """What the stage asks of the limiter."""

    def admit(self, call: Call, count_input: CountInput) -> Headers | Awaitable[Headers]:
        """Take from the call's limits, and give the headers that tell the caller what is left. Raises LimitExceeded.

        `count_input` counts the tokens that the call puts in.

        Where limits are counted in this process, at once.
        """
        ...


class Limited:
    """A Stage: reserves, then lets the call through; the answer's head says what is left.

    `count_input` counts as this model does.
    """

    def __init__(self, inner: Responder, limits: Limits, count_input: CountInput = count_by_length) -> None:
        self._inner = inner
        self._count_input = count_input
        self._limits = limits

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder. Raises LimitExceeded before anything is asked of an upstream."""
        headers = self._limits.admit(call, self._count_input)
        if not isinstance(headers, tuple):
            return self._wait(headers, call, send)
        if headers:
            send = _headed(send, headers)
        return self._inner(call, send)

    async def _wait(self, admitted: Awaitable[Headers], call: Call, send: Send) -> None:
        headers = await admitted
        await self._inner(call, _headed(send, headers) if headers else send)


class _Headed:
    """A Send that says in the start of the answer what is left, in place of an upstream's own limits, and nothing after it."""

    __slots__ = ("_limits", "_send")

    def __init__(self, send: Send, limits: Headers) -> None:
        self._send = send
        self._limits = limits

    def __call__(self, event: Event) -> Awaitable[None]:
        if type(event) is Started:
            event = replace(event, limits=self._limits)
        return self._send(event)

    def lane(self) -> Lane | None:
        """Nothing is to be done after the start."""
        return lane_of(self._send)


def _headed(send: Send, limits: Headers) -> Send:
    if isinstance(send, Watch):  # it looks at the start anyway: nobody need stand between for all that follows
        send.limits = limits
        return send
    return _Headed(send, limits)
