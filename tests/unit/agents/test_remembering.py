"""Agents that remember: written once whoever dies, labelled by what was read whoever writes, and nothing for who may not. Promised by docs/memory.md."""

from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from gateway.agents.agent_planning import AgentsInForce
from gateway.agents.approving import Ballot
from gateway.agents.memory_tools import memory_tools
from gateway.agents.remembering import MOST_SOURCES, Made, Remembering
from gateway.config.memory_settings import MemoryLimitSettings, MemorySettings, MemoryUseSettings
from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.config.tool_settings import GivesSettings
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import InvalidRequest
from gateway.core.ids import new_id
from gateway.core.tools import Label, ToolOutput
from gateway.policies.authorizer import Authorizer
from gateway.policies.rules import open_rules
from gateway.policies.tool_judge import StandingToolJudge
from gateway.stores.memories import MemoryBounds, MemoryPlace
from gateway.stores.memories_sql import SqlMemories
from gateway.stores.tool_calls import ToolCall
from tests.contract.run_records import queued
from tests.unit.agents.office_world import agent, asking, office
from tests.unit.agents.runs_world import check_stream, speak
from tests.unit.agents.test_tools_taken_over import QUICK, Mortal
from tests.unit.agents.tools_world import BOB, LOOK, SEND, a_tool, results, want

WEB = a_tool("web", gives=Label(source="desk/web", integrity="untrusted"))
CRM = a_tool("crm", gives=Label(source="desk/crm", integrity="trusted", confidentiality="sensitive"))
HOST = agent("host", tools={"desk": ("look", "web", "crm", "send")}, memory=MemoryUseSettings(name="notes"))
OWN = MemoryPlace(tenant="acme", name="notes", scope="user", owner="key:ada")


def write(text="green", key="tea", **more):
    arguments = msgspec.json.encode({"key": key, "text": text, **more}).decode()
    return want("memory_write", arguments, server="switchgear")


def read(key="tea"):
    return want("memory_read", f'{{"key":"{key}"}}', server="switchgear")


class Lost:
    """A MemoryStore whose first write is committed, and then its holder is gone. `between` happens before another takes over."""

    def __init__(self, store, executor, between=None):
        self._store, self._executor, self._between = store, executor, between
        self.writes = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def write(self, place, entry, **more):
        self.writes += 1
        kept = await self._store.write(place, entry, **more)
        if self.writes == 1:
            if self._between is not None:
                await self._between()
            self._executor._held[entry.run].end("lost")
            await anyio.sleep_forever()
        return kept


@asynccontextmanager
async def remembering(folder, *agents, minds, memories=None, **settings):
    """An office whose agents have memories, judged by the built-in rules."""
    known = {"notes": MemorySettings()} if memories is None else memories
    async with office(folder, *agents, minds=minds, tools=(LOOK, WEB, CRM, SEND), **settings) as world:
        world.store = SqlMemories(world.world.database, new_id)
        world.memories = known
        tools = world.world.means.tools
        msgspec.structs.force_setattr(tools, "memory", Remembering(world.store, lambda: world.memories))
        msgspec.structs.force_setattr(tools, "judge", StandingToolJudge(Authorizer(None, wall=SYSTEM_CLOCK.wall)))
        world.planner._in_force = lambda: AgentsInForce(
            agents=world.agents, authorizer=world.authorizer, settings=Configured(memories=world.memories)
        )
        yield world


class Configured(msgspec.Struct):
    """Settings, as far as planners look into them."""

    memories: dict
    knowledge: dict = {}


async def found(world, place=OWN, key="tea"):
    return await world.store.find(place, key, now=SYSTEM_CLOCK.wall())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
async def test_a_holder_may_die_at_every_write_and_each_entry_is_written_once(tmp_path, at, after):
    """kill -9 in every state: as many versions as calls, and the label of what was read, whoever writes it."""

    async def script(call, send):
        mind = world.minds["host"]
        said = [text for kind, text in mind.told() if kind == "result"]
        if len(said) < 3:
            await mind.ask(call, send, [write("one"), write("two")] if said else [want("web")])
        else:
            await speak(call, send, ["Done."])

    async with remembering(tmp_path, HOST, minds={"host": [script] * 12}, **QUICK) as world:
        msgspec.structs.force_setattr(world.world.means, "runs", Mortal(world.world.runs, at, after=after))
        with anyio.fail_after(20):
            run, events = await world.ask(agent="host", background=True)
        entry = await found(world)

    check_stream(events)
    assert run.status == "completed"
    assert [text for name, text in results(run) if name == "memory_write"] == [
        "Kept tea as version 1.",
        "Kept tea as version 2.",
    ]
    assert (entry.text, entry.version) == ("two", 2)
    assert (entry.integrity, entry.sources, entry.run) == ("untrusted", ("desk/web",), run.id)


async def test_what_was_written_before_the_holder_died_is_not_written_over_what_came_since(tmp_path):
    async with remembering(tmp_path, HOST, minds={"host": [[write("first")], "Done."]}, **QUICK) as world:

        async def other_run():
            entry = msgspec.structs.replace(await found(world), text="since", run="resp_other")
            await world.store.write(OWN, entry, call="other", bounds=MemoryBounds(entries=9, bytes=999))

        lost = Lost(world.store, world.world.executor, other_run)
        msgspec.structs.force_setattr(world.world.means.tools, "memory", Remembering(lost, lambda: world.memories))
        with anyio.fail_after(20):
            run, events = await world.ask(agent="host", background=True)
        entry = await found(world)

    check_stream(events)
    assert (run.status, run.epoch, lost.writes) == ("completed", 2, 2)
    assert results(run) == [("memory_write", "Kept tea as version 1.")]
    assert (entry.text, entry.version, entry.run) == ("since", 2, "resp_other")


async def test_two_runs_that_read_the_same_do_not_overwrite_each_other(tmp_path):
    minds = {"host": [[write("mine", version=0)], "Done.", [write("yours", version=0)], "Done."]}
    async with remembering(tmp_path, HOST, minds=minds) as world:
        await world.ask(agent="host")
        second, _ = await world.ask(agent="host")

        assert (await found(world)).text == "mine"
    assert results(second) == [("memory_write", "The entry 'tea' has version 1 by now, and not version 0.")]


@pytest.mark.parametrize(
    ("tool", "integrity", "confidentiality"),
    [("look", "trusted", "internal"), ("web", "untrusted", "internal"), ("crm", "trusted", "sensitive")],
)
async def test_an_entry_is_what_its_run_had_read_and_so_is_what_reads_it(tmp_path, tool, integrity, confidentiality):
    minds = {"host": [[want(tool)], [write()], "Done.", [read()], [want("send")], "Done."]}
    async with remembering(tmp_path, HOST, minds=minds) as world:
        first, _ = await world.ask(agent="host")
        second, _ = await world.ask(agent="host")
        items = await world.world.runs.items(second.id)
        [label] = [item.label for item in items if item.body.get("name") == "memory_read"]

    sources = () if tool == "look" else (f"desk/{tool}",)
    assert label == Label(
        source="memory/notes", integrity=integrity, confidentiality=confidentiality, sources=sources, runs=(first.id,)
    )
    assert second.status == ("waiting" if tool == "web" else "completed")


async def test_what_an_agent_was_told_by_one_that_had_read_it_is_as_untrusted_in_memory(tmp_path):
    boss = agent("boss", agents=("host",), tools={"desk": ("web",)})
    order = want("host", '{"input":"Remember it."}', server="agents")
    minds = {"boss": [[want("web")], [order], "Done."], "host": [[write()], "Done."]}
    async with remembering(tmp_path, boss, HOST, minds=minds) as world:
        await world.ask(agent="boss", background=True)
        entry = await found(world)

    assert entry.integrity == "untrusted"


async def test_a_value_that_strangers_gave_without_words_is_a_strangers_in_memory(tmp_path):
    """It cannot give orders, and so does not taint the run; but from a memory it would be a value that somebody vouches for."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    number = a_tool("web", gives=Label(source="desk/web", integrity="untrusted"), output_schema=schema)
    minds = {"host": [[want("web")], [write("4711")], "Done."]}
    async with remembering(tmp_path, HOST, minds=minds) as world:
        world.world.hub.known = [number]

        async def act(asked):
            del asked
            return ToolOutput(text='{"n": 4711}', structured={"n": 4711})

        world.world.hub.act = act
        await world.ask(agent="host")
        entry = await found(world)

    assert (entry.integrity, entry.sources) == ("untrusted", ("desk/web",))


async def test_what_came_from_more_sources_than_are_kept_is_not_written_down():
    class Nothing:
        """A MemoryStore that nothing may reach."""

    [tool] = [tool for tool in memory_tools("notes", MemorySettings(), "host", write=True) if tool.labelled]
    call = ToolCall(
        id="mcp_1", run="resp_1", call_id="c", step=1, index=0, server="switchgear", tool="memory_write",
        arguments='{"key":"tea","text":"green"}', arguments_hash="", definition="", effect="idempotent", key="k",
    )  # fmt: skip
    made = Made(agent="host", sources=tuple(f"s/{number}" for number in range(MOST_SOURCES + 1)))
    told = await Remembering(Nothing(), lambda: {"notes": MemorySettings()}).result(
        call, tool, queued(), Caller(id="ada"), made, now=1.0
    )

    assert "more than 64 sources" in told.error


async def test_who_may_not_use_the_tools_has_none_of_them(tmp_path):
    bound = Caller(id="ada", tenant="acme", tools=("desk/*", "switchgear/memory_read"))
    async with remembering(tmp_path, HOST, minds={}) as world:
        plan = await world.planner.plan(bound, "agent/host", {"input": "hi"})

    assert {name for name in plan.granted if "memory" in name} == {"switchgear__memory_read"}


async def test_a_memory_that_is_not_configured_any_more_is_not_there(tmp_path):
    minds = {"host": [[write()], "Done."]}
    async with remembering(tmp_path, HOST, minds=minds, memories={}) as world:
        run, _ = await world.ask(agent="host")

    assert results(run) == [("switchgear__memory_write", "There is no tool 'switchgear__memory_write' here.")]


def test_leave_for_one_memory_is_none_for_another():
    shared = MemorySettings(scope="agent")
    definitions = {
        (name, settings.scope, who): {
            tool.name: tool.definition for tool in memory_tools(name, settings, who, write=True)
        }
        for name, settings, who in (
            ("notes", MemorySettings(), "a"),
            ("other", MemorySettings(), "a"),
            ("notes", shared, "a"),
            ("notes", shared, "b"),
        )
    }

    written = [each["memory_write"] for each in definitions.values()]
    assert len(set(written)) == len(written)
    assert len(set(definitions["notes", "user", "a"].values())) == 4


async def test_an_entry_that_is_too_long_is_refused_in_bytes(tmp_path):
    narrow = {"notes": MemorySettings(limits=MemoryLimitSettings(entry_bytes=8))}
    async with remembering(
        tmp_path, HOST, minds={"host": [[write("\u00e4\u00e4\u00e4")], "Done."]}, memories=narrow
    ) as world:
        run, _ = await world.ask(agent="host")

    assert results(run) == [("memory_write", "An entry has at most 8 bytes, and this has 9.")]


@pytest.mark.parametrize(("gives", "integrity"), [("untrusted", "untrusted"), ("trusted", "trusted")])
async def test_what_other_users_wrote_is_what_the_operator_says(tmp_path, gives, integrity):
    memories = {"notes": MemorySettings(scope="tenant", gives=GivesSettings(integrity=gives))}
    minds = {"host": [[write()], "Done.", [read()], "Done."]}
    async with remembering(tmp_path, HOST, minds=minds, memories=memories) as world:
        await world.ask(agent="host")
        eve = Caller(id="eve", tenant="acme")
        run = await world.world.desk.begin(asking("hi", caller=eve, model="agent/host", background=True))
        await world.world.follow(run)
        items = await world.world.runs.items(run.id)

    assert [item.label.integrity for item in items if item.body.get("name") == "memory_read"] == [integrity]


async def test_who_agrees_may_edit_what_is_written_down_and_it_stays_a_strangers(tmp_path):
    memories = {"notes": MemorySettings(scope="tenant")}
    team = msgspec.structs.replace(OWN, scope="tenant", owner="")
    async with remembering(
        tmp_path, HOST, minds={"host": [[want("web")], [write()], "Done."]}, memories=memories
    ) as world:
        run, _ = await world.ask(agent="host")
        [approval] = await world.world.approvals.of_run(run.id)
        desk = world.world.desk.approvals
        wrong = Ballot(approval=approval.id, approve=True, edited={"key": "", "text": "black"})
        with pytest.raises(InvalidRequest, match="key"):
            await desk.vote(BOB, wrong, channel="admin")
        edit = Ballot(approval=approval.id, approve=True, edited={"key": "tea", "text": "black"})
        verdict = await desk.vote(BOB, edit, channel="admin")
        await world.world.follow(await world.world.desk.find("acme", verdict.continuation))
        entry = await found(world, team)

    assert (run.status, entry.text, entry.integrity, entry.sources) == ("waiting", "black", "untrusted", ("desk/web",))
    assert (entry.author, entry.agent) == ("key:ada", "host")


async def test_a_policy_about_a_source_holds_for_what_a_memory_passed_on(tmp_path):
    forbid = """
        permit (principal, action, resource);
        @id("no-web") forbid (principal, action == Action::"call_tool", resource == Tool::"desk/send")
        when { context.taint.contains("desk/web") };
    """
    minds = {"host": [[want("web")], [write()], "Done.", [read()], [want("send")], "Done.", [want("send")], "Done."]}
    async with remembering(tmp_path, HOST, minds=minds) as world:
        judge = StandingToolJudge(Authorizer(rules_of(forbid), wall=SYSTEM_CLOCK.wall))
        msgspec.structs.force_setattr(world.world.means.tools, "judge", judge)
        for _ in range(3):
            last, _ = await world.ask(agent="host")
            items = results(last)
            if items[0][0] == "memory_read":
                told = items[1]

    assert told == ("send", "This call is not allowed. The policy no-web forbids this call.")
    assert items == [("send", "send did {}")]


async def test_a_policy_may_forbid_a_write_that_the_built_in_rules_let_pass(tmp_path):
    forbid = """
        permit (principal, action, resource);
        @id("clean") forbid (principal, action == Action::"call_tool", resource == Tool::"switchgear/memory_write")
        when { context.tainted };
    """
    async with remembering(tmp_path, HOST, minds={"host": [[want("web")], [write()], "Done."]}) as world:
        judge = StandingToolJudge(Authorizer(rules_of(forbid), wall=SYSTEM_CLOCK.wall))
        msgspec.structs.force_setattr(world.world.means.tools, "judge", judge)
        run, _ = await world.ask(agent="host")

        assert await found(world) is None
    assert results(run)[1] == ("memory_write", "This call is not allowed. The policy clean forbids this call.")


def rules_of(text):
    """Policies of one document."""
    texts = (PolicyText(name="a.cedar", path="a.cedar", text=text),)
    return open_rules(PolicyDocuments(folder="", texts=texts, cases=(), zone=None, default="allow", digest=b""))
