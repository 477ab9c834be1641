"""Tools in a case of an agent: each call gets the result that the case has recorded for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.config.agent_settings import AgentCase, CaseCall
from gateway.core.errors import NotFound
from gateway.core.items import Json
from gateway.core.tools import Tool, ToolOutput
from gateway.tools.hub import ServerInfo, ToolAsked


class RecordedHub:
    """A Hub over what a case says. `problems` are calls for which it says nothing."""

    def __init__(self, tools: Sequence[Tool], case: AgentCase) -> None:
        self.problems: list[str] = []
        self._tools = tools
        # What the scripted model asks for is given once, in its order; the other results are for any call that they fit.
        self._once = [call for turn in case.model for call in turn.call]
        self._always = case.results

    def servers(self) -> Sequence[ServerInfo]:
        """Give all servers, by name."""
        found = [self.server(name) for name in sorted({tool.server for tool in self._tools})]
        return [info for info in found if info is not None]

    def server(self, name: str) -> ServerInfo | None:
        """Give one server."""
        tools = tuple(tool for tool in self._tools if tool.server == name)
        return ServerInfo(name=name, kind="stdio", state="ready", tools=tools) if tools else None

    async def tools(self, server: str) -> Sequence[Tool]:
        """Give the tools of a server. Raises NotFound."""
        info = self.server(server)
        if info is None:
            msg = f"There is no server of tools named {server!r} in this case."
            raise NotFound(msg)
        return info.tools

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Give the recorded result."""
        for number, recorded in enumerate(self._once):
            if fits(recorded, asked.tool.id, asked.arguments):
                return _output(self._once.pop(number))
        for recorded in self._always:
            if fits(recorded, asked.tool.id, asked.arguments):
                return _output(recorded)
        problem = f"the case has no result for {asked.tool.id} {msgspec.json.encode(asked.arguments).decode()}"
        self.problems.append(problem)
        return ToolOutput(text=problem, is_error=True)


def fits(recorded: CaseCall, tool: str, arguments: Json) -> bool:
    """Whether a call is the one that is written: where no arguments are written, with any."""
    return recorded.tool == tool and (recorded.arguments is None or recorded.arguments == arguments)


def _output(recorded: CaseCall) -> ToolOutput:
    result = recorded.result
    if isinstance(result, str):
        return ToolOutput(text=result, is_error=recorded.error)
    text = "" if result is None else msgspec.json.encode(result).decode()
    return ToolOutput(text=text, structured=result if isinstance(result, dict) else None, is_error=recorded.error)
