"""What was given to the calls of a run, found for the calls of one that is like it. Pure; the same call finds the same again, whoever holds the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.agents.story import CLIENT, Story, Told
from gateway.core.errors import SwitchgearError
from gateway.core.tools import Label, Tool
from gateway.dialects.openai_responses.mcp_items import LISTING
from gateway.stores.runs import RunItem
from gateway.stores.tool_calls import ToolCall


class ReplayStopped(SwitchgearError):
    """A replay has come to where nothing was recorded: it ends here."""

    status = 422
    code = "replay_stopped"


class Recording:
    """One story's. `loose` looks only which tool is called, not with what."""

    def __init__(self, story: Story, *, loose: bool) -> None:
        self.items: Mapping[str, RunItem] = {item.id: item for item in story.items}
        self._calls = [told for told in story.calls if told.server != CLIENT]
        self._loose = loose
        self._listed = [item.body for item in story.items if item.body.get("type") == LISTING]

    def find(self, call: ToolCall, calls: Iterable[ToolCall]) -> Told | None:
        """Give the call that was recorded for this one: the first of those alike for the first, and so on. `calls` are all so far."""
        alike = [told for told in self._calls if self._is_like(call, told.server, told.tool, told.arguments_hash)]
        place = (call.step, call.index)
        before = sum(
            (other.step, other.index) < place and self._is_like(call, other.server, other.tool, other.arguments_hash)
            for other in calls
        )
        return alike[before] if before < len(alike) else None

    def _is_like(self, call: ToolCall, server: str, tool: str, arguments: str) -> bool:
        return (call.server, call.tool) == (server, tool) and (self._loose or call.arguments_hash == arguments)

    def tools(self, server: str) -> Sequence[Tool]:
        """Give a server's tools as they were shown; what nobody wrote down of them is what one is that nobody speaks of."""
        for body in self._listed:
            if body.get("server_label") == server and body.get("tools"):
                return [self._tool(server, shown) for shown in body.get("tools") or ()]
        return ()

    def _tool(self, server: str, shown: dict[str, object]) -> Tool:
        name = str(shown["name"])
        schema = shown.get("input_schema")
        labels = (told.label for told in self._calls if (told.server, told.tool) == (server, name))
        label = next((label for label in labels if label is not None and label.source == f"{server}/{name}"), None)
        return Tool(
            server=server,
            name=name,
            description=str(shown.get("description") or ""),
            schema=schema if isinstance(schema, dict) else {"type": "object"},
            definition="",
            gives=label or Label(source=f"{server}/{name}", integrity="untrusted"),
        )
