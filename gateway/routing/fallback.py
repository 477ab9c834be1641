"""Tries a model's targets in their order. Only failures before the first content event move on: the commit point."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import CutShort, Event, Started, Tried
from gateway.core.responder import Lane, Responder, Send, lane_of
from gateway.core.target import Target


class Fallback:
    """A Responder over several targets."""

    def __init__(self, targets: Sequence[tuple[Target, Responder]]) -> None:
        self._targets = tuple(targets)

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer from the first target that can. Raises what the last one raised."""
        last = len(self._targets) - 1
        for number, (target, responder) in enumerate(self._targets):
            commit = _Commit(send)
            try:
                await responder(call, commit)
            except SwitchgearError as error:
                if commit.done or number == last or not error.retryable:
                    raise
                await send(Tried(target=target.name, error=error.code))
            else:
                return


class _Commit:
    """Holds `Started` back until content follows, so that another target can still begin the answer."""

    __slots__ = ("_held", "_send", "done")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Started | None = None
        self.done = False

    async def __call__(self, event: Event) -> None:
        if self.done:
            await self._send(event)
        elif isinstance(event, Started):
            self._held = event
        elif not isinstance(event, CutShort):
            self.done = True
            if self._held is not None:
                await self._send(self._held)
            await self._send(event)

    def lane(self) -> Lane | None:
        """After the commit point nothing is looked at any more."""
        return lane_of(self._send) if self.done else None
