"""One answer, asked for by a thread that waits for it and may be interrupted, in the event loop of another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.from_thread import BlockingPortal

from gateway.cli.conversation import Conversation, Show, Turn


async def _nothing() -> None:
    """Do nothing."""


def answer(
    portal: BlockingPortal,
    conversation: Conversation,
    question: str,
    show: Show,
    *,
    before: Callable[[], Awaitable[None]] = _nothing,
) -> Turn | None:
    """Ask and wait; None when Ctrl-C stopped it. `before` runs in the event loop first. Raises SwitchgearError."""
    answering = _Answering(conversation, question, show, before)
    try:
        portal.call(answering.run)
    except KeyboardInterrupt:
        portal.call(answering.stop)
        return None
    return answering.turn


class _Answering:
    """What runs in the event loop. `turn` stays None when it was stopped."""

    def __init__(
        self, conversation: Conversation, question: str, show: Show, before: Callable[[], Awaitable[None]]
    ) -> None:
        self.turn: Turn | None = None
        self._conversation = conversation
        self._question = question
        self._show = show
        self._before = before
        self._scope: anyio.CancelScope | None = None
        self._ended: anyio.Event | None = None
        self._stopped = False

    async def run(self) -> None:
        self._ended = anyio.Event()
        try:
            with anyio.CancelScope() as self._scope:
                if not self._stopped:
                    await self._before()
                    self.turn = await self._conversation.say(self._question, self._show)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Stop it, begun or not, and close its connection, so that the gateway stops computing."""
        self._stopped = True
        if self._scope is not None and self._ended is not None:
            self._scope.cancel()
            await self._ended.wait()
