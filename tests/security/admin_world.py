"""The admin API over a real database in a file, with its own stores, and keys of every role in two tenants."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import anyio
import httpx2
import msgspec
from starlette.routing import Router

from gateway.api import tool_authorization, unknown
from gateway.api.admin_cache import CacheDesk
from gateway.api.admin_endpoints import admin_endpoints
from gateway.api.admin_services import Services
from gateway.api.edge import Edge
from gateway.api.identity import Identity
from gateway.api.paths import Paths, pattern_routes
from gateway.approvals_opening import open_approvals
from gateway.config.database_settings import SqliteSettings
from gateway.config.knowledge_settings import KnowledgeFile, KnowledgeFolder, KnowledgeSettings
from gateway.config.prompt_settings import PromptDefinition, PromptDocuments, PromptTemplate, PromptVersion
from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings, Settings, TargetSettings, VersionSettings
from gateway.config.tool_settings import StdioServerSettings, ToolHubSettings, ToolSettings
from gateway.config.trigger_settings import RunAsSettings, ScheduleTriggerSettings
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.ids import new_id
from gateway.core.rights import RIGHTS
from gateway.notices.counts import Counts
from gateway.prompts.catalogue import Prompts
from gateway.retrieval.keyword_base import KeywordBase
from gateway.retrieval.library import Library
from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.split import Splits
from gateway.schemas.worker import Judging
from gateway.stores.answers import Entry
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.approval_messages_sql import SqlApprovalMessages
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.audit_log import AuditLog
from gateway.stores.audit_queue import AuditQueue
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.batches import Batch
from gateway.stores.batches_sql import SqlBatches
from gateway.stores.budgets_sql import SqlBudgets
from gateway.stores.database import open_database
from gateway.stores.directory import Tenant, User, VirtualKey
from gateway.stores.directory_sql import SqlDirectory
from gateway.stores.files import StoredFile
from gateway.stores.files_sql import SqlFiles
from gateway.stores.incidents import Changes, Incident, Wanted
from gateway.stores.incidents_sql import SqlIncidents
from gateway.stores.key_material import digest_key, make_key, shown_prefix
from gateway.stores.key_ring import KeyRing
from gateway.stores.ledger import LedgerRow
from gateway.stores.ledger_sql import SqlLedger
from gateway.stores.memories import MemoryBounds, MemoryEntry, MemoryPlace
from gateway.stores.memories_sql import SqlMemories
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Lineage, Run
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.shadows import Shadow, Side
from gateway.stores.shadows_sql import SqlShadows
from gateway.stores.tool_calls_sql import SqlToolCalls
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.catalogue import Sight
from gateway.tools.definitions import Listed
from gateway.tools.oauth.authorizing import Sent
from gateway.tools.server_hub import ServerHub
from gateway.triggers.counts import Counts as TriggerCounts
from gateway.triggers_opening import open_triggers
from tests.journeys.approvals_world import ask_people, running_over

PEPPER = b"p" * 32
HOME, OTHER, THIRD = "default", "tenant_b", "tenant_c"
NOW = 1_790_000_000.0
LISTED = Listed(name="echo", schema={"type": "object"}, description="Gives the text back.")


def prompts_in():
    """One prompt template."""
    version = PromptVersion(id="greeting", version="1", template=PromptTemplate(instructions="Greet."), digest="d")
    greeting = PromptDefinition(id="greeting", current="1", versions={"1": version})
    return Prompts(PromptDocuments(folder="prompts", prompts={"greeting": greeting}))


def library_in():
    """One knowledge base."""
    settings = KnowledgeSettings(folder="handbook")
    file = KnowledgeFile(name="a.md", text="# A", sha256="0" * 64)
    folder = KnowledgeFolder(folder="handbook", files={"a.md": file}, size=3, digest=b"d")
    base = KeywordBase("handbook", folder, passage_bytes=1000, now=NOW)
    return Library(settings={"handbook": settings}, bases={"handbook": base}, digests={"handbook": b"d"})


class Present(msgspec.Struct, frozen=True):
    """A generation of the configuration that has no models."""

    identity: Identity
    routes: dict[str, object] = msgspec.field(default_factory=dict)
    prompts: Prompts = msgspec.field(default_factory=prompts_in)
    knowledge: Library = msgspec.field(default_factory=library_in)

    def hold(self):
        """Nothing ends it."""

    def release(self):
        """Nothing ends it."""


class World:
    """`keys` are by role and tenant; `ask` asks as one of them."""

    def __init__(self, services, cache, database):
        self.services = services
        self.cache = cache
        self.runs = SqlRuns(database)
        self.incidents = SqlIncidents(database)
        self.triggers = triggers_over(database, services)
        self.app = app = app_over(services, services.ring, cache, database, self.triggers)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway")
        self.keys = {}

    async def ask(self, who, method, path, **more):
        """Ask as (role, tenant), or as the holder of a key."""
        key = self.keys.get(who, who)
        return await self.http.request(method, path, headers={"authorization": f"Bearer {key}"}, **more)

    async def add_key(self, name, *, role, tenant, **fields):
        """Put a key into the directory, as an earlier administrator would have."""
        key = make_key()
        record = VirtualKey(
            id=new_id("key_"),
            tenant=tenant,
            name=f"{role} of {tenant}",
            prefix=shown_prefix(key),
            digest=digest_key(key.encode(), PEPPER),
            created_at=NOW,
            role=role,
            **fields,
        )
        await self.services.directory.keys.create(record)
        await self.services.ring.refresh()
        self.keys[name] = key
        return record

    async def add_memory(self, tenant):
        """Put an entry into a memory of a tenant; the memory's id."""
        place = MemoryPlace(tenant=tenant, name="notes", scope="user", owner="user:ada")
        entry = MemoryEntry(key="tea", text="green", run="resp_1", author="user:ada", created_at=NOW, updated_at=NOW)
        store = self.services.memories
        await store.write(place, entry, call=new_id(""), bounds=MemoryBounds(entries=9, bytes=999))
        return (await store.list(tenant))[0].id

    async def add_incident(self, tenant):
        """Put an incident of a tenant into the store, as one that was left over in a storm; its id."""
        incident = Incident(
            id=new_id("inc_"), trigger=f"of-{tenant}", tenant=tenant, kind="event", key=new_id(""), title="t", opened_at=NOW,
            updated_at=NOW, held="storm",
        )  # fmt: skip
        await self.incidents.take_in(incident.trigger, Wanted(), lambda found: Changes(incidents=(incident,)))
        return incident.id

    async def add_batch(self, tenant):
        """Put a batch of a tenant into the store, as one that runs; its id."""
        file = StoredFile(
            id=new_id("file-"), tenant=tenant, owner="k", purpose="batch", filename="in", bytes=1, created_at=NOW, expires_at=None
        )  # fmt: skip
        await self.files.add(file)
        batch = Batch(
            id=new_id("batch_"), tenant=tenant, caller=Caller(id="k", tenant=tenant), endpoint="/v1/embeddings",
            input_file=file.id, window="24h", status="in_progress", created_at=NOW, expires_at=NOW + 1,
        )  # fmt: skip
        assert await self.services.batches.add(batch, most_unfinished=1_000_000)
        return batch.id

    async def add_approval(self, tenant):
        """Put a run of a tenant that waits for people into the store; the id of what it asks."""
        (asked,) = await ask_people(self.runs, now=time.time(), tenant=tenant)
        return asked.id

    async def add_run(self, tenant):
        """The same; the id of the run."""
        (asked,) = await ask_people(self.runs, now=time.time(), tenant=tenant)
        return asked.run

    async def add_replay(self, tenant):
        """Put a run of a tenant and its replay, which has ended, into the store; the id of the replay."""
        replay, caller = new_id("resp_"), Caller(id="k", tenant=tenant)
        lineage = Lineage(kind="replay", run=await self.add_run(tenant))
        await self.runs.add(
            Run(
                id=replay, tenant=tenant, caller=caller, model="talker", status="completed", created_at=NOW, ended_at=NOW,
                lineage=lineage,
            ),
            [],
        )  # fmt: skip
        return replay

    async def add_shadow(self, tenant):
        """Put a comparison of a tenant into the store; its id."""
        shadow = Shadow(
            id=new_id("call_"), call="call_1", at=NOW, expires_at=NOW * 2, tenant=tenant, user="", model="m", shadow_model="n",
            dialect="openai_chat", operation="generate", stream=False, original=Side(), shadow=Side(),
        )  # fmt: skip
        await self.services.shadows.add([shadow])
        return shadow.id

    async def add_entry(self, tenant, **fields):
        """Put an answer of a tenant into the cache; its id."""
        plain = {
            "model": "small",
            "dialect": "openai_chat",
            "operation": "generate",
            "target": "t",
            "answer": b"",
            "made": NOW,
        }
        identifier, until = new_id("entry_"), NOW * 2
        plain |= {"id": identifier, "key": identifier, "tenant": tenant, "fresh_until": until, "kept_until": until}
        self.cache.keep(Entry(**(plain | fields)))
        return identifier

    async def audit_text(self):
        """All of the audit log, as it is exported."""
        return b"".join([line async for line in self.services.audit.store.export()]).decode()


def row(number, **fields):
    """A row of the ledger."""
    plain = {
        "tenant": HOME,
        "started_at": NOW + number,
        "model": "small",
        "input": 10,
        "output": 5,
        "cost_nano": 1_500_000,
    }
    plain["id"] = f"call_{number}"
    return LedgerRow(kind="call", status=200, operation="generate", **(plain | fields))


def conductor(clock):
    """Two models with versions: one in a rollout, and one between whose versions is switched."""
    versions = {name: VersionSettings(targets=(TargetSettings(provider="up", model=name),)) for name in ("v1", "v2")}
    rollout = RolloutSettings(stable="v1", challenger="v2")
    conducted = Conductor(Splits(), clock, replica="r")
    conducted.configure(
        {"rolled": ModelSettings(versions=versions, rollout=rollout), "switched": ModelSettings(versions=versions)}
    )
    return conducted


def tools_in():
    """One server of tools with one tool, which nobody has accepted yet. Nothing connects to it."""
    hub = ServerHub(pins=PinsInMemory(), judging=Judging(), clock=SYSTEM_CLOCK, environment={})
    server = StdioServerSettings(command="docs", tools={"echo": ToolSettings()})
    hub.configure(ToolHubSettings(servers={"docs": server}))
    hub._upstreams["docs"].catalogue.sight = Sight(listed={"echo": LISTED}, quarantined={"echo": "it is new"})
    return hub


class AuthorizingDouble:
    """In the place of Authorizing: nobody has authorized anything, and who begins is sent to an address that is none."""

    async def list(self, server):
        return []

    async def begin(self, holder, *, by):
        return Sent(url="https://authority.invalid/", expires_at=0.0)

    async def forget(self, holder):
        return True


def triggers_over(database, services):
    """A schedule in each tenant, which nothing but a hand fires here: only what is delivered is taken in."""
    triggers = {
        f"of-{tenant}": ScheduleTriggerSettings(agent="a", cron="0 0 1 1 *", run_as=RunAsSettings(tenant=tenant))
        for tenant in (HOME, OTHER, THIRD)
    }
    kept = SimpleNamespace(
        incidents=SqlIncidents(database), runs=SqlRuns(database), calls=SqlToolCalls(database), audit=services.audit
    )
    edge = SimpleNamespace(clock=services.clock, new_id=new_id)
    return open_triggers(
        lambda: triggers, edge, TriggerCounts(), SimpleNamespace(desk=None, news=SimpleNamespace()), kept
    )


def app_over(services, ring, cache, database, triggers=None):
    """The admin API as the server has it."""
    identity = Identity(ring=ring)
    edge = Edge(
        current=lambda: Present(identity),
        take_record=lambda record: None,
        clock=services.clock,
        new_id=new_id,
        body_bytes=1 << 20,
        json_depth=100,
        configuration=dict,
    )
    desk = CacheDesk(store=cache, switch=lambda model, on: model == "switched")
    kept = SimpleNamespace(
        runs=SqlRuns(database), calls=SqlToolCalls(database), approvals=SqlApprovals(database), outbox=SqlOutbox(database),
        messages=SqlApprovalMessages(database), audit=services.audit,
    )  # fmt: skip
    settings, runs = Settings(providers={}, models={}), running_over(database, ring, services.clock)
    people = open_approvals(settings, edge, Counts(), runs, kept)
    endpoints = admin_endpoints(
        edge,
        services,
        rollouts=conductor(services.clock),
        cache=desk,
        tools=tools_in(),
        watching=msgspec.structs.replace(people.watching, triggers=triggers),
        answers=people.answers,
    )
    authorizing = tool_authorization.endpoints(edge, services, AuthorizingDouble())
    endpoints[tool_authorization.AUTHORIZE_PATH] = authorizing[tool_authorization.AUTHORIZE_PATH]
    missing = unknown.endpoint(tuple(endpoints))
    return Paths(endpoints, Router(routes=pattern_routes(endpoints), default=missing, redirect_slashes=False), {})


class Template(msgspec.Struct, frozen=True):
    """A database with three tenants, a user each, and a key of every role, and of none, in all of them; by whom the keys are."""

    path: Path
    keys: dict[tuple[str, str], str]


def build_template(folder: Path) -> Template:
    """Make it once: a thousand tests copy the file."""
    path = folder / "template.db"

    async def build():
        async with _opened(path, folder / "queue", SYSTEM_CLOCK) as world:
            directory = world.services.directory
            for tenant in (OTHER, THIRD):
                await directory.tenants.create(Tenant(id=tenant, name=f"name of {tenant}", created_at=NOW))
            for tenant in (HOME, OTHER, THIRD):
                await directory.users.create(User(id=f"user_{tenant}", tenant=tenant, name="Ada", created_at=NOW))
                for role in (*RIGHTS, ""):
                    await world.add_key((role, tenant), role=role, tenant=tenant, user=f"user_{tenant}")
            return world.keys

    return Template(path, anyio.run(build))


@asynccontextmanager
async def admin_world(folder: Path, template: Template, *, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[World]:
    """Give the world that the template holds, as it was made."""
    copied = folder / "admin.db"
    for file in template.path.parent.glob("template.db*"):
        shutil.copy(file, copied.with_name(file.name.replace("template", "admin")))
    async with _opened(copied, folder / "queue", clock) as world:
        world.keys |= template.keys
        yield world


@asynccontextmanager
async def _opened(path: Path, queue: Path, clock: Clock) -> AsyncIterator[World]:
    database = await open_database(SqliteSettings(path=str(path)))
    directory = SqlDirectory(database)
    ring = KeyRing(directory.keys, PEPPER)
    await ring.load()
    services = Services(
        clock=clock,
        new_id=new_id,
        directory=directory,
        ring=ring,
        ledger=SqlLedger(database),
        budgets=SqlBudgets(database),
        batches=SqlBatches(database),
        shadows=SqlShadows(database),
        memories=SqlMemories(database, new_id),
        audit=AuditLog(SqlAudit(database), AuditQueue(queue)),
    )
    world = World(
        services, MemoryAnswers(most_bytes=1 << 20, entry_bytes=1 << 16, clock=clock, chance=lambda: 0.0), database
    )
    world.files = SqlFiles(database)
    async with world.http, anyio.create_task_group() as tasks:
        tasks.start_soon(world.triggers.intake.run)
        yield world
        tasks.cancel_scope.cancel()
    await database.aclose()
