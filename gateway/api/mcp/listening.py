"""subscriptions/listen: tells clients of 2026-07-28 that there are other tools, resources or prompts than before, or that one that they watch is another.

Clients of earlier revisions have the stream of their session (see `overhearing`). They all ask again what there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Final

import anyio
import anyio.lowlevel
from mcp import MCPError
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types import INVALID_REQUEST, SubscriptionsListenRequestParams, SubscriptionsListenResult

from gateway.api.edge import is_draining
from gateway.api.mcp.offering import McpOffers
from gateway.api.mcp.watches import Watches
from gateway.core.caller import Caller
from gateway.stores.session_notes import MOST_RESOURCES
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
    """A SubscriptionBus of the library for one stream: over the changes of a hub, and over the `uris` that its `caller` watches."""

    def __init__(self, changes: Changes, watches: Watches, caller: Caller, uris: Iterable[str]) -> None:
        self._changes = changes
        self._watches = watches
        self._caller = caller
        self._uris = uris

    async def publish(self, event: ServerEvent) -> None:
        """Tell it to who listens to the hub."""
        for kind, known in _EVENTS.items():
            if known == event:
                self._changes.tell(kind)
        await anyio.lowlevel.checkpoint()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """From now on tell the stream. Gives what ends that."""

        def updated(uri: str) -> None:
            # A policy may have changed since it began.
            if self._watches.allowed(self._caller, (uri,)):
                listener(ResourceUpdated(uri=uri))

        with ExitStack() as open_:
            open_.callback(self._changes.subscribe(lambda kind: listener(_EVENTS[kind])))
            open_.enter_context(self._watches.enter(self._uris, updated))
            return open_.pop_all().close


class Listening:
    """A handler: one call is one stream, which lasts until its client leaves."""

    def __init__(self, changes: Changes, offers: McpOffers) -> None:
        self._changes = changes
        self._offers = offers
        self._watches = Watches(offers)
        self._streams: set[ListenHandler] = set()
        self._open: Counter[tuple[str, str]] = Counter()

    async def __call__(self, context: Any, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Tell of changes."""
        asker = self._offers.asker(context)
        caller = asker.caller
        who = (caller.tenant, caller.id)
        if self._open[who] >= MOST_OF_ONE or len(self._streams) >= MOST:
            raise MCPError(INVALID_REQUEST, f"More than {MOST_OF_ONE} streams of one caller are not kept open.")
        # The acknowledgement says which are watched.
        asked = (params.notifications.resource_subscriptions or ())[:MOST_RESOURCES]
        uris = sorted(self._watches.allowed(caller, asked))
        self._watches.note(asker, {uri: uri in uris for uri in asked})
        wanted = params.notifications.model_copy(update={"resource_subscriptions": uris or None})
        stream = ListenHandler(Heard(self._changes, self._watches, caller, uris))
        self._streams.add(stream)
        self._open[who] += 1
        try:
            return await self._told(stream, context, params.model_copy(update={"notifications": wanted}))
        finally:
            self._streams.discard(stream)
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    def close(self) -> None:
        """End all streams, and say so to their clients."""
        for stream in tuple(self._streams):
            stream.close()

    async def _told(
        self, stream: ListenHandler, context: Any, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        told: SubscriptionsListenResult | MCPError | None = None
        async with anyio.create_task_group() as beside:
            beside.start_soon(_end_with_server, stream, context)
            try:
                told = await stream(context, params)
            except MCPError as error:
                # Raised below: the group would put it into one of errors.
                told = error
            beside.cancel_scope.cancel()
        if isinstance(told, MCPError):
            raise told
        return told or SubscriptionsListenResult()


async def _end_with_server(stream: ListenHandler, context: Any) -> None:
    """End a stream when the server goes down, and say so to its client: it would hold up that end for as long as it may be held up."""
    while context.request is None or not is_draining(context.request.scope):  # noqa: ASYNC110 nobody tells requests of it
        await anyio.sleep(_LOOK)
    stream.close()
