"""tools/list: what a caller may use, sorted by name, in pages. A server that is away hides its own tools only."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import anyio
from mcp_types.methods import serialize_server_result
from pydantic import ValidationError

from gateway.api.mcp.agent_tools import agent_entry
from gateway.api.mcp.asking import Answer, Asked, Context
from gateway.api.mcp.desk import McpDesk, Offer
from gateway.api.mcp.knowledge import tools_for
from gateway.api.mcp.names import Named
from gateway.api.mcp.status import status_entry
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.items import Json
from gateway.core.tools import KNOWLEDGE, Tool
from gateway.tools.hub import ToolNotReached

METHOD: Final = "tools/list"
_AROUND: Final = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
_SOON: Final = 1000
"""Milliseconds for which a list may be kept that lacks the tools of a server which is away."""


class Listing:
    """Lists tools."""

    def __init__(self, desk: McpDesk) -> None:
        self._desk = desk

    async def __call__(self, context: Context, params: Any) -> Answer:
        """Give a page."""
        asked, offer = Asked(context), self._desk.offer()
        after = _read(params.cursor) if params is not None and params.cursor is not None else ""
        shown = [named for name, named in offer.table.items() if name > after and offer.shows(asked.caller, named)]
        page, whole = shown[: offer.settings.page], True
        known: dict[str, Mapping[str, Tool]] = {}
        async with anyio.create_task_group() as tasks:
            for server in {named.server for named in page if named.server}:
                tasks.start_soon(self._look, server, known)
        tools: list[Json] = []
        for named in page:
            entry = _entry(named, known, offer, asked.caller)
            if entry is None:
                whole = whole and named.server in known
            elif _fits(entry, asked.version):
                tools.append(entry)
        answer: Answer = {"resultType": "complete", "tools": tools}
        if len(shown) > len(page):
            answer["nextCursor"] = base64.urlsafe_b64encode(page[-1].name.encode()).decode()
        if asked.modern:
            # What one may use, another may not.
            answer |= {"ttlMs": round(offer.settings.ttl * 1000) if whole else _SOON, "cacheScope": "private"}
        return answer

    async def _look(self, server: str, known: dict[str, Mapping[str, Tool]]) -> None:
        try:
            tools = await self._desk.hub.tools(server)
        except (ToolNotReached, NotFound):
            return
        known[server] = {tool.name: tool for tool in tools}


def _entry(named: Named, known: Mapping[str, Mapping[str, Tool]], offer: Offer, caller: Caller) -> Answer | None:
    if named.server == KNOWLEDGE:
        return next(tool_entry(tool.name, tool) for tool in tools_for(offer, caller) if tool.name == named.tool)
    if named.server:
        tool = known.get(named.server, {}).get(named.tool)
        return None if tool is None else tool_entry(named.name, tool)
    if named.agent:
        return agent_entry(named.name, offer.agents[named.agent])
    return status_entry(named.name)


def tool_entry(name: str, tool: Tool) -> Answer:
    """Give a tool as its server describes it, under its name here."""
    entry: Answer = {"name": name, "inputSchema": tool.schema}
    for field, value in (
        ("title", tool.title),
        ("description", tool.description),
        ("outputSchema", tool.output_schema),
        ("annotations", tool.annotations),
        ("icons", list(tool.icons)),
    ):
        if value:
            entry[field] = value
    return entry


def _fits(entry: Answer, version: str) -> bool:
    """Whether a tool can be shown in this revision: one that cannot must not take the others with it."""
    try:
        serialize_server_result(METHOD, version, {**_AROUND, "tools": [entry]})
    except (ValidationError, KeyError, ValueError):
        return False
    return True


def _read(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        msg = "The cursor is not one of this list."
        raise InvalidRequest(msg, param="cursor") from error
