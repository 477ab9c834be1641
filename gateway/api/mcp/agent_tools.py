"""Agents as tools of MCP clients: what a client is told of one, what it may ask, and what it hears while the agent works. It begins no run."""

from __future__ import annotations

from typing import Final

import msgspec
from anyio import current_time

from gateway.api.mcp.asking import Answer, Asked
from gateway.config.agent_settings import AgentDefinition
from gateway.core.items import Json
from gateway.stores.runs import RunEvent

_SCHEMA: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "minLength": 1,
            "description": "What the agent is to do, with all that it has to know: it reads nothing else of this conversation.",
        },
        "background": {
            "type": "boolean",
            "default": False,
            "description": "Whether to be answered at once, with an id for agent_status, while the agent works on.",
        },
    },
    "required": ["input"],
    "additionalProperties": False,
}
_EVERY: Final = 0.2
"""Seconds between two pieces of text: a client need not hear every token by itself."""
_DELTA: Final = "response.output_text.delta"
_ADDED: Final = "response.output_item.added"
_CALLS: Final = ("mcp_call", "mcp_approval_request")


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of such a tool."""

    input: str
    background: bool = False


def agent_entry(name: str, agent: AgentDefinition) -> Answer:
    """Give an agent as a tool."""
    entry: Answer = {
        "name": name,
        "description": agent.settings.description or f"Asks the agent {agent.name}.",
        "inputSchema": _SCHEMA,
    }
    if (schema := output_schema(agent)) is not None:
        entry["outputSchema"] = schema
    return entry


def output_schema(agent: AgentDefinition) -> dict[str, Json] | None:
    """Give the form of an agent's answers, where it has one that a client can be promised: an object."""
    return agent.schema if agent.schema is not None and agent.schema.get("type") == "object" else None


class Teller:
    """Tells a client how an agent gets on: by its text as it grows, and by the tools that it calls."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._said = 0
        self._steps = 0
        self._text = ""
        self._last = current_time()

    async def take(self, event: RunEvent) -> None:
        """Take an event of the agent's run."""
        if event.name == _DELTA:
            self._text += str(msgspec.json.decode(event.data).get("delta", ""))
            if current_time() - self._last >= _EVERY:
                await self._flush()
        elif event.name == _ADDED:
            item = msgspec.json.decode(event.data).get("item") or {}
            if item.get("type") in _CALLS:
                await self._flush()
                self._steps += 1
                await self._tell(f"{item.get('server_label')}/{item.get('name')}")
        elif event.name.startswith("response.output_text.done"):
            await self._flush()

    async def _flush(self) -> None:
        if self._text:
            text, self._text = self._text, ""
            self._said += len(text)
            await self._tell(text)

    async def _tell(self, message: str) -> None:
        self._last = current_time()
        # It only ever grows: by the characters that were said, and by the steps that were made.
        await self._asked.tell(float(self._said + self._steps), None, message)
