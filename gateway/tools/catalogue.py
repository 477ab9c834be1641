"""The catalogue of one server: which of the tools that it lists may be called. It reaches no server.

A tool may be called when the operator has named it, the server lists it, its definition is the pinned one, and its schemas can be
judged by. When a server is seen for the first time, all tools that the operator has named are pinned as they are; what is new or
different afterwards waits until somebody accepts it, for its text is read by models and its schema steers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from gateway.config.tool_settings import ToolServerSettings
from gateway.core.errors import Conflict, NotFound, StoreUnavailable, UnsupportedSchema
from gateway.core.tools import Tool
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins import Pin, PinStore
from gateway.tools.definitions import Listed, tool_of

log = structlog.get_logger()

FIRST = "first"
"""Who accepted what was there when the server was first seen."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a server's tools: those that may be called and those that wait (name → why), by name; and what it does not list.

    `listed` are all tools of the allow-list as the server lists them now, and `pins` the definitions that were accepted.
    """

    tools: Sequence[Tool] = ()
    quarantined: Mapping[str, str] = {}
    missing: Sequence[str] = ()
    listed: Mapping[str, Listed] = {}
    pins: Mapping[str, Pin] = {}

    def tool(self, name: str) -> Tool | None:
        """Give one that may be called."""
        return next((tool for tool in self.tools if tool.name == name), None)


class DefinitionConflict(Conflict):
    """The definition that was to be accepted is not what the server lists now, or somebody accepted another one meanwhile."""

    code = "tool_definition_conflict"


class Catalogue:
    """Holds the sight of one server's tools, and changes it when the server lists them again or somebody accepts one.

    `seen` is told of each change.
    """

    def __init__(
        self,
        server: str,
        settings: ToolServerSettings,
        *,
        pins: PinStore,
        judging: Judging,
        wall: Callable[[], float],
        seen: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._settings = settings
        self._store = pins
        self._judging = judging
        self._wall = wall
        self._seen = seen
        self._known: dict[str, Pin] | None = None
        self.sight = Sight(missing=tuple(sorted(settings.tools)))
        self.listed_at: float | None = None

    async def take(self, listed: Sequence[Listed]) -> None:
        """Take what the server lists now. Raises StoreUnavailable where the pins were never read and cannot be."""
        allowed: dict[str, Listed] = {}
        for tool in listed:
            if tool.name in self._settings.tools:
                # Of two with one name the first counts: which of them a call reaches, the server decides either way.
                allowed.setdefault(tool.name, tool)
        pins = await self._pins()
        if not pins and allowed:
            pins = await self._pin_first(allowed)
        await self._see(allowed, pins)
        self.listed_at = self._wall()

    async def accept(self, name: str, definition: str, *, by: str) -> None:
        """Let a tool be called as the server defines it now, whose hash must be `definition`.

        Raises NotFound for a tool that is not on the allow-list or not listed, DefinitionConflict, and StoreUnavailable.
        """
        listed = self.sight.listed.get(name)
        if listed is None:
            raise NotFound("There is no such tool here.")
        if listed.digest != definition:
            msg = f"The server defines {name!r} otherwise now: {listed.digest}. Look at it, and accept that one."
            raise DefinitionConflict(msg)
        self._known = None
        before = (await self._pins()).get(name)
        pin = self._pin(listed, by)
        held = "" if before is None else before.definition
        if held != definition and not await self._store.replace(pin, before=held):
            msg = f"Somebody accepted another definition of {name!r} meanwhile. Look at it again."
            raise DefinitionConflict(msg)
        self._known = None
        await self._see(self.sight.listed, await self._pins())

    async def _pins(self) -> dict[str, Pin]:
        try:
            self._known = {pin.tool: pin for pin in await self._store.of_server(self._server)}
        except StoreUnavailable:
            # What was accepted stays so; only who never knew it has to wait.
            if self._known is None:
                raise
            log.warning("tool_pins.unread", server=self._server)
        return self._known

    async def _pin_first(self, allowed: Mapping[str, Listed]) -> dict[str, Pin]:
        await self._store.add([self._pin(listed, FIRST) for listed in allowed.values()])
        log.info("tool_server.pinned", server=self._server, tools=sorted(allowed))
        # Another process may have been quicker, and have seen other definitions: what is kept counts.
        return await self._pins()

    def _pin(self, listed: Listed, by: str) -> Pin:
        return Pin(
            server=self._server,
            tool=listed.name,
            definition=listed.digest,
            body=listed.body,
            accepted_by=by,
            accepted_at=self._wall(),
        )

    async def _see(self, allowed: Mapping[str, Listed], pins: Mapping[str, Pin]) -> None:
        tools: list[Tool] = []
        quarantined: dict[str, str] = {}
        for name, listed in sorted(allowed.items()):
            if why := _difference(listed, pins.get(name)) or await self._unusable(listed):
                quarantined[name] = why
            else:
                tools.append(tool_of(self._server, listed, self._settings.tools[name], timeout=self._settings.timeout))
        for name in sorted(set(quarantined) - set(self.sight.quarantined)):
            log.warning("tool.quarantined", server=self._server, tool=name, why=quarantined[name])
        self.sight = Sight(
            tools=tuple(tools),
            quarantined=quarantined,
            missing=tuple(sorted(set(self._settings.tools) - set(allowed))),
            listed=dict(allowed),
            pins=dict(pins),
        )
        self._seen()

    async def _unusable(self, listed: Listed) -> str:
        try:
            await self._judging.check(listed.schema)
            if listed.output_schema is not None:
                await self._judging.check(listed.output_schema)
        except UnsupportedSchema as error:
            return f"its schema cannot be used: {error.message}"
        return ""


def _difference(listed: Listed, pin: Pin | None) -> str:
    """Say how a tool differs from what was accepted; nothing where it does not."""
    if pin is None:
        return "it is new: nobody has accepted it yet"
    if pin.definition == listed.digest:
        return ""
    parts = [name for name, value in listed.body.items() if pin.body.get(name) != value]
    return f"its definition has changed since it was accepted ({', '.join(parts) or 'in how it is written'})"
