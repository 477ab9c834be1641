"""Asks an MCP server to tell of single resources, for as long as they are watched: by resources/subscribe, or by one subscriptions/listen (2026-07-28)."""

from __future__ import annotations

from typing import Final

import anyio
import structlog
from mcp import Client, MCPError
from mcp.client.subscriptions import ResourceUpdated, SubscriptionLost
from mcp_types import SubscribeRequest, SubscribeRequestParams, UnsubscribeRequest, UnsubscribeRequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gateway.tools.connection import Signals
from gateway.tools.mcp_messages import Result
from gateway.tools.watching import Watched

log = structlog.get_logger()

_AGAIN: Final = 5.0
"""Seconds after which a server is asked again that did not listen."""


def tells(client: Client) -> bool:
    """Whether a server says that it tells of single resources."""
    said = client.session.server_capabilities
    return bool(said and said.resources and said.resources.subscribe)


async def watch(client: Client, watched: Watched, signals: Signals, server: str) -> None:
    """Have the server tell of what is watched, while the connection lasts. It raises nothing."""
    if not tells(client):
        return
    watched.tell_all()
    if client.protocol_version in MODERN_PROTOCOL_VERSIONS:
        await _listen(client, watched, signals, server)
    else:
        await _subscribe(client, watched, signals, server)


async def _subscribe(client: Client, watched: Watched, signals: Signals, server: str) -> None:
    told: set[str] = set()
    while not signals.broken.is_set():
        changed, wanted = watched.changed, watched.uris
        failed = False
        for uri in sorted(wanted ^ told):
            request = (
                SubscribeRequest(params=SubscribeRequestParams(uri=uri))
                if uri in wanted
                else UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))
            )
            try:
                await client.session.send_request(request, Result)
            except (MCPError, ValidationError) as error:
                log.info("tool_server.not_watched", server=server, why=type(error).__name__)
                failed = failed or uri in wanted
                continue
            told ^= {uri}
        with anyio.move_on_after(_AGAIN if failed else None):
            await changed.wait()


async def _listen(client: Client, watched: Watched, signals: Signals, server: str) -> None:
    while not signals.broken.is_set():
        changed, wanted = watched.changed, watched.uris
        if not wanted:
            await changed.wait()
            continue
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hear, client, wanted, watched, server)
            await changed.wait()
            tasks.cancel_scope.cancel()


async def _hear(client: Client, wanted: frozenset[str], watched: Watched, server: str) -> None:
    while True:
        try:
            async with client.listen(resource_subscriptions=sorted(wanted)) as events:
                async for event in events:
                    if isinstance(event, ResourceUpdated):
                        watched.tell(str(event.uri))
        except (SubscriptionLost, TimeoutError):
            pass  # asked for again below
        except Exception as error:  # noqa: BLE001 whatever it makes of that, its tools go on
            log.info("tool_server.not_watched", server=server, why=type(error).__name__)
        await anyio.sleep(_AGAIN)
        watched.tell_all()
