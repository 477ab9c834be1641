"""Runs with tools of this server: the stores, the loop and the desk as they are; a hub that counts, a model that follows a script, a judge that does as told."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import msgspec

from gateway.agents.agent_planning import AgentsInForce
from gateway.agents.counts import Counts
from gateway.agents.executor import Executor
from gateway.agents.listeners import Listeners
from gateway.agents.means import Means, ToolMeans
from gateway.agents.planning import RequestPlanner
from gateway.agents.running import Running
from gateway.candidates_opening import CandidatesInForce
from gateway.config.database_settings import SqliteSettings
from gateway.config.run_settings import RunSettings
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import NotFound
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started
from gateway.core.ids import new_id
from gateway.core.items import Message, Text, ToolCall
from gateway.core.tools import Label, Tool, ToolOutput, model_name
from gateway.core.usage import Usage
from gateway.policies.authorizer import Authorizer
from gateway.policies.decision import Approval as Needed
from gateway.policies.tool_judgement import ToolJudgement
from gateway.schemas.judge import compiled
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.blobs_sql import SqlBlobs
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import open_database
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls_sql import SqlToolCalls
from gateway.tools.hub import ServerInfo
from tests.unit.agents.runs_world import SEAL, World, check_stream, draft, route_to, speak

OBJECT = {"type": "object"}


def a_tool(name, server="desk", effect="read", schema=None, **more):
    """A tool."""
    gives = Label(source=f"{server}/{name}", integrity="trusted")
    known = {"description": f"Does {name}.", "gives": gives, "definition": f"d-{name}", "outward": False, **more}
    return Tool(server=server, name=name, schema=schema or OBJECT, effect=effect, **known)


LOOK = a_tool("look")
SEARCH = a_tool("search", schema={"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]})
SEND = a_tool("send", effect="once")
TIDY = a_tool("tidy", effect="idempotent")


class CountingHub:
    """A Hub over tools in memory. `calls` are those that were made; `act` is what they do, which a test may replace."""

    def __init__(self, *tools):
        self.known = list(tools)
        self.calls = []
        self.act = self.echo
        self.down = {}
        self.states = {}
        self.listings = 0

    @staticmethod
    async def echo(asked):
        return ToolOutput(text=f"{asked.tool.name} did {msgspec.json.encode(asked.arguments).decode()}")

    def servers(self):
        return [self.server(name) for name in sorted({tool.server for tool in self.known})]

    def server(self, name):
        tools = tuple(tool for tool in self.known if tool.server == name)
        return ServerInfo(name=name, kind="stdio", state=self.states.get(name, "ready"), tools=tools) if tools else None

    async def tools(self, server):
        self.listings += 1
        if server in self.down:
            raise self.down[server]
        found = [tool for tool in self.known if tool.server == server]
        if not found:
            raise NotFound(server)
        return found

    async def call(self, asked):
        self.calls.append(asked)
        return await self.act(asked)

    @property
    def made(self):
        return [asked.tool.name for asked in self.calls]


class Told:
    """A ToolJudge: `by_tool` says what is decided of a tool; without it the client's wish decides."""

    def __init__(self):
        self.by_tool = {}
        self.facts = []

    def judge(self, facts):
        self.facts.append(facts)
        told = self.by_tool.get(facts.tool.name)
        if callable(told):
            return told(facts)
        if told is not None:
            return told
        return ToolJudgement(effect="ask" if facts.wish == "always" else "allow", reason="The client asks for it.")


def want(name, arguments="{}", server="desk", call_id=""):
    """What a model asks for."""
    name = model_name(server, name) if server else name
    return ToolCall(call_id=call_id or f"call_{name}_{len(arguments)}", name=name, arguments=arguments)


class Script:
    """A responder that gives its answers one after the other: texts, and lists of what it asks for; then it says what it was told last."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []
        self.reason = "stop"

    async def __call__(self, call, send):
        self.calls.append(call)
        answer = self.answers.pop(0) if self.answers else "I am done."
        if callable(answer):
            await answer(call, send)
        elif isinstance(answer, str):
            await speak(call, send, [answer], name=f"msg_{len(self.calls)}")
        else:
            await self.ask(call, send, answer)

    async def ask(self, call, send, wanted):
        await send(Started(id=call.id, model="upstream-name", created=0, target="up/model"))
        for index, item in enumerate(wanted):
            if isinstance(item, str):
                message = Message(role="assistant", parts=(Text(text=item),), id=f"msg_{call.id}")
                await send(ItemStarted(index=index, item=msgspec.structs.replace(message, parts=())))
                await send(ItemFinished(index=index, item=message))
            else:
                await send(ItemStarted(index=index, item=msgspec.structs.replace(item, arguments="")))
                await send(ItemFinished(index=index, item=item))
        await send(
            Finished(reason="tool_calls" if self.reason == "stop" else self.reason, usage=Usage(input=5, output=2))
        )

    def told(self, number=-1):
        """What the model was given in a call: (kind, text) of each item."""
        return [_of(item) for item in self.calls[number].content.items]


def _of(item):
    if isinstance(item, Message):
        return (item.role, "".join(part.text for part in item.parts))
    if isinstance(item, ToolCall):
        return ("call", item.name)
    return ("result", "".join(part.text for part in item.parts))


async def violation(tool, arguments):
    return "; ".join(map(str, compiled(tool.schema).judge(arguments)))


class ToolWorld(World):
    """A World whose server runs tools. `model` is a Script, `hub` a CountingHub, `judge` a Told."""

    def __init__(self, database, settings, hub, judge, *answers):
        self.model = Script(*answers)
        self.hub, self.judge, self.database = hub, judge, database
        self.counts = Counts()
        self.runs = SqlRuns(database)
        self.conversations = SqlConversations(database)
        self.approvals = SqlApprovals(database)
        self.tool_calls = SqlToolCalls(database)
        self.known = lambda caller: caller
        self.authorizer = Authorizer(None, wall=SYSTEM_CLOCK.wall)
        generation = SimpleNamespace(
            authorizer=self.authorizer,
            routes={"talker": route_to(self.model)},
            hold=lambda: None,
            release=lambda: None,
        )
        self.means = Means(
            runs=self.runs,
            conversations=self.conversations,
            settings=settings,
            current=lambda: generation,
            known=self._known,
            counts=self.counts,
            listeners=Listeners(self.counts),
            clock=SYSTEM_CLOCK,
            new_id=new_id,
            owner="this-process",
            seal=SEAL,
            tools=ToolMeans(
                hub=hub,
                judge=judge,
                planner=RequestPlanner(hub, lambda: self.authorizer),
                calls=self.tool_calls,
                approvals=self.approvals,
                blobs=SqlBlobs(database),
                violation=violation,
                candidates=CandidatesInForce(
                    lambda: AgentsInForce(agents={}, authorizer=self.authorizer),
                    SqlAgentVersions(database),
                    lambda other: RequestPlanner(other, lambda: self.authorizer),
                ),
            ),
        )
        self.executor = Executor(self.means)
        self.desk = Running(self.means, self.executor)

    async def ask(self, text="hello", approval="never", background=False, caller=None, **fields):
        """Answer a request with the tools of the server `desk`."""
        tools = fields.pop("tools", [{"type": "mcp", "server_label": "desk", "require_approval": approval}])
        if not background:
            return await self.answer(text, tools=tools, **fields, **({} if caller is None else {"caller": caller}))
        run = await self.desk.begin(draft(text, tools=tools, background=True, **fields))
        events = await self.follow(run)
        return await self.desk.find(run.tenant, run.id), events

    async def yes(self, run, approve=True, reason=None, **fields):
        """Answer what a run asks, as its client does."""
        items = [
            {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": approve, "reason": reason}
            for item in run.response["output"]
            if item["type"] == "mcp_approval_request"
        ]
        return await self.ask(items, previous_response_id=run.id, **fields)


@asynccontextmanager
async def tool_world(folder, *answers, tools=(LOOK, SEARCH, SEND, TIDY), executing=True, hub=None, **settings):
    """Run one, on a database of its own in `folder`."""
    database = await open_database(SqliteSettings(path=str(folder / "runs.db")))
    world = ToolWorld(database, RunSettings(**settings), hub or CountingHub(*tools), Told(), *answers)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.executor.run)
            await anyio.wait_all_tasks_blocked()
            if not executing:
                world.executor._leaving = True
            yield world
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await database.aclose()


def kinds(run):
    """The kinds of a response's output, in order."""
    return [item["type"] for item in run.response["output"]]


def results(run):
    """(tool, output or error) of the calls in a response's output."""
    return [
        (
            item["name"],
            item["output"] if item["error"] is None else item["error"].get("message", item["error"].get("content")),
        )
        for item in run.response["output"]
        if item["type"] == "mcp_call"
    ]


BOB = Caller(id="bob", tenant="acme", groups=("sre",))
CY = Caller(id="cy", tenant="acme", groups=("sre", "finance"))


def asked_of(*groups, quorum=1, ttl=600):
    """A judgement that asks people of these groups."""
    return ToolJudgement(
        effect="ask",
        rules=("big-change",),
        reason="It changes much.",
        approvals=tuple(Needed(approvers=(group,), quorum=quorum, ttl=ttl) for group in groups),
    )


async def waiting(world, *, text="do it", **fields):
    """A run that waits, and the approvals it asks for."""
    run, events = await world.ask(text, approval="always", **fields)
    check_stream(events)
    assert run.status == "waiting"
    asked = await world.approvals.of_run(run.id)
    return run, sorted(asked, key=lambda approval: (approval.groups, approval.arguments))
