"""Runs of agents that call agents: a ToolWorld with definitions, each with a model of its own that follows a script."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import msgspec

from gateway.agents.agent_planning import AgentPlanner, AgentsInForce
from gateway.agents.executor import Executor
from gateway.agents.planning import Planners, RequestPlanner
from gateway.agents.running import Running
from gateway.config.agent_settings import AgentDefinition, AgentSettings
from gateway.config.database_settings import SqliteSettings
from gateway.config.run_settings import RunSettings
from gateway.policies.facts import model as resource
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.database import open_database
from tests.unit.agents.runs_world import draft
from tests.unit.agents.tools_world import LOOK, SEND, CountingHub, Script, Told, ToolWorld, want


def agent(name, **settings):
    """An agent with a model of its own name."""
    return AgentDefinition(
        name=name,
        version=f"{name}-1",
        settings=AgentSettings(model=name, description=f"Does what {name}s do.", **settings),
        instructions=f"You are {name}.",
    )


def call_of(name, text, call_id=""):
    """What a model asks another agent for."""
    arguments = msgspec.json.encode({"input": text}).decode()
    return want(name, arguments, server="agents", call_id=call_id or f"call_{name}_{text}")


class Family(ToolWorld):
    """`models` are the scripts of the agents, by name. `agents` may be changed by a test, as by a reload."""

    def __init__(self, database, settings, hub, judge, agents, scripts):
        super().__init__(database, settings, hub, judge)
        self.agents = {each.name: each for each in agents}
        self.models = {each.name: Script(*scripts.get(each.name, ())) for each in agents}
        routes = {
            name: SimpleNamespace(responder=script, subject=resource(name, ("up",)))
            for name, script in self.models.items()
        }
        routes |= {
            f"agent/{name}": SimpleNamespace(responder=None, subject=resource(f"agent/{name}")) for name in routes
        }
        generation = SimpleNamespace(authorizer=self.authorizer, routes=routes, hold=lambda: None, release=lambda: None)
        planner = Planners(
            AgentPlanner(self._in_force, hub, SqlAgentVersions(database)),
            RequestPlanner(hub, lambda: self.authorizer),
        )
        self.means = msgspec.structs.replace(
            self.means,
            current=lambda: generation,
            tools=msgspec.structs.replace(self.means.tools, planner=planner),
        )
        self.executor = Executor(self.means)
        self.desk = Running(self.means, self.executor)

    def _in_force(self):
        return AgentsInForce(agents=self.agents, authorizer=self.authorizer)

    async def ask_agent(self, name="boss", text="do it", **fields):
        """Ask an agent, and wait for its run."""
        return await self.answer(text, model=f"agent/{name}", **fields)

    async def begin_agent(self, name="boss", text="do it", **fields):
        """Ask an agent in the background."""
        return await self.desk.begin(draft(text, model=f"agent/{name}", background=True, **fields))

    async def children(self, run):
        return list(await self.runs.children(run.id))

    async def until(self, holds, seconds=10):
        """Wait until an async condition holds; give what it gave."""
        with anyio.fail_after(seconds):
            while not (found := await holds()):
                await anyio.sleep(0.01)
        return found


@asynccontextmanager
async def family(folder, *agents, tools=(LOOK, SEND), scripts=None, executing=True, **settings):
    """Run one, on a database of its own in `folder`; `scripts` has what the agents' models say, by the agents' names."""
    database = await open_database(SqliteSettings(path=str(folder / "runs.db")))
    world = Family(database, RunSettings(**settings), CountingHub(*tools), Told(), agents, scripts or {})
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.executor.run)
            if world.desk.approvals is not None:
                tasks.start_soon(world.desk.approvals.watch)
            await anyio.wait_all_tasks_blocked()
            if not executing:
                world.executor._leaving = True
            yield world
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await database.aclose()


BOSS = agent("boss", agents=("helper",))
HELPER = agent("helper", tools={"desk": ("look", "send")})
