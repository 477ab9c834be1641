"""What runs are tried with in place of what is in force, made from texts and kept versions. Nothing of it comes into force."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from gateway.agents.agent_planning import AgentsInForce
from gateway.agents.plan import Planner
from gateway.config import ConfigError, Settings
from gateway.config.agent_checks import fitting_findings
from gateway.config.agent_documents import read_agent
from gateway.config.agent_settings import AgentDefinition
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import Conflict, InvalidRequest, Unavailable
from gateway.policies.tool_judge import StandingToolJudge
from gateway.policies.tool_judgement import ToolJudge
from gateway.policy_source import open_policies
from gateway.stores.agent_versions import AgentVersions
from gateway.tools.hub import Hub


class CandidatesInForce:
    """Candidates, beside the present generation of the configuration."""

    def __init__(
        self, in_force: Callable[[], AgentsInForce], versions: AgentVersions, planner: Callable[[Hub], Planner]
    ) -> None:
        self._in_force = in_force
        self._versions = versions
        self._planner = planner

    def planner(self, hub: Hub) -> Planner:
        """Give who plans runs over other tools."""
        return self._planner(hub)

    def judge(self, policies: Mapping[str, str]) -> ToolJudge:
        """Give who decides by these policies alone; by those in force where there are none. Raises InvalidRequest."""
        now = self._in_force()
        if not policies:
            return StandingToolJudge(now.authorizer)
        settings = None if now.settings is None else now.settings.policies
        try:
            return StandingToolJudge(open_policies(policies, settings, SYSTEM_CLOCK))
        except ConfigError as error:
            raise InvalidRequest(str(error), param="policies") from None

    async def varied(self, name: str, version: str, *, model: str = "", instructions: str | None = None) -> str:
        """Keep a version of an agent that differs from another in its model, or in what it is told; give the new one. Raises Conflict and InvalidRequest."""
        definition = await self._versions.find(version)
        if definition is None:
            msg = f"The version {version[:100]!r} of the agent {name[:100]!r} is not kept any more."
            raise Conflict(msg)
        if model:
            settings = msgspec.structs.replace(definition.settings, model=model)
            definition = msgspec.structs.replace(definition, settings=settings)
            # The guardrails that it counts on must stand around the other model as well.
            for finding in fitting_findings(settings, self._settings(), self._in_force().agents):
                if finding.path[0] in ("model", "guardrails"):
                    raise InvalidRequest(
                        f"The agent {name!r} cannot have this model: {finding.message}.", param="model"
                    )
        if instructions is not None:
            definition = msgspec.structs.replace(definition, instructions=instructions)
        return await self._kept(definition)

    async def written(self, name: str, files: Mapping[str, str]) -> str:
        """Keep a version of an agent that is written out, and give it. Raises InvalidRequest with file and line."""
        try:
            contents = {file: text.encode() for file, text in files.items()}
            definition = read_agent(name, contents, self._settings(), self._in_force().agents)
        except ConfigError as error:
            raise InvalidRequest(str(error), param="agent") from None
        return await self._kept(definition)

    def _settings(self) -> Settings:
        settings = self._in_force().settings
        if settings is None:
            msg = "Agents cannot be tried here: there are no settings to hold them against."
            raise Unavailable(msg)
        return settings

    async def _kept(self, definition: AgentDefinition) -> str:
        body = msgspec.json.encode(msgspec.structs.replace(definition, version=""), order="sorted")
        tried = msgspec.structs.replace(definition, version=f"tried+{hashlib.sha256(body).hexdigest()[:24]}")
        await self._versions.keep(tried)
        return tried.version
