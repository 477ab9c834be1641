"""What runs need to use tools and to be agents, put together for one application. It does none of their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gateway.agents.agent_planning import AgentPlanner, AgentsInForce
from gateway.agents.direct import DirectPlanner
from gateway.agents.means import ToolMeans
from gateway.agents.plan import Planner
from gateway.agents.planning import Planners, RequestPlanner
from gateway.agents.remembering import Remembering
from gateway.candidates_opening import CandidatesInForce
from gateway.config.approval_settings import ApprovalSettings
from gateway.config.memory_settings import MemorySettings
from gateway.core.errors import NotFound, Overloaded, UnsupportedSchema
from gateway.core.items import Json
from gateway.core.tools import Label, Tool, ToolOutput
from gateway.policies.tool_judge import StandingToolJudge
from gateway.policies.tool_judgement import ToolFacts, ToolJudgement
from gateway.schemas.worker import Judging
from gateway.stores.agent_versions import AgentVersions
from gateway.stores.approvals import ApprovalStore
from gateway.stores.blobs import BlobStore
from gateway.stores.memories import MemoryStore
from gateway.stores.tool_calls import ToolJournal
from gateway.tools.hub import Hub, ServerInfo, ToolAsked

InForce = Callable[[], AgentsInForce]
_CUSTOMARY: Final = ApprovalSettings()


class Kept(Protocol):
    """The stores that it takes."""

    @property
    def calls(self) -> ToolJournal:
        """Calls of tools."""
        ...

    @property
    def approvals(self) -> ApprovalStore:
        """What people are asked."""
        ...

    @property
    def blobs(self) -> BlobStore:
        """Results that are too long to be given at once."""
        ...

    @property
    def agent_versions(self) -> AgentVersions:
        """What agents were."""
        ...

    @property
    def memories(self) -> MemoryStore:
        """What agents remember."""
        ...


def open_tool_means(
    kept: Kept,
    in_force: InForce,
    judging: Judging,
    hub: Hub | None = None,
    asking: ApprovalSettings = _CUSTOMARY,
    recorded: Mapping[str, Label] | None = None,
) -> ToolMeans:
    """Put it together. `in_force` gives what the present generation says; without a hub there are no tools, but agents all the same."""
    known: Hub = NoTools() if hub is None else hub

    def planner(hub: Hub) -> Planner:
        agents = AgentPlanner(in_force, hub, kept.agent_versions)
        direct = DirectPlanner(hub, lambda: in_force().authorizer)
        return Planners(agents, direct, RequestPlanner(hub, lambda: in_force().authorizer))

    def memories() -> Mapping[str, MemorySettings]:
        settings = in_force().settings
        return {} if settings is None else settings.memories

    return ToolMeans(
        hub=known,
        judge=JudgeInForce(in_force),
        planner=planner(known),
        candidates=CandidatesInForce(in_force, kept.agent_versions, planner),
        calls=kept.calls,
        approvals=kept.approvals,
        blobs=kept.blobs,
        violation=Violations(judging),
        asking=asking,
        recorded=recorded,
        memory=Remembering(kept.memories, memories),
    )


class JudgeInForce:
    """A ToolJudge: that of the present generation, also for runs that began with an earlier one."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force

    def judge(self, facts: ToolFacts) -> ToolJudgement:
        """Decide. Whatever goes wrong on the way is a denial; it raises nothing."""
        return StandingToolJudge(self._in_force().authorizer).judge(facts)


class NoTools:
    """A Hub without any server."""

    def servers(self) -> Sequence[ServerInfo]:
        """Give none."""
        return ()

    def server(self, name: str) -> ServerInfo | None:
        """Give none."""
        del name
        return None

    async def tools(self, server: str) -> Sequence[Tool]:
        """Raise NotFound."""
        msg = f"There is no server of tools named {server[:100]!r} here."
        raise NotFound(msg)

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Raise NotFound."""
        msg = f"There is no tool {asked.tool.id[:200]!r} here."
        raise NotFound(msg)


class Violations:
    """Says what is wrong with the arguments of calls."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging

    async def __call__(self, tool: Tool, arguments: dict[str, Json]) -> str:
        """Say what is wrong with the arguments of a call, empty where nothing is."""
        try:
            found = await self._judging.violations(tool.schema, msgspec.json.encode(arguments).decode())
        except UnsupportedSchema as error:
            return f"The tool's own schema cannot be judged by: {error.message}"
        except Overloaded:
            return "They could not be checked now: too much waits for that."
        return "; ".join(map(str, found))
