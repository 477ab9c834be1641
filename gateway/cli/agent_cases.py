"""Cases of agents, run: conversations in this process, on a database of their own. Tools give what a case has recorded, or are asked where it says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio
import msgspec
import yaml

from gateway.agent_source import tools_in
from gateway.agents.agent_planning import AgentsInForce
from gateway.agents.counts import Counts
from gateway.agents.desk import Draft
from gateway.agents.knowledge_counts import KnowledgeCounts
from gateway.agents.knowledge_hub import KnowledgeHub
from gateway.agents.knowledge_tools import knowledge_tools
from gateway.app import Application
from gateway.cli.agent_case_answers import CALLER as _CALLER
from gateway.cli.agent_case_answers import Talk, answer_all, nowhere
from gateway.cli.agent_case_hub import RecordedHub
from gateway.cli.agent_case_memory import forgotten, remember
from gateway.cli.agent_case_outcomes import CaseOutcome, judged
from gateway.cli.agent_case_servers import CaseHub, with_servers
from gateway.config import ScriptedSettings, Settings
from gateway.config.agent_families import everybody
from gateway.config.agent_links import in_conversation
from gateway.config.agent_settings import AgentCase, AgentDefinition, CaseDocument
from gateway.config.cache_settings import CacheSettings
from gateway.config.database_settings import SqliteSettings
from gateway.config.protection_settings import HttpGuardSettings, LengthSettings, ModerationSettings, ProtectionSettings
from gateway.config.routing_settings import RoutingSettings
from gateway.config.settings import ModelSettings, TargetSettings
from gateway.core.errors import SwitchgearError
from gateway.core.events import Started
from gateway.core.tools import Label, model_name
from gateway.governance import open_governance
from gateway.live import LoadSettings
from gateway.run_tools_opening import open_tool_means
from gateway.runs_opening import Runs, open_runs
from gateway.stores.runs import Run
from gateway.tools_opening import open_tools

PATIENCE: Final = 120.0
"""Seconds that a case may take."""
_PROVIDER: Final = "case"
_ANYTHING: Final = 1_000_000_000


class CaseRunner:
    """Runs the cases of one configuration. `config` is its file, `folder` a new and empty place for what is kept meanwhile.

    `agents` are all of them: those that others call are not asked, a case says what they answer.
    """

    def __init__(self, settings: Settings, config: Path, folder: Path, agents: Mapping[str, AgentDefinition]) -> None:
        self._settings = settings
        self._agents = agents
        self._config = config
        self._folder = folder

    async def run(self, agent: AgentDefinition, document: CaseDocument) -> CaseOutcome:
        """Run a case, and say what came of it. Raises ConfigError where the configuration cannot be put into force."""
        case = document.case
        place = self._folder / f"{agent.name}-{document.line}"
        place.mkdir()
        settings = self._arranged(agent, case, place)
        those = in_conversation(agent.name, self._agents)
        tools = {tool.id: tool for name in those for tool in tools_in(self._agents[name], settings)}
        if any(self._agents[name].settings.retrieval for name in those):
            tools |= {tool.id: tool for tool in knowledge_tools(settings.knowledge)}
        recorded = RecordedHub(tuple(tools.values()), case)
        talk = Talk(problems=recorded.problems)
        error = ""
        async with open_governance(settings, base=place, environ={}) as governance:
            application = Application(settings, self._again(settings), config_path=self._config, governance=governance)
            live = msgspec.structs.replace(settings, tools=with_servers(settings, case, place).tools)
            asked, _ = open_tools(live, None, application.judging, application.edge.clock)
            counts = KnowledgeCounts(lambda: application.live.current().knowledge)
            searching = KnowledgeHub(asked, application.live.current, counts, application.edge.clock)
            hub = CaseHub(searching, tuple(case.live), recorded)
            try:
                with anyio.fail_after(PATIENCE):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(asked.run)
                        try:
                            await hub.ready()
                            await self._with_memory(application, agent, case, hub, talk)
                            await hub.hold(case, _CALLER)
                        finally:
                            tasks.cancel_scope.cancel()
            except* SwitchgearError as found:
                error = _said(found)
            except* TimeoutError:
                error = f"it did not come to an end within {PATIENCE:g} seconds"
        return judged(agent, document, talk, settings, error)

    @staticmethod
    def _again(settings: Settings) -> LoadSettings:
        async def load() -> Settings:
            return settings

        return load

    async def _with_memory(
        self, application: Application, agent: AgentDefinition, case: AgentCase, hub: CaseHub, talk: Talk
    ) -> None:
        """Have the case's conversation between what the agent remembers before and after it."""
        kept, settings, wall = application.governance.kept, application.settings, application.edge.clock.wall
        if kept is not None:
            await remember(kept.memories, settings, agent, case, _CALLER, now=wall())
        await self._talk(application, agent, case, hub, talk)
        if kept is not None:
            talk.problems += await forgotten(kept.memories, settings, agent, case, _CALLER, now=wall())

    async def _talk(
        self, application: Application, agent: AgentDefinition, case: AgentCase, hub: CaseHub, talk: Talk
    ) -> None:
        """Say what the user says, turn by turn, and what people answer, until somebody else has to say something; `talk` takes what comes of it."""
        opened, kept = self._open(application, hub), application.governance.kept
        if kept is None:
            return
        started = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(application.live.run, started)
            await started.wait()
            tasks.start_soon(opened.executor.run)
            try:
                answers = list(case.answers)
                for text in case.user:
                    runs = talk.runs
                    if runs and runs[-1].status != "completed":
                        break
                    runs.append(await self._say(application, opened, agent, text, runs[-1].id if runs else None))
                    talk.turns += 1
                    await answer_all(opened.desk, kept.approvals, talk, answers)
            finally:
                tasks.cancel_scope.cancel()

    def _open(self, application: Application, hub: CaseHub) -> Runs:
        kept, live = application.governance.kept, application.live
        settings = application.settings.runs
        if kept is None or settings is None:
            msg = "cases are run with a database"
            raise RuntimeError(msg)

        def in_force() -> AgentsInForce:
            return AgentsInForce(
                agents=self._agents, authorizer=live.current().authorizer, settings=application.settings
            )

        recorded = {name: self._label(name, application.settings) for name in self._agents}

        return open_runs(
            settings,
            application.edge,
            Counts(),
            kept.ring,
            runs=kept.runs,
            conversations=kept.conversations,
            tools=open_tool_means(kept, in_force, application.judging, hub, application.settings.approvals, recorded),
        )

    def _label(self, name: str, settings: Settings) -> Label:
        """Give where an agent's answers come from at worst: what its tools give, and those of the agents below it."""
        members = [self._agents[each] for each in everybody(name, self._agents)]
        gives = [
            settings.tools.servers[server].tools[tool].gives
            for member in members
            for server, tools in member.settings.tools.items()
            for tool in tools
        ]
        gives += [settings.knowledge[base].gives for member in members for base in member.settings.retrieval]
        remembers = any(member.settings.memory is not None for member in members)
        return Label(
            source=name,
            integrity="untrusted" if any(each.integrity == "untrusted" for each in gives) or remembers else "trusted",
            confidentiality="sensitive" if any(each.confidentiality == "sensitive" for each in gives) else "internal",
        )

    @staticmethod
    async def _say(
        application: Application, opened: Runs, agent: AgentDefinition, text: str, previous: str | None
    ) -> Run:
        draft = Draft(
            caller=_CALLER,
            model=agent.model,
            fields={"model": agent.model, "input": text, "previous_response_id": previous},
            received=application.edge.clock.monotonic(),
        )
        return await opened.desk.answer(draft, nowhere, _Deaf())

    def _arranged(self, agent: AgentDefinition, case: AgentCase, place: Path) -> Settings:
        """Give the configuration as a case is run with: a database of its own, no limits, and its model's answers where it has some."""
        settings = msgspec.structs.replace(
            self._settings,
            database=SqliteSettings(path=str(place / "case.db")),
            redis=None,
            batches=None,
            slack=None,
            limits={},
            cache=CacheSettings(),
            access=msgspec.structs.replace(self._settings.access, bootstrap_key_file=str(place / "first.key")),
        )
        if not case.model:
            return settings
        script = place / "script.yaml"
        script.write_text(yaml.safe_dump({"models": {_PROVIDER: {"answers": _answers(case)}}}), encoding="utf-8")
        target = TargetSettings(provider=_PROVIDER, model=_PROVIDER)
        return msgspec.structs.replace(
            settings,
            providers={_PROVIDER: ScriptedSettings(kind="scripted", document=script)},
            models={name: ModelSettings(targets=(target,)) for name in settings.models},
            routing=RoutingSettings(),
            prices={},
            protection=None if settings.protection is None else _offline(settings.protection),
        )


def _answers(case: AgentCase) -> list[dict[str, object]]:
    answers: list[dict[str, object]] = []
    for turn, answer in enumerate(case.model):
        calls = [
            {
                "tool": model_name(*call.tool.split("/", 1)),
                "arguments": call.arguments or {},
                "id": f"call_{turn}_{number}",
            }
            for number, call in enumerate(answer.call)
        ]
        said: dict[str, object] = {"say": answer.say} if answer.say else {}
        if answer.json is not None:
            said["json"] = answer.json
        answers.append({"when": {"turn": turn}, "call": calls, **said})
    return answers


def _said(found: BaseExceptionGroup[SwitchgearError]) -> str:
    """Give what the first of some errors says: they come out of groups of tasks."""
    first: BaseException = found
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return f"{first.code}: {first.message}" if isinstance(first, SwitchgearError) else str(first)


def _offline(protection: ProtectionSettings) -> ProtectionSettings:
    """Give data protection without guardrails that ask somebody else."""
    guards = {
        name: LengthSettings(when=guard.when, match=guard.match, characters=_ANYTHING)
        if isinstance(guard, (ModerationSettings, HttpGuardSettings))
        else guard
        for name, guard in protection.guardrails.items()
    }
    return msgspec.structs.replace(protection, guardrails=guards)


class _Deaf:
    """An Ear that hears nothing."""

    def asking(self) -> None:
        """Hear nothing."""

    def started(self, started: Started) -> None:
        """Hear nothing."""
        del started
