"""The hub over configured servers: each of them on its own, all of them replaceable while calls are under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from gateway.config.tool_settings import AnyServerSettings, ToolHubSettings
from gateway.core.clock import Clock
from gateway.core.errors import NotFound
from gateway.core.items import Json
from gateway.core.tools import Tool, ToolOutput
from gateway.providers.supervisor import RestartPolicy
from gateway.schemas.worker import Judging
from gateway.stores.tool_grants import Holder
from gateway.stores.tool_pins import PinStore
from gateway.tools.catalogue import Catalogue, Sight
from gateway.tools.changes import ChangeKind, Changes
from gateway.tools.checking import Checking
from gateway.tools.connecting import connector_of, personal_of
from gateway.tools.connection import Connector
from gateway.tools.counts import ToolCounts
from gateway.tools.fitting import Fitting
from gateway.tools.hub import ServerInfo, ToolAsked, ToolLost, ToolNotReached, ToolWithdrawn
from gateway.tools.logged import Hearers
from gateway.tools.offers import OfferKind
from gateway.tools.personal import Personal
from gateway.tools.server_offers import ServerOffers
from gateway.tools.shelf import Shelf
from gateway.tools.upstream import Upstream

log = structlog.get_logger()

_CHANGES: Final[dict[OfferKind, ChangeKind]] = {
    "resources": "resources",
    "templates": "resources",
    "prompts": "prompts",
}

Connect = Callable[[str, AnyServerSettings, Mapping[str, str]], Connector]
Personally = Callable[[str, AnyServerSettings], Personal | None]


class ServerHub:
    """A Hub. `run` keeps the servers connected; it belongs to one event loop.

    `environment` is this process's; a program that is a server is given a harmless part of it. `settings` are those in force, `fitting` is told of
    the policies. `offers` is what the servers have besides tools, `changes` tells of what is new,
    and `hearers` are told what is logged in the calls of a run.
    """

    def __init__(
        self,
        *,
        pins: PinStore,
        judging: Judging,
        clock: Clock,
        environment: Mapping[str, str],
        connect: Connect = connector_of,
        personal: Personally = personal_of,
        policy: RestartPolicy | None = None,
    ) -> None:
        self._pins = pins
        self._judging = judging
        self._checking = Checking(judging)
        self._clock = clock
        self._environment = environment
        self._connect = connect
        self._personal = personal
        self._policy = policy
        self._upstreams: dict[str, Upstream] = {}
        self._tasks: TaskGroup | None = None
        self.settings = ToolHubSettings()
        self.counts = ToolCounts(self.servers)
        self.changes = Changes()
        self.hearers = Hearers()
        self.offers = ServerOffers(lambda: self._upstreams, self.counts.asked, clock)
        self.fitting = Fitting(lambda: [tool for info in self.servers() for tool in info.tools])

    def configure(self, settings: ToolHubSettings) -> None:
        """Put settings into force. A server whose settings are the same goes on undisturbed; one that is gone ends after its last call."""
        self.settings = settings
        before, self._upstreams = self._upstreams, {}
        for name, wanted in sorted(settings.servers.items()):
            kept = before.get(name)
            if kept is not None and kept.settings == wanted:
                self._upstreams[name] = before.pop(name)
            else:
                self._upstreams[name] = self._open(name, wanted)
        for upstream in before.values():
            upstream.retire()
        self.changes.tell_all()

    async def run(self) -> None:
        """Keep the servers connected until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self.fitting.run)
            for upstream in self._upstreams.values():
                tasks.start_soon(upstream.run)
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def servers(self) -> Sequence[ServerInfo]:
        """Give all servers, by name."""
        return [upstream.info() for upstream in self._upstreams.values()]

    def server(self, name: str) -> ServerInfo | None:
        """Give one server."""
        upstream = self._upstreams.get(name)
        return None if upstream is None else upstream.info()

    def is_personal(self, name: str) -> bool:
        """Whether there is such a server, and it is used with people's own accounts."""
        upstream = self._upstreams.get(name)
        return upstream is not None and upstream.personal is not None

    def sight(self, name: str) -> Sight:
        """Give what is known of a server's tools, those that wait among them. Raises NotFound."""
        return self._found(name).catalogue.sight

    async def tools(self, server: str) -> Sequence[Tool]:
        """Give the tools of a server that may be called now, by name. Raises ToolNotReached and NotFound."""
        upstream = self._found(server)
        await upstream.settled()
        if upstream.catalogue.listed_at is None:
            msg = f"The tools of the server {server!r} are not known: {upstream.reason or 'it is still starting'}."
            raise ToolNotReached(msg)
        return upstream.catalogue.sight.tools

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Call a tool. Raises ToolNotReached, ToolWithdrawn and ToolLost."""
        began, outcome = self._clock.monotonic(), "cancelled"
        self.counts.in_progress += 1
        try:
            output, outcome = await self._call(asked)
        except ToolWithdrawn:
            outcome = "withdrawn"
            raise
        except ToolNotReached:
            outcome = "not_reached"
            raise
        except ToolLost:
            outcome = "lost"
            raise
        else:
            return output
        finally:
            self.counts.in_progress -= 1
            took = self._clock.monotonic() - began
            tool = asked.tool
            self.counts.calls.add((tool.server, tool.name, outcome))
            self.counts.seconds.observe((tool.server,), took)
            log.info(
                "tool.called", server=tool.server, tool=tool.name, outcome=outcome, s=round(took, 3), run=asked.run
            )

    async def accept(self, server: str, tool: str, definition: str, *, by: str) -> None:
        """Let a tool be called as its server defines it now. Raises NotFound, Conflict and StoreUnavailable."""
        await self._found(server).catalogue.accept(tool, definition, by=by)

    def restart(self, server: str) -> None:
        """Make the connection to a server anew. Raises NotFound."""
        self._found(server).restart()

    def wake(self, server: str) -> None:
        """Connect to a server now, where it is not connected: what kept it away is gone. Raises NotFound."""
        self._found(server).wake()

    def forget(self, holder: Holder) -> None:
        """Let go of what was made with a grant that is gone. Raises NotFound."""
        upstream = self._found(holder.server)
        if not holder.person:
            upstream.restart()
        elif upstream.personal is not None:
            upstream.personal.forget(holder)

    async def _call(self, asked: ToolAsked) -> tuple[ToolOutput, str]:
        tool = asked.tool
        upstream = self._upstreams.get(tool.server)
        if upstream is None:
            msg = f"There is no server {tool.server!r} any more. Nothing was done."
            raise ToolWithdrawn(msg)
        if (wrong := await self._checking.faults(tool, asked.arguments)) is not None:
            return wrong, "invalid"
        arguments: dict[str, Json] = dict(asked.arguments)
        if tool.idempotency_argument:
            arguments[tool.idempotency_argument] = asked.key
        if (hearing := self.hearers.of(asked.run)) is not None:
            asked = msgspec.structs.replace(asked, hearing=hearing)
        output = await self._checking.checked(tool, await upstream.call(asked, arguments))
        if output.wishes:
            return output, "asked"
        return output, "error" if output.is_error else "ok"

    def _open(self, name: str, settings: AnyServerSettings) -> Upstream:
        catalogue = Catalogue(
            name,
            settings,
            pins=self._pins,
            judging=self._judging,
            wall=self._clock.wall,
            seen=lambda: self._saw(name, catalogue),
        )
        upstream = Upstream(
            name,
            settings,
            connector=self._connect(name, settings, self._environment),
            catalogue=catalogue,
            shelf=Shelf(name, settings, lambda kind: self.changes.tell(_CHANGES[kind])),
            personal=self._personal(name, settings),
            policy=self._policy,
        )
        if self._tasks is not None:
            self._tasks.start_soon(upstream.run)
        return upstream

    def _saw(self, name: str, catalogue: Catalogue) -> None:
        self.fitting.look()
        self.changes.tools_of(name, tuple(catalogue.sight.tools))

    def _found(self, name: str) -> Upstream:
        upstream = self._upstreams.get(name)
        if upstream is None:
            msg = f"There is no server of tools {name!r} here."
            raise NotFound(msg)
        return upstream
