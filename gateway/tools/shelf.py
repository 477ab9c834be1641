"""Keeps listed what one server offers besides tools, while it is connected. Whatever becomes of these lists, its tools go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
import msgspec
import structlog

from gateway.config.tool_settings import AnyServerSettings
from gateway.tools.connection import CannotConnect, Connection
from gateway.tools.offers import KINDS, Offering, OfferKind, Offers, wanted_of
from gateway.tools.watching import Watched

log = structlog.get_logger()

SHORTEST: Final = 5.0
"""Seconds for which lists are not asked for again, although the server says that they stay as they are for less."""

Told = Callable[[OfferKind], None]


class Shelf:
    """What one server offers, and what of it is `watched`. `told` hears of each kind that has changed. It belongs to one event loop."""

    def __init__(self, server: str, settings: AnyServerSettings, told: Told = lambda kind: None) -> None:
        self._server = server
        self._settings = settings
        self._wanted = wanted_of(settings)
        self._told = told
        self._looked = anyio.Event()
        self.watched = Watched()
        self.offers = Offers(reachable=self._wanted.get("resources", frozenset()))

    async def looked(self) -> None:
        """Wait until the server has been looked at once; at once where there is nothing to look for."""
        if self._wanted:
            await self._looked.wait()

    async def keep(self, connection: Connection) -> None:
        """List, and list again when the server says that something is new or when it is time, until the connection breaks."""
        if not self._wanted or not isinstance(connection, Offering):
            return
        signals = connection.signals
        while not signals.broken.is_set():
            signals.offered = anyio.Event()
            fresh = await self._look(connection)
            self._looked.set()
            with anyio.move_on_after(fresh):
                await signals.offered.wait()
            await signals.calm_down()

    async def _look(self, connection: Offering) -> float:
        """Give the seconds until it is time to look again."""
        fresh = [self._settings.refresh]
        for kind in KINDS:
            if kind in self._wanted:
                said = await self._look_at(kind, connection)
                # Servers that say nothing of it say 0: that is no wish to be asked without pause.
                fresh += [max(SHORTEST, said)] if said else []
        return min(fresh)

    async def _look_at(self, kind: OfferKind, connection: Offering) -> float | None:
        wanted = self._wanted[kind]
        try:
            with anyio.fail_after(self._settings.start_timeout):
                page = await connection.offered(kind, wanted)
        except (CannotConnect, TimeoutError) as error:
            # What was known of them stays: a server that stumbles has not taken anything back.
            log.warning("tool_server.offers_unread", server=self._server, kind=kind, why=str(error) or "it takes long")
            return None
        except Exception as error:  # noqa: BLE001 whatever a list does, the tools of the server go on
            log.warning("tool_server.offers_unread", server=self._server, kind=kind, why=type(error).__name__)
            return None
        found = {one.key: one for one in sorted(page.offers, key=lambda one: one.key)}
        if missing := sorted(wanted - found.keys()):
            log.info("tool_server.offers_missing", server=self._server, kind=kind, missing=missing[:20])
        if found != getattr(self.offers, kind):
            self.offers = msgspec.structs.replace(self.offers, **{kind: found})
            self._told(kind)
        return page.fresh
