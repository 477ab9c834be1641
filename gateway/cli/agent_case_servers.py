"""Servers of tools that a case asks for real: started anew for it, in an empty folder, and ended with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.cli.agent_case_hub import RecordedHub
from gateway.config import Settings
from gateway.config.agent_settings import AgentCase, CaseCall
from gateway.config.tool_settings import StdioServerSettings
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import KNOWLEDGE, Tool, ToolOutput
from gateway.tools.hub import Hub, ServerInfo, ToolAsked, ToolNotReached

_PLACE: Final = "{folder}"
_MOST_SHOWN: Final = 300


def with_servers(settings: Settings, case: AgentCase, place: Path) -> Settings:
    """Give a configuration with those servers alone that the case asks, their programs with its arguments besides."""
    servers = {}
    for name, more in case.live.items():
        if name == KNOWLEDGE:
            continue  # no server: the folders are read as always
        server = settings.tools.servers[name]
        if isinstance(server, StdioServerSettings):
            folder = place / name
            folder.mkdir()
            words = tuple(word.replace(_PLACE, str(folder)) for word in more)
            server = msgspec.structs.replace(server, args=(*server.args, *words))
        servers[name] = server
    return msgspec.structs.replace(settings, tools=msgspec.structs.replace(settings.tools, servers=servers))


class CaseHub:
    """A Hub: the servers of `live` are asked, all others give what the case has recorded."""

    def __init__(self, live: Hub, names: Sequence[str], recorded: RecordedHub) -> None:
        self._live = live
        self._names = names
        self._recorded = recorded

    def servers(self) -> Sequence[ServerInfo]:
        """Give all servers, by name."""
        found = {info.name: info for info in (*self._recorded.servers(), *self._live.servers())}
        return [found[name] for name in sorted(found)]

    def server(self, name: str) -> ServerInfo | None:
        """Give one server."""
        return self._of(name).server(name)

    async def tools(self, server: str) -> Sequence[Tool]:
        """Give the tools of a server. Raises NotFound and ToolNotReached."""
        return await self._of(server).tools(server)

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Call a tool, or give what is recorded. Raises ToolNotReached, ToolLost and ToolWithdrawn."""
        return await self._of(asked.tool.server).call(asked)

    async def ready(self) -> None:
        """Wait until the servers are there. Raises ToolNotReached for one that cannot be started."""
        for name in self._names:
            await self._listed(name)

    async def _listed(self, name: str) -> None:
        while True:
            try:
                await self._live.tools(name)
            except ToolNotReached:
                info = self._live.server(name)
                if info is None or info.state != "starting":
                    raise
            else:
                return

    async def hold(self, case: AgentCase, caller: Caller) -> None:
        """Make the calls that a case makes at its end; what they do not give is a problem."""
        for number, call in enumerate(case.expect.after):
            self._recorded.problems += [
                f"after: {call.tool}: {problem}" for problem in await self._held(call, f"after-{number}", caller)
            ]

    async def _held(self, call: CaseCall, key: str, caller: Caller) -> Sequence[str]:
        server, _, name = call.tool.partition("/")
        try:
            tool = next((tool for tool in await self._live.tools(server) if tool.name == name), None)
            if tool is None:
                return ["the server has no such tool"]
            output = await self._live.call(ToolAsked(tool=tool, arguments=call.arguments or {}, key=key, caller=caller))
        except SwitchgearError as error:
            return [error.message]
        found: Json = output.text if output.structured is None else output.structured
        if output.is_error != call.error:
            return [f"it gave {output.text[:_MOST_SHOWN]!r}"]
        return list(lacking(call.result, found, "result"))

    def _of(self, name: str) -> Hub:
        return self._live if name in self._names else self._recorded


def lacking(wanted: Json, found: Json, path: str) -> Iterator[str]:
    """Yield what a value lacks of what is wanted. Mappings may have more, and lists have to have an item for each."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name, each in wanted.items():
            if name in found:
                yield from lacking(each, found[name], f"{path}.{name}")
            else:
                yield f"{path} has no {name!r}"
    elif isinstance(wanted, list) and isinstance(found, list):
        for number, each in enumerate(wanted):
            if all(any(lacking(each, one, "")) for one in found):
                yield f"{path} has nothing like [{number}]: {_shown(each)}"
    elif wanted is not None and wanted != found:
        yield f"{path} is {_shown(found)}, not {_shown(wanted)}"


def _shown(value: Json) -> str:
    return msgspec.json.encode(value).decode()[:_MOST_SHOWN]
