"""Settings of the MCP endpoint: which tools and agents its clients reach, under which names, and how much of it at once.

It reads like the definition of an agent whose model is the client: what is not written down does not exist for clients, whatever servers offer.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.agent_name import AgentName
from gateway.config.knowledge_settings import KnowledgeName
from gateway.config.mcp_door_settings import McpDoorSettings
from gateway.config.shapes import Expected
from gateway.config.tool_settings import ServerLabel, ToolName

Prefix: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{0,32}$"),
    Expected(words="at most 32 letters, digits, dashes and underscores, or nothing at all"),
]


class McpLimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much clients may ask for. What is beyond is refused, and nothing is done."""

    argument_bytes: Annotated[
        int, Meta(ge=256, le=64 * 1024**2, description="Most bytes of the arguments of one call, as JSON.")
    ] = 256 * 1024
    at_once: Annotated[
        int, Meta(ge=1, le=100_000, description="Most calls that one caller has under way at once, in each replica.")
    ] = 32
    per_minute: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Most calls of one caller in a minute, of all tools together; null has no limit."),
    ] = None
    tools: Annotated[
        dict[str, Annotated[int, Meta(ge=1)]],
        Meta(description="Most calls of one caller in a minute, by tool (server/tool, agents/agent)."),
    ] = msgspec.field(default_factory=dict)


class McpEndpointSettings(McpDoorSettings, frozen=True, kw_only=True):
    """What MCP clients reach at /mcp, and who gets in."""

    servers: Annotated[
        dict[ServerLabel, Annotated[tuple[ToolName, ...], Meta(min_length=1)]],
        Meta(description="The tools that clients may use, by server; each by its name, for there are no wildcards."),
    ] = msgspec.field(default_factory=dict)
    agents: Annotated[
        tuple[AgentName, ...], Meta(description="The agents that clients may call: each is a tool agent_<name>.")
    ] = ()
    knowledge: Annotated[
        tuple[KnowledgeName, ...],
        Meta(description="The knowledge bases that clients may search and read: search_knowledge and read_knowledge."),
    ] = ()
    offers: Annotated[
        tuple[ServerLabel, ...],
        Meta(
            description="Servers whose resources, templates and prompts clients may use, as far as tools.servers names them."
        ),
    ] = ()
    prefixes: Annotated[
        dict[ServerLabel, Prefix],
        Meta(
            description=(
                "What the names of a server's tools begin with, where it is not the server's own name; empty for one server whose "
                "tools keep their own names."
            )
        ),
    ] = msgspec.field(default_factory=dict)
    approval: Annotated[
        dict[str, Literal["always", "policy"]],
        Meta(
            description="Tools (server/tool) that a person has to agree to always, or as the policies say, which is the default."
        ),
    ] = msgspec.field(default_factory=dict)
    clients: Annotated[
        Literal["untrusted", "trusted"],
        Meta(
            description=(
                "What a client asks for counts as: untrusted, for its model may have read anything, so that tools which change something "
                "ask for an approval unless a policy lifts that; trusted is as if its user had said it."
            )
        ),
    ] = "untrusted"
    instructions: Annotated[
        str, Meta(max_length=20_000, description="What clients may tell their models of all this.")
    ] = ""
    page: Annotated[int, Meta(ge=1, le=1000, description="Most tools in one page of a list.")] = 100
    ttl: Annotated[
        float, Meta(ge=0, le=86_400, description="Seconds for which clients of 2026-07-28 may keep a list.")
    ] = 60.0
    wait: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Seconds that a client which asks again for a call that waits for people is kept waiting at most.",
        ),
    ] = 20.0
    answer_wait: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds for which a client of 2025-11-25 is given time to answer what a tool asks in the midst of its call.",
        ),
    ] = 300.0
    approval_url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[!-~]+$")] | None,
        Meta(
            description=(
                "Page where people answer, with {approval} in the place of its id; null: /admin/approvals/{approval} under tools.public_url."
            )
        ),
    ] = None
    limits: Annotated[McpLimitSettings, Meta(description="How much clients may ask for.")] = McpLimitSettings()
