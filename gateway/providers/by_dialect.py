"""Chooses, among the APIs that an upstream speaks, the one that a call goes out in."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from gateway.core.call import Call
from gateway.core.content import Operation
from gateway.core.errors import InvalidRequest
from gateway.core.responder import Responder, Send


class ByDialect:
    """A Responder: the call's own dialect where the upstream speaks it, else the one to translate to.

    `own` passes on what came, `opened` says in the same dialects what a call's Items say.
    """

    def __init__(
        self,
        name: str,
        own: Mapping[str, Responder],
        translated: Mapping[Operation, Responder],
        opened: Mapping[str, Responder] = {},
    ) -> None:
        self._name = name
        self._own = own
        self._opened = opened
        self._translated = translated

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Pass the call on. Raises InvalidRequest where the upstream has no API for such a call."""
        spoken = self._opened if call.opened else self._own
        responder = spoken.get(call.dialect) or self._translated.get(call.operation)
        if responder is None:
            msg = f"The model {call.model!r} is served by {self._name}, which has no API to {_VERBS[call.operation]}."
            raise InvalidRequest(msg, param="model")
        return responder(call, send)


class Counted:
    """A Responder that sends token counts one way and everything else another."""

    def __init__(self, rest: Responder, count: Responder) -> None:
        self._rest = rest
        self._count = count

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Pass the call on."""
        return (self._count if call.operation == "count_tokens" else self._rest)(call, send)


_VERBS: dict[Operation, str] = {
    "generate": "generate text",
    "count_tokens": "count tokens",
    "embed": "embed",
    "rerank": "rerank",
    "moderate": "moderate",
}
