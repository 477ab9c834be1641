"""Agents in a world of tools: their definitions in force, each with a model of its own that follows a script."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import msgspec

from gateway.agents.agent_planning import AgentPlanner, AgentsInForce
from gateway.agents.desk import Draft
from gateway.agents.planning import Planners, RequestPlanner
from gateway.candidates_opening import CandidatesInForce
from gateway.config.agent_settings import AgentDefinition, AgentSettings
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.ids import new_id
from gateway.policies.facts import model as resource
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.conversations import Conversation
from tests.unit.agents.runs_world import ADA, Silent
from tests.unit.agents.tools_world import Script, tool_world


def agent(name, version="v1", instructions="", **settings):
    """A definition; its model is its own, `<name>-mind`."""
    return AgentDefinition(
        name=name,
        version=f"{name}-{version}",
        settings=AgentSettings(**{"model": f"{name}-mind", **settings}),
        instructions=instructions or f"You are {name}.",
    )


class Office:
    """A ToolWorld with agents. `minds` are the Scripts of their models, by the agents' names; `agents` are those in force."""

    def __init__(self, world, database, agents, minds):
        self.world, self.agents, self.minds = world, {each.name: each for each in agents}, {}
        self.authorizer = world.authorizer
        in_force = lambda: AgentsInForce(agents=self.agents, authorizer=self.authorizer)  # noqa: E731 - the shortest double
        tools = world.means.tools
        versions = SqlAgentVersions(database)
        self.planner = AgentPlanner(in_force, world.hub, versions)
        requests = lambda hub: RequestPlanner(hub, lambda: self.authorizer)  # noqa: E731 - as above
        both = Planners(self.planner, requests(world.hub))
        msgspec.structs.force_setattr(tools, "planner", both)
        over = lambda hub: Planners(AgentPlanner(in_force, hub, versions), requests(hub))  # noqa: E731 - as above
        msgspec.structs.force_setattr(tools, "candidates", CandidatesInForce(in_force, versions, over))
        for each in agents:
            self.mind(each.name, *minds.get(each.name, ()))
            self._route(each.model, None)

    def mind(self, name, *answers):
        """Give an agent's model its answers."""
        self.minds[name] = Script(*answers)
        self._route(f"{name}-mind", self.minds[name])

    def _route(self, model, responder):
        self.world.means.current().routes[model] = SimpleNamespace(
            responder=responder, subject=resource(model, ("up",))
        )

    async def ask(self, said="hello", agent="front", background=False, **fields):
        """Ask an agent; give its run and its events."""
        given = {"model": f"agent/{agent}", **fields}
        if not background:
            return await self.answer(said, given)
        run = await self.world.desk.begin(asking(said, background=True, **given))
        events = await self.world.follow(run)
        return await self.world.desk.find(run.tenant, run.id), events

    async def answer(self, said, given):
        """Answer one who waits; the run and its events."""
        events = []

        async def keep(event):
            events.append(event)

        return await self.world.desk.answer(asking(said, **given), keep, Silent()), events

    async def yes(self, run, **fields):
        """Agree to what a run asks, as its client does."""
        items = [
            {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": True}
            for item in run.response["output"]
            if item["type"] == "mcp_approval_request"
        ]
        return await self.ask(items, **{"previous_response_id": run.id, **fields})

    async def conversation(self):
        """The id of a new conversation."""
        name = new_id("conv_")
        await self.world.conversations.add(Conversation(id=name, tenant="acme", created_at=0.0))
        return name


def asking(said, caller=ADA, **fields):
    """A request."""
    return Draft(
        caller=caller, model=fields["model"], fields={"input": said, **fields}, received=SYSTEM_CLOCK.monotonic()
    )


@asynccontextmanager
async def office(folder, *agents, minds=None, **settings):
    """Run one, on a database of its own in `folder`."""
    async with tool_world(folder, **settings) as world:
        yield Office(world, world.database, agents, minds or {})
