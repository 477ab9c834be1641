"""The port of the hub: which tools there are, and how one is called. What is not on a server's allow-list does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import Refusal, Tool, ToolOutput
from gateway.tools.logged import Hearing
from gateway.tools.progress import Progress

ServerState = Literal["starting", "ready", "down", "failed"]


class ToolNotReached(SwitchgearError):
    """The server of a tool cannot be reached, or refused before it began: nothing was done."""

    status = 502
    code = "tool_unreachable"
    retryable = True


class ToolUnauthorized(ToolNotReached):
    """The server let nobody in with what there is to show: somebody has to authorize it. Nothing was done."""

    code = "tool_unauthorized"
    retryable = False


class ToolWithdrawn(ToolNotReached):
    """The tool is not there any more, or its definition is not the one that the call was made for: nothing was done."""

    status = 409
    code = "tool_withdrawn"
    retryable = False


class ToolLost(SwitchgearError):
    """A call was sent and no answer came: whether it was done is not known."""

    status = 504
    code = "tool_outcome_unknown"


class ToolAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is to be made now, its arguments checked. `key` is the idempotency key; `run` and `trace` are for the server's own log.

    `answers` are people's answers to what the tool asked for when it was called before, by key (null for a page that was visited), and `state` what goes back with them;
    `refused` are those that nobody answered, each with MCP's word for it. `progress` is told of how far the call is, while it is under way, and
    `hearing` of what the server logs meanwhile. `client` is what the program of an MCP client that asks says that it can be asked, by capability; None where none asks.
    """

    tool: Tool
    arguments: dict[str, Json]
    key: str
    caller: Caller
    run: str = ""
    trace: str | None = None
    answers: dict[str, Json] = {}
    refused: dict[str, Refusal] = {}
    state: str | None = None
    progress: Progress | None = None
    hearing: Hearing | None = None
    client: dict[str, Json] | None = None


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A server of tools, for who has to know how it is. `quarantined` are tools whose definition is new or changed (name → why).

    `url` is where a server is reached by HTTP, empty for every other.
    """

    name: str
    kind: Literal["stdio", "http", "knowledge", "openapi"]
    state: ServerState
    reason: str = ""
    tools: Sequence[Tool] = ()
    quarantined: dict[str, str] = {}
    missing: Sequence[str] = ()
    restarts: int = 0
    url: str = ""
    listed_at: float | None = None


class Hub(Protocol):
    """Knows the tools of all servers, and calls them."""

    def servers(self) -> Sequence[ServerInfo]:
        """Give all servers, by name."""
        ...

    def server(self, name: str) -> ServerInfo | None:
        """Give one server."""
        ...

    async def tools(self, server: str) -> Sequence[Tool]:
        """Give the tools of a server that may be called now, by name; a server that is just starting is waited for, for a moment.

        Raises ToolNotReached for one that is down and whose tools are not known, NotFound for one that does not exist.
        """
        ...

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Call a tool, within its timeout. A cancellation of the task reaches the server within a second.

        Raises ToolNotReached (nothing was done) and ToolLost (nobody knows). An error that the tool reports is an output, as is one about its arguments.
        What it asks people for comes as the output's `wishes`.
        """
        ...
