"""Patience: an answer that is not streamed has its first byte when it is whole, so it is waited for as long as the total allows."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core.call import Call
from gateway.core.responder import Responder, Send
from gateway.core.target import Target


class Patient:
    """A Responder of two, both made by `make`: streams keep the target's `first_token`, for all else it is its `total`."""

    def __init__(self, make: Callable[[Target], Responder], target: Target) -> None:
        limits = target.timeouts
        until_whole = msgspec.structs.replace(limits, first_token=limits.total)
        self._streamed = make(target)
        self._whole = make(msgspec.structs.replace(target, timeouts=until_whole))

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer the call by the one that waits as long as it should."""
        await (self._streamed if call.stream else self._whole)(call, send)
