"""What a run is tried with in place of what is in force: other policies, another definition of its agent. It puts nothing into force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.agents.plan import Planner
from gateway.policies.tool_judgement import ToolJudge
from gateway.tools.hub import Hub


class Candidates(Protocol):
    """Makes what is tried. What is at fault is an InvalidRequest that says where."""

    def judge(self, policies: Mapping[str, str]) -> ToolJudge:
        """Give who decides by these policies (texts by name) alone; by those in force where there are none."""
        ...

    def planner(self, hub: Hub) -> Planner:
        """Give who plans runs over other tools."""
        ...

    async def varied(self, name: str, version: str, *, model: str = "", instructions: str | None = None) -> str:
        """Keep a version of an agent that differs from another in its model, or in what it is told; give the new one. Raises Conflict for a version that is gone."""
        ...

    async def written(self, name: str, files: Mapping[str, str]) -> str:
        """Keep a version of an agent that is written out (the files of its folder, by name), and give it."""
        ...
