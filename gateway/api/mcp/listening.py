"""subscriptions/listen: tells clients of 2026-07-28 that there are other tools, resources or prompts than before. They ask again what these are.

Clients of earlier revisions hear nothing: there are no sessions here in which something could be said that nobody asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.lowlevel
from mcp import MCPError
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types import INVALID_REQUEST, SubscriptionsListenRequestParams, SubscriptionsListenResult

from gateway.api.edge import is_draining
from gateway.api.mcp.offering import Asker
from gateway.tools.changes import ChangeKind, Changes

MOST: Final = 1024
"""Streams of all clients together, in each replica."""

MOST_OF_ONE: Final = 16
"""Streams of one caller."""

_LOOK: Final = 0.5
"""Seconds between two looks whether the server goes down."""

_EVENTS: Final[dict[ChangeKind, ServerEvent]] = {
    "tools": ToolsListChanged(),
    "resources": ResourcesListChanged(),
    "prompts": PromptsListChanged(),
}


class Heard:
    """A SubscriptionBus of the library over the changes of a hub."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def publish(self, event: ServerEvent) -> None:
        """Tell it to who listens to the hub."""
        for kind, known in _EVENTS.items():
            if known == event:
                self._changes.tell(kind)
        await anyio.lowlevel.checkpoint()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """From now on tell a stream. Gives what ends that."""
        return self._changes.subscribe(lambda kind: listener(_EVENTS[kind]))


class Listening:
    """A handler: one call is one stream, which lasts until its client leaves."""

    def __init__(self, changes: Changes, asker: Callable[[Any], Asker]) -> None:
        self._asker = asker
        self._handler = ListenHandler(Heard(changes), max_subscriptions=MOST)
        self._open: Counter[tuple[str, str]] = Counter()

    async def __call__(self, context: Any, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Tell of changes."""
        caller = self._asker(context).caller
        who = (caller.tenant, caller.id)
        if self._open[who] >= MOST_OF_ONE:
            raise MCPError(INVALID_REQUEST, f"More than {MOST_OF_ONE} streams of one caller are not kept open.")
        # Single resources are not watched: the acknowledgement says what is.
        wanted = params.notifications.model_copy(update={"resource_subscriptions": None})
        self._open[who] += 1
        try:
            return await self._told(context, params.model_copy(update={"notifications": wanted}))
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    def close(self) -> None:
        """End all streams, and say so to their clients: this server goes down."""
        self._handler.close()

    async def _told(self, context: Any, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        told: SubscriptionsListenResult | MCPError | None = None
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._watch, context)
            try:
                told = await self._handler(context, params)
            except MCPError as error:
                # Raised below: the group would put it into one of errors.
                told = error
            beside.cancel_scope.cancel()
        if isinstance(told, MCPError):
            raise told
        return told or SubscriptionsListenResult()

    async def _watch(self, context: Any) -> None:
        # A stream that waits for a change would hold up the end of the server for as long as it may be held up.
        while context.request is None or not is_draining(context.request.scope):  # noqa: ASYNC110 nobody tells requests of it
            await anyio.sleep(_LOOK)
        self.close()
