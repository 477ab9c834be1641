"""The servers of an agent's own that a client names in `tools`, as clients that show those servers' items have to: it can ask for less so, never for more.

OpenAI's Agents SDK is one of them: an approval request of a server that its caller did not list is an error there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway.agents.builtin_tools import READ_RESULT
from gateway.agents.knowledge_tools import READ, SEARCH
from gateway.agents.plan import Granted, Listed
from gateway.agents.planning import Request, check_place, read_request, refuse
from gateway.config.agent_settings import AgentDefinition
from gateway.core.items import Json
from gateway.core.tools import KNOWLEDGE
from gateway.dialects.openai_responses.reader import Reader
from gateway.tools.hub import Hub


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of one server; `asks` is whether it says anything of approvals, for without a word the definition decides."""

    request: Request
    asks: bool


def named_servers(
    asked: Mapping[str, Json], definition: AgentDefinition, hub: Hub | None, *, handed: bool = False
) -> dict[str, Named]:
    """Give what a request says of the agent's servers, by name; `handed` says that it was said to another, which has handed over to this one.

    Raises InvalidRequest with the path of what cannot be said to an agent.
    """
    named: dict[str, Named] = {}
    for path, entry in _entries(asked):
        reader = Reader(entry, path)
        server = reader.needed_string("server_label")
        tools = _tools_of(definition, server)
        if tools is None and handed:
            continue
        if tools is None:
            refuse(f"{path}.server_label", f"names no server of tools that the agent has: {server[:100]!r}.")
        if server in named:
            refuse(f"{path}.server_label", f"names the server {server!r} for the second time.")
        info = None if hub is None else hub.server(server)
        if info is not None:
            check_place(entry, info, path)
        request = read_request(reader, server, path)
        for name in sorted((request.allowed.names or frozenset()) - set(tools)) if not handed else ():
            refuse(f"{path}.allowed_tools", f"names no tool of {server!r} that the agent has: {name[:128]!r}.")
        named[server] = Named(request=request, asks=entry.get("require_approval") is not None)
    return named


def _tools_of(definition: AgentDefinition, server: str) -> Sequence[str] | None:
    """Give the names of an agent's tools on a server, None where it has none there."""
    if server == KNOWLEDGE and definition.settings.retrieval:
        return (SEARCH, READ)
    return definition.settings.tools.get(server)


def narrowed(
    named: Mapping[str, Named], granted: Mapping[str, Granted], listed: Sequence[Listed]
) -> tuple[dict[str, Granted], tuple[Listed, ...]]:
    """Give what is left of an agent's tools, with the approvals that its client wants beside the definition's."""
    left = {name: _asking(one, named) for name, one in granted.items() if _is_left(one, named)}
    if all(name == READ_RESULT.name for name in left):
        left.clear()
    return left, tuple(_shown(one, left) for one in listed)


def _entries(asked: Mapping[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    listed = asked.get("tools")
    for number, entry in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(entry, dict) and entry.get("type") == "mcp":
            yield f"tools[{number}]", entry


def _is_left(one: Granted, named: Mapping[str, Named]) -> bool:
    said = named.get(one.tool.server)
    return said is None or said.request.allowed.takes(one.tool)


def _asking(one: Granted, named: Mapping[str, Named]) -> Granted:
    said = named.get(one.tool.server)
    # `never` lifts nothing that the definition asks for.
    if said is None or not said.asks or said.request.wish(one.tool) != "always":
        return one
    return msgspec.structs.replace(one, wish="always")


def _shown(one: Listed, left: Mapping[str, Granted]) -> Listed:
    ids = {granted.tool.id for granted in left.values()}
    return msgspec.structs.replace(one, tools=tuple(tool for tool in one.tools if tool.id in ids))
