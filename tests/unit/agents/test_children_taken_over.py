"""A process dies while an agent waits for another: whoever goes on finds the child that was begun, and begins no second one."""

import asyncio

import anyio
import msgspec
import pytest

from gateway.agents import resolving
from gateway.agents.agent_tools import child_id
from gateway.agents.approving import Ballot
from gateway.core.errors import Conflict
from gateway.core.tools import Label
from gateway.stores.runs import LIVE, Fenced
from tests.unit.agents.children_world import BOSS, HELPER, agent, call_of, family
from tests.unit.agents.runs_world import check_stream, endless, speak
from tests.unit.agents.tools_world import BOB, a_tool, asked_of, results, want

QUICK = {"lease": 1.0, "poll": 0.05}


class Doom:
    """Counts what is written to the journal; before or after the nth, everything that this process holds is lost."""

    def __init__(self, world, at, *, after):
        self.world, self.left, self.after = world, at, after

    async def through(self, name, write):
        self.left -= 1
        if self.left:
            return await write()
        if self.after:
            await write()
        held = tuple(self.world.executor._held.values())
        own = [each for each in held if each._interruption._task is asyncio.current_task()]
        for holding in held:
            # Who writes into his own journal at this moment hears it by what is raised.
            if name != "write" or holding not in own:
                holding.end("lost")
        if own and name != "write":
            await anyio.sleep_forever()
        msg = "gone"
        raise Fenced(msg)


class Mortal:
    """A store whose writes go by Doom."""

    def __init__(self, store, doom, *names):
        self._store, self._doom, self._names = store, doom, names

    def __getattr__(self, name):
        done = getattr(self._store, name)
        if name not in self._names:
            return done

        async def write(*arguments, **named):
            return await self._doom.through(name, lambda: done(*arguments, **named))

        return write


def doom(world, at, *, after):
    """Let the process die at its nth write."""
    fate = Doom(world, at, after=after)
    tools = msgspec.structs.replace(
        world.means.tools, approvals=Mortal(world.means.tools.approvals, fate, "continue_by")
    )
    msgspec.structs.force_setattr(world.means, "runs", Mortal(world.runs, fate, "add", "write"))
    msgspec.structs.force_setattr(world.means, "tools", tools)
    world.desk.approvals._tools = tools
    return fate


def models(world):
    """Models that say the same to whoever goes on: what is next, by what they are told."""

    async def helps(call, send):
        if any(kind == "result" for kind, _ in world.models["helper"].told()):
            await speak(call, send, ["It is sent."])
        else:
            await world.models["helper"].ask(call, send, [want("send")])

    async def leads(call, send):
        told = world.models["boss"].told()
        if any(kind == "result" and "waits for people" not in text for kind, text in told):
            await speak(call, send, ["So be it."])
        else:
            await world.models["boss"].ask(call, send, [call_of("helper", "send it")])

    world.models["helper"].answers, world.models["boss"].answers = [helps] * 9, [leads] * 9


async def the_end(world, run):
    """Follow a run, and what goes on after it, to the end; answer all that is asked on the way."""
    with anyio.fail_after(30):
        while True:
            run = await world.desk.find("acme", run.id)
            later = await world.runs.continued_by(run.id)
            if later:
                run = await world.desk.find("acme", later)
            elif run.status == "waiting":
                for approval in await world.approvals.list("acme", state="pending"):
                    ballot = Ballot(approval=approval.id, approve=approval.kind == "call")
                    await world.desk.approvals.vote(BOB, ballot, channel="admin")
                await anyio.sleep(0.02)
            elif run.status in LIVE:
                await anyio.sleep(0.02)
            else:
                return run


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(2, 18))
async def test_a_process_may_die_at_every_write_and_there_is_one_child(tmp_path, monkeypatch, at, after):
    """kill -9 between any two writes of caller, child, and what goes on after both: the tool is asked once, and the caller comes to its end."""
    monkeypatch.setattr(resolving, "_LOOK", 0.05)
    monkeypatch.setattr(resolving, "_PATIENCE", 0.0)
    async with family(tmp_path, BOSS, HELPER, **QUICK) as world:
        models(world)
        world.judge.by_tool["send"] = asked_of("sre")
        fate = doom(world, at, after=after)
        run = await world.begin_agent()
        last = await the_end(world, run)
        every = await world.runs.list("acme")
        for each in every:
            check_stream(await world.runs.events(each.id))

    assert fate.left <= 0, "the process did not die"
    assert world.hub.made.count("send") <= 1
    assert last.status == "completed"
    assert [each.status for each in every] == ["completed"] * len(every)
    begun = [each for each in every if each.parent and not each.continues]
    assert len(begun) == 1
    later = [each for each in every if each.continues == begun[0].id]
    assert [each.id for each in later] == [child_id(begun[0].id)]


async def test_who_takes_over_a_caller_waits_for_the_child_that_there_is(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")], "Done."], "helper": [endless, "There."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts, **QUICK) as world:
        run = await world.begin_agent()
        [child] = await world.until(lambda: world.children(run))
        await world.until(lambda: said_something(world, child))
        for holding in tuple(world.executor._held.values()):
            holding.end("lost")
        run = await world.ended(run)

        assert (run.status, run.epoch) == ("completed", 2)
        assert [each.id for each in await world.children(run)] == [child.id]
        assert results(run) == [("helper", "There.")]
        assert run.spent.below.steps == 1


async def test_the_child_of_a_caller_whose_client_and_process_are_gone_is_ended(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")]], "helper": [endless]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts, **QUICK) as world:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.ask_agent)
            [run] = await world.until(lambda: world.runs.list("acme", agent="boss"))
            [child] = await world.until(lambda: world.children(run))
            await world.until(lambda: said_something(world, child))
            world.executor._held[child.id].end("lost")
            tasks.cancel_scope.cancel()
        ended = await world.ended(child)

        assert ended.status == "cancelled"


async def test_what_an_agent_was_to_be_told_is_marked_by_who_takes_over(tmp_path):
    """The caller had read a stranger's words, and its process died before the child was there."""
    mail = a_tool("mail", gives=Label(source="desk/mail", integrity="untrusted"))
    boss = agent("boss", agents=("helper",), tools={"desk": ("mail",)})
    scripts = {"boss": [[want("mail")], [call_of("helper", "obey")], "Done."], "helper": ["No."]}
    async with family(tmp_path, boss, HELPER, tools=(mail,), scripts=scripts, **QUICK) as world:
        add = world.runs.add
        lost = []

        async def die_first(run, items, **more):
            if run.parent and not lost:
                lost.append(run.id)
                for holding in tuple(world.executor._held.values()):
                    holding.end("lost")
                raise Conflict("gone")
            return await add(run, items, **more)

        world.runs.add = die_first
        run = await world.ended(await world.begin_agent())
        [child] = await world.children(run)
        [asked] = await world.runs.items(child.id, "input")

        assert lost == [child.id]
        assert asked.label.integrity == "untrusted"


async def said_something(world, run):
    return len(await world.runs.events(run.id)) > 3
