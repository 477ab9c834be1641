"""Agents as tools of other agents: what the model is told of one, and how the run is named that a call of it begins. It begins none."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from gateway.agents.plan import Granted
from gateway.config.agent_settings import AGENTS, AgentDefinition
from gateway.core.items import Json
from gateway.core.tools import Label, Tool, model_name
from gateway.dialects.openai_responses.mcp_items import request_of
from gateway.stores.tool_calls import ToolCall

SERVER: Final = AGENTS
_SCHEMA: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "minLength": 1,
            "description": "What the agent is to do, with all that it has to know: it reads nothing else of this conversation.",
        }
    },
    "required": ["input"],
    "additionalProperties": False,
}


def agent_tool(agent: AgentDefinition) -> Tool:
    """Give an agent as a tool.

    A call of it changes nothing by itself: each call that the agent makes is judged by its own. A second one finds the run of the first.
    """
    description = agent.settings.description or f"Asks the agent {agent.name}."
    said = msgspec.json.encode([agent.name, description, _SCHEMA], order="sorted")
    return Tool(
        server=SERVER,
        name=agent.name,
        description=description,
        schema=_SCHEMA,
        definition=hashlib.sha256(said).hexdigest(),
        effect="read",
        # Its answers are labelled by what it read.
        gives=Label(source=f"{SERVER}/{agent.name}", integrity="untrusted"),
        outward=False,
    )


def granted_agent(agent: AgentDefinition, *, asks: bool) -> Granted:
    """Give an agent as a tool that a run may use; `asks` where a person has to agree to each call."""
    tool = agent_tool(agent)
    return Granted(name=model_name(SERVER, agent.name), tool=tool, wish="always" if asks else "")


def is_gone_on_with(call: ToolCall) -> bool:
    """Whether a call only goes on with one of an earlier run, whose agent waited for people: then its child was begun there.

    Its key is that of the first such call, and its approval a question of the agent's, not the one about the call itself.
    """
    run, _, first = call.key.partition(".")
    return call.server == SERVER and run != call.run and bool(call.approval) and call.approval != request_of(first)


def child_id(key: str) -> str:
    """Give the id of the run that a call begins, by the call's key; or of what goes on after a child, by that child's id.

    It is the same whoever asks: a second holder of the caller finds the run that the first began.
    """
    return f"resp_{hashlib.sha256(key.encode()).hexdigest()[:24]}"
