"""Where tools come from: the hub of one application, and who authorizes it, put together. It does none of their work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from gateway.config import Settings, read_environment
from gateway.config.tool_settings import HttpServerSettings
from gateway.core.clock import Clock
from gateway.core.errors import NotFound
from gateway.notices.public_address import public_address
from gateway.schemas.worker import Judging
from gateway.stores.tool_grants import GrantStore, Holder
from gateway.stores.tool_pins import PinStore
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.connecting import connector_of, personal_of
from gateway.tools.oauth.authorizing import Authorizing
from gateway.tools.oauth.bearer import Bearers
from gateway.tools.server_hub import ServerHub


class Kept(Protocol):
    """The stores that it takes. `grants` is None without a master key."""

    @property
    def pins(self) -> PinStore:
        """What was accepted of tools."""
        ...

    @property
    def grants(self) -> GrantStore | None:
        """What servers of tools have given this gateway."""
        ...


def open_tools(
    settings: Settings, kept: Kept | None, judging: Judging, clock: Clock
) -> tuple[ServerHub, Authorizing | None]:
    """Put it together; nothing is connected yet. Without stores, what was accepted is known until the process ends, and nobody authorizes."""
    grants = None if kept is None else kept.grants
    bearers = Bearers(grants, public_address, clock)
    hub = ServerHub(
        pins=PinsInMemory() if kept is None else kept.pins,
        judging=judging,
        clock=clock,
        environment=read_environment(),
        connect=partial(connector_of, bearers=bearers),
        personal=partial(personal_of, bearers=bearers),
    )
    hub.configure(settings.tools)
    return hub, None if grants is None else _authorizing(hub, grants, clock)


def _authorizing(hub: ServerHub, grants: GrantStore, clock: Clock) -> Authorizing:
    def servers() -> Mapping[str, HttpServerSettings]:
        return {name: one for name, one in hub.settings.servers.items() if isinstance(one, HttpServerSettings)}

    # A server may have been taken out of the configuration meanwhile.
    def arrived(holder: Holder) -> None:
        with suppress(NotFound):
            hub.wake(holder.server)

    def gone(holder: Holder) -> None:
        with suppress(NotFound):
            hub.forget(holder)

    return Authorizing(
        grants,
        servers=servers,
        public_url=lambda: hub.settings.public_url or "",
        locate=public_address,
        clock=clock,
        arrived=arrived,
        gone=gone,
    )
