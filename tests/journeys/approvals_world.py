"""Runs that wait for people, over a real SQLite, a double of Slack, and everything between them as it is in the server.

What asks is written into the journal as the loop writes it; who goes on is looked up there. Time stands still unless a test moves it.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import msgspec
from starlette.routing import Router

from gateway.agents.counts import Counts as RunCounts
from gateway.agents.executor import Executor
from gateway.agents.listeners import Listeners
from gateway.agents.means import Means, ToolMeans
from gateway.agents.planning import RequestPlanner
from gateway.agents.running import Running
from gateway.api import unknown
from gateway.api.admin_endpoints import admin_endpoints
from gateway.api.admin_services import Services
from gateway.api.edge import Edge
from gateway.api.identity import Identity
from gateway.api.paths import Paths, pattern_routes
from gateway.approvals_opening import Approvals, open_approvals
from gateway.config.approval_settings import ApprovalSettings
from gateway.config.database_settings import SqliteSettings
from gateway.config.run_settings import RunSettings
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.config.slack_settings import ApproverSettings, SlackSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.ids import new_id
from gateway.core.tools import Label, Tool
from gateway.notices.counts import Counts
from gateway.policies.authorizer import Authorizer
from gateway.policies.decision import Approval as Needed
from gateway.policies.tool_judgement import ToolJudgement
from gateway.stores.approval_messages_sql import SqlApprovalMessages
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.audit import AuditQuery
from gateway.stores.audit_log import AuditLog
from gateway.stores.audit_queue import AuditQueue
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.blobs_sql import SqlBlobs
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import open_database
from gateway.stores.directory import Team, Tenant, User, VirtualKey
from gateway.stores.directory_sql import SqlDirectory
from gateway.stores.incident_threads_sql import SqlIncidentThreads
from gateway.stores.incidents_sql import SqlIncidents
from gateway.stores.key_material import digest_key, make_key, shown_prefix
from gateway.stores.key_ring import KeyRing
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Entry, Run, RunEvent
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import Approval, ToolCall, approval_notice
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.slack_double import SIGNING_SECRET, TEAM, TOKEN, Sent, SlackDouble, slack_double

PEPPER = b"p" * 32
NOW = 1_790_000_000.0
BOB = Caller(id="key_bob", kind="key", tenant="default", user="bob")
SCALE = Tool(server="ops", name="scale", schema={}, definition="d" * 64, gives=Label(source="ops/scale"))
AUTHORIZER = Authorizer(None, wall=lambda: NOW)
KINDS = ("approval", "incident", "slack", "webhook")
USERS = {
    f"{TEAM}/U0ADA": ApproverSettings(user="ada", groups=("sre",)),
    f"{TEAM}/U0EVE": ApproverSettings(user="eve", groups=("sre",)),
    f"{TEAM}/U0BOB": ApproverSettings(user="bob", groups=("sre",)),
    f"{TEAM}/U0DAN": ApproverSettings(user="dan"),
}


class OneTool:
    """A hub with one tool, which these tests never call."""

    async def tools(self, server):
        return [SCALE] if server == "ops" else []


class AtMostTen:
    """A judge: up to three replicas are allowed, up to ten are asked about, of two people from eight on; more are denied."""

    def judge(self, facts):
        replicas = facts.arguments.get("replicas", 0)
        return ToolJudgement(
            effect="allow" if replicas <= 3 else "ask" if replicas <= 10 else "deny",
            reason="Ten at most.",
            approvals=(Needed(approvers=(), quorum=2 if replicas >= 8 else 1, ttl=3600),),
        )


async def _violation(tool, arguments):
    return "" if isinstance(arguments.get("replicas"), int) else "replicas is a number"


def running_over(database, ring: KeyRing, clock: Clock) -> Running:
    """Runs as the server has them, which nobody executes, and the desk of what they ask."""
    run_counts = RunCounts()
    tools = ToolMeans(
        hub=OneTool(),
        judge=AtMostTen(),
        planner=RequestPlanner(OneTool(), lambda: AUTHORIZER),
        calls=SqlToolCalls(database),
        approvals=SqlApprovals(database),
        blobs=SqlBlobs(database),
        violation=_violation,
    )
    means = Means(
        runs=SqlRuns(database),
        conversations=SqlConversations(database),
        settings=RunSettings(),
        current=lambda: Present(
            Identity(ring=ring), routes={"talker": "a run that is made is queued, and nothing asks it"}
        ),
        known=lambda caller: caller,
        counts=run_counts,
        listeners=Listeners(run_counts),
        clock=clock,
        new_id=new_id,
        owner="this-process",
        tools=tools,
    )
    return Running(means, Executor(means))


async def ask_people(
    runs: SqlRuns,
    *,
    now: float,
    arguments: dict | None = None,
    run: str = "",
    tenant: str = "default",
    count: int = 1,
    **fields,
) -> list[Approval]:
    """Write a run that waits, and give what it asks."""
    run = run or new_id("resp_")
    text = json.dumps(arguments or {"host": "db-1", "replicas": 5}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    caller = msgspec.structs.replace(BOB, tenant=tenant)
    await runs.add(
        Run(
            id=run, tenant=tenant, caller=caller, model="talker", agent="sre-helper", status="in_progress", created_at=now,
            started_at=now, lease_owner="loop", lease_until=now + 60, epoch=1, request={"model": "talker"},
        ),
        [],
    )  # fmt: skip
    calls = [
        ToolCall(
            id=new_id("mcp_"), run=run, call_id=f"call_{number}", step=1, index=number, server="ops", tool="scale", arguments=text,
            arguments_hash=digest, definition=SCALE.definition, effect="once", key=f"key_{number}", state="awaiting_approval",
        )
        for number in range(count)
    ]  # fmt: skip
    plain = {
        "agent": "sre-helper", "requester": caller, "server": "ops", "tool": "scale", "definition": SCALE.definition,
        "reason": "More than three replicas need leave.", "rules": ("large-scale",), "taint": ("web/fetch",),
        "origins": {"replicas": Label(source="web/fetch", integrity="untrusted")},
        "created_at": now, "expires_at": now + 3600,
    }  # fmt: skip
    asked = [
        Approval(
            id=new_id("mcpr_"), tenant=tenant, run=run, call=call.id, arguments=text, arguments_hash=digest, **(plain | fields)
        )
        for call in calls
    ]  # fmt: skip
    calls = [msgspec.structs.replace(call, approval=approval.id) for call, approval in zip(calls, asked, strict=True)]
    ending = RunEvent(seq=0, name="response.completed", data=b'{"type":"response.completed","sequence_number":0}')
    await runs.write(
        run,
        1,
        Entry(
            events=[ending], status="waiting", ended_at=now, response={"id": run}, calls=calls, approvals=asked,
            notices=[approval_notice(approval, "pending") for approval in asked],
        ),
    )  # fmt: skip
    return asked


class World:
    """`settle` sends all that is due; `now` is the time."""

    def __init__(self, database, slack: SlackDouble, folder: Path, settings: Settings) -> None:
        self.now = NOW
        self.clock = Clock(monotonic=lambda: self.now, wall=lambda: self.now)
        self.slack = slack
        self.settings = settings
        self.database = database
        self.runs, self.calls, self.approvals = SqlRuns(database), SqlToolCalls(database), SqlApprovals(database)
        self.messages, self.outbox = SqlApprovalMessages(database), SqlOutbox(database)
        self.incidents, self.threads = SqlIncidents(database), SqlIncidentThreads(database)
        self.directory = SqlDirectory(database)
        self.ring = KeyRing(self.directory.keys, PEPPER)
        self.audit = AuditLog(SqlAudit(database), AuditQueue(folder / "queue"), clock=self.clock)
        self.counts = Counts()
        self.keys: dict[str, str] = {}
        self.desk = running_over(database, self.ring, self.clock)
        self.edge = Edge(
            current=lambda: Present(Identity(ring=self.ring)),
            take_record=lambda record: None,
            clock=self.clock,
            new_id=new_id,
            body_bytes=1 << 20,
            json_depth=100,
            configuration=dict,
        )
        self.people = self.opened()
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(self._app(folder)), base_url="http://gateway")

    def opened(self) -> Approvals:
        """Another process's share of it, on the same database."""
        return open_approvals(self.settings, self.edge, self.counts, self.desk, self)

    def _app(self, folder: Path) -> Paths:
        del folder
        services = Services(clock=self.clock, new_id=new_id, directory=self.directory, ring=self.ring, audit=self.audit)
        endpoints = {
            **admin_endpoints(self.edge, services, watching=self.people.watching, answers=self.people.answers),
            **self.people.endpoints,
        }
        missing = unknown.endpoint(tuple(endpoints))
        return Paths(endpoints, Router(routes=pattern_routes(endpoints), default=missing, redirect_slashes=False), {})

    async def add_person(self, name: str, *, role: str, tenant: str = "default", team: str = "") -> None:
        """Put a user with a key into the directory."""
        key = make_key()
        await self.directory.users.create(User(id=name, tenant=tenant, name=name, created_at=NOW))
        record = VirtualKey(
            id=f"key_{name}", tenant=tenant, name=name, prefix=shown_prefix(key), digest=digest_key(key.encode(), PEPPER),
            created_at=NOW, role=role, user=name, team=team,
        )  # fmt: skip
        await self.directory.keys.create(record)
        self.keys[name] = key

    async def asks(self, **fields) -> list[Approval]:
        """Write a run that waits, and give what it asks."""
        return await ask_people(self.runs, now=self.now, **fields)

    async def settle(self, people: Approvals | None = None) -> None:
        """Send all that is due now."""
        sender = (people or self.people).sender
        with anyio.fail_after(20):
            while any([await sender.send_due(kind) for kind in KINDS if kind in sender._deliver]):
                pass

    async def ask(self, who: str, method: str, path: str, **more) -> httpx2.Response:
        """Ask the admin API as somebody."""
        return await self.http.request(method, path, headers={"authorization": f"Bearer {self.keys[who]}"}, **more)

    async def deliver(self, sent: Sent, *, at: float | None = None) -> httpx2.Response:
        """Deliver what Slack sends of a click, signed at the world's time."""
        signed = Sent(sent.payload, at=self.now if at is None else at)
        return await self.http.post("/slack/interactions", content=signed.body, headers=signed.headers)

    async def click(self, label: str, *, user: str = "U0ADA", channel: str = "C0MAIN", **more) -> httpx2.Response:
        """Click a button of the channel's only message, and let all come of it that comes."""
        message = {"channel": channel, **self.slack.message(channel)}
        answer = await self.deliver(self.slack.click(message, label, user=user, **more))
        await self.told()
        await self.settle()
        return answer

    async def told(self) -> None:
        """Wait until what was clicked is done: forms, and words to who clicked."""
        with anyio.fail_after(10):
            while self.people.clicking.busy:
                await anyio.sleep(0.001)

    async def found(self, approval: Approval) -> Approval:
        """The approval as it is now."""
        kept = await self.approvals.find(None, approval.id)
        assert kept is not None
        return kept

    async def entries(self, action: str = "approval.") -> list:
        """The audit log's entries about approvals, the oldest first."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.audit._emptied)
        found = await self.audit.store.find(AuditQuery(tenant=None, action=action))
        return [entry.event for entry in reversed(found)]


class Present(msgspec.Struct, frozen=True):
    """A generation of the configuration that has no models."""

    identity: Identity
    routes: dict[str, object] = msgspec.field(default_factory=dict)
    authorizer: Authorizer = AUTHORIZER

    def hold(self) -> None:
        """Nothing ends it."""

    def release(self) -> None:
        """Nothing ends it."""


def slack_settings(url: str, **fields) -> SlackSettings:
    plain = {
        "bot_token": Secret(TOKEN, source="env:SLACK_BOT_TOKEN"),
        "signing_secret": Secret(SIGNING_SECRET, source="env:SLACK_SIGNING_SECRET"),
        "channel": "C0MAIN",
        "users": USERS,
        "api_url": f"{url}/api",
    }
    return SlackSettings(**(plain | fields))


@asynccontextmanager
async def approvals_world(
    folder: Path, approvals: ApprovalSettings | None = None, **slack_fields
) -> AsyncIterator[World]:
    """Give one with people of all roles: ada and eve may approve, bob asks, and so on."""
    database = await open_database(SqliteSettings(path=str(folder / "approvals.db")))
    try:
        async with slack_double() as slack:
            settings = Settings(
                providers={},
                models={},
                approvals=approvals or ApprovalSettings(),
                slack=slack_settings(slack.url, **slack_fields),
            )
            world = World(database, slack, folder, settings)
            await world.directory.tenants.create(Tenant(id="elsewhere", name="elsewhere", created_at=NOW))
            await world.directory.teams.create(Team(id="sre", tenant="default", name="sre", created_at=NOW))
            for name, role in (
                ("ada", "approver"),
                ("eve", "approver"),
                ("bob", "approver"),
                ("root", "owner"),
                ("adm", "admin"),
                ("aud", "auditor"),
                ("mem", "member"),
            ):
                await world.add_person(name, role=role, team="sre" if name in ("ada", "eve", "bob") else "")
            await world.add_person("foe", role="owner", tenant="elsewhere")
            await world.ring.refresh()
            async with world.http, anyio.create_task_group() as tasks:
                tasks.start_soon(world.people.clicking.run)
                await anyio.wait_all_tasks_blocked()
                yield world
                tasks.cancel_scope.cancel()
            await world.people.api.aclose()
    finally:
        await database.aclose()
