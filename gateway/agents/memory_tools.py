"""The tools by which an agent remembers: what a model is told of each, and what policies hold them to. They do nothing here.

A memory that is shared is a place outside of the run: others read what is written there, so a write is judged like any other that reaches
outside. What a user's own memory takes is read by that user's runs alone, and keeps its label: writing it needs no approval, and what a later
run does with it is judged by that label. Deleting leaves no label behind, so it is judged like any other change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.agents.plan import ApprovalWish, Granted
from gateway.config.agent_checks import MEMORY_READS, MEMORY_WRITES
from gateway.config.memory_settings import MemorySettings
from gateway.core.items import Json
from gateway.core.tools import SERVER, Effect, Label, Tool, model_name

SEARCH, READ = MEMORY_READS
WRITE, DELETE = MEMORY_WRITES
MOST_FOUND: Final = 50
"""Entries that one search gives."""
USUALLY_FOUND: Final = 10

_KEY: Final[dict[str, Json]] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$"}
_VERSION: Final[dict[str, Json]] = {
    "type": "integer",
    "minimum": 0,
    "description": "The version that the entry must have, 0 where there must be none; left out, any.",
}
_WHOSE: Final = {
    "user": "It is the user's own, and read in later conversations with this user.",
    "agent": "All users that this agent works for share it.",
    "tenant": "Everybody here shares it, and other agents, too.",
}


def memory_source(name: str) -> str:
    """Give the source of what a memory gives, as labels and policies name it."""
    return f"memory/{name}"


def memory_tools(name: str, settings: MemorySettings, agent: str, *, write: bool) -> Sequence[Tool]:
    """Give the tools of an agent's memory."""
    about = " ".join(filter(None, (_WHOSE[settings.scope], settings.description)))
    made = [
        _tool(
            SEARCH,
            f"Searches your long-term memory, and gives the entries with most of the words; all of them without a query. {about}",
            {
                "query": {"type": "string", "maxLength": 1000},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": USUALLY_FOUND},
            },
        ),
        _tool(READ, "Reads one entry of your long-term memory.", {"key": _KEY}, needed=("key",)),
    ]
    if write:
        text: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": settings.limits.entry_bytes}
        made += [
            _tool(
                WRITE,
                f"Writes an entry of your long-term memory, in the place of the one under that key. {about}",
                {"key": _KEY, "text": text, "version": _VERSION},
                needed=("key", "text"),
                effect="idempotent",
            ),
            _tool(
                DELETE,
                "Deletes an entry of your long-term memory.",
                {"key": _KEY, "version": _VERSION},
                needed=("key",),
                effect="idempotent",
            ),
        ]
    shared = settings.scope != "user"
    gives = Label(source=memory_source(name), integrity="untrusted", confidentiality=settings.gives.confidentiality)
    return [
        msgspec.structs.replace(
            tool,
            memory=name,
            # Leave that was given for one memory is none for another.
            definition=_definition(tool.name, name, settings.scope, agent if settings.scope == "agent" else ""),
            gives=gives if tool.effect == "read" else Label(source="operator"),
            outward=shared and tool.effect != "read",
            labelled=not shared and tool.name == WRITE,
        )
        for tool in made
    ]


def granted_memory(tool: Tool, *, asks: bool) -> Granted:
    """Give such a tool as one that a run may use; `asks` where a person has to agree to each call."""
    wish: ApprovalWish = "always" if asks else ""
    return Granted(name=model_name(SERVER, tool.name), tool=tool, wish=wish)


def _tool(
    name: str, description: str, properties: dict[str, Any], *, needed: Sequence[str] = (), effect: Effect = "read"
) -> Tool:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": properties,
        "required": list(needed),
        "additionalProperties": False,
    }
    gives = Label(source="operator")
    return Tool(
        server=SERVER, name=name, description=description, schema=schema, definition="", effect=effect, gives=gives
    )


def _definition(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(["memory", *parts])).hexdigest()
