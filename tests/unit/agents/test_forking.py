"""A fork has what the other run had until a place in it, and goes on live from there; nothing of the other run changes, and no leave is taken along."""

import msgspec
import pytest

from gateway.agents.forking import Cut
from gateway.agents.travelling import Changes
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, Forbidden, InvalidRequest, ModelNotFound
from gateway.core.tools import Label
from gateway.policies.tool_judgement import ToolJudgement
from gateway.stores.conversations import Conversation
from tests.unit.agents.tools_world import kinds, tool_world, waiting, want

ROOT = Caller(id="root", tenant="acme", role="owner")
NONE = Changes()


async def forked(world, run, cut, changes=NONE, text="", caller=ROOT):
    made = await world.desk.travel.fork(caller, await world.desk.find("acme", run.id), cut, changes, text)
    return await world.ended(made)


async def two_reads(world):
    run, _ = await world.ask("what is there?")
    assert run.status == "completed"
    assert world.hub.made == ["look", "search"]
    return await world.desk.find("acme", run.id)


STEPS = ([want("look")], [want("search", '{"q":"tea"}')], "There is tea.")


async def test_a_fork_goes_on_after_a_step_with_the_results_of_the_other_run(tmp_path):
    async with tool_world(tmp_path, *STEPS, [want("send")], "It is sent.") as world:
        run = await two_reads(world)
        fork = await forked(world, run, Cut(at=1))

        assert fork.status == "completed"
        assert fork.lineage.run == run.id
        assert world.hub.made == ["look", "search", "send"]
        assert world.model.told(3) == [
            ("user", "what is there?"), ("call", "desk__look"), ("result", "look did {}"),
        ]  # fmt: skip
        assert kinds(fork) == ["mcp_call", "message"]
        assert await world.runs.find("acme", run.id) == run


async def test_a_fork_after_the_input_begins_anew_with_another_model(tmp_path):
    async with tool_world(tmp_path, *STEPS, "I am the other.") as world:
        run = await two_reads(world)
        with pytest.raises(ModelNotFound):
            await forked(world, run, Cut(at=0), Changes(model="nobody"))
        fork = await forked(world, run, Cut(at=0), Changes(model="talker"))

        assert (fork.status, fork.lineage.changed) == ("completed", ("model",))
        assert world.model.told(3) == [("user", "what is there?")]


async def test_a_fork_after_an_event_has_what_was_whole_by_then(tmp_path):
    async with tool_world(tmp_path, [want("look"), want("search", '{"q":"tea"}')], "Done.", "Again.") as world:
        run, events = await world.ask()
        (first, *_) = [event.seq for event in events if event.name == "response.mcp_call.completed"]
        # Its item is whole with the event that follows.
        before, after = [await forked(world, run, Cut(after=first + plus)) for plus in (0, 1)]

        assert [kind for kind, _ in world.model.told(2)] == ["user"]
        assert [kind for kind, _ in world.model.told(3)] == ["user", "call", "result"]
        assert (before.status, after.status) == ("completed", "completed")


async def test_what_the_operator_says_there_is_said_after_what_was_kept(tmp_path):
    async with tool_world(tmp_path, *STEPS, "Four o'clock.") as world:
        run = await two_reads(world)
        fork = await forked(world, run, Cut(at=3), text="And when?")

        assert [text for _, text in world.model.told(3)][-2:] == ["There is tea.", "And when?"]
        assert fork.lineage.changed == ("input",)


async def test_a_fork_that_leaves_nothing_to_answer_is_refused(tmp_path):
    async with tool_world(tmp_path, *STEPS) as world:
        run = await two_reads(world)

        with pytest.raises(InvalidRequest, match="had answered"):
            await forked(world, run, Cut(at=3))


@pytest.mark.parametrize("cut", [Cut(), Cut(at=0, after=0), Cut(at=4), Cut(after=10_000)])
async def test_a_place_that_there_is_not_is_refused(tmp_path, cut):
    async with tool_world(tmp_path, *STEPS) as world:
        run = await two_reads(world)

        with pytest.raises(InvalidRequest):
            await forked(world, run, cut)


async def test_a_fork_takes_no_question_and_no_leave_along(tmp_path):
    """What waited for people is asked for by the model again, and asked about by an approval of the fork's own."""
    async with tool_world(tmp_path, [want("look"), want("send")], [want("send")]) as world:
        world.judge.by_tool["look"] = ToolJudgement(effect="allow")
        run, (old,) = await waiting(world)
        fork = await forked(world, run, Cut(at=1))

        assert [kind for kind, _ in world.model.told(1)] == ["user", "call", "result"]
        assert fork.status == "waiting"
        (new,) = await world.approvals.of_run(fork.id)
        assert (new.requester, new.state) == (ROOT, "pending")
        assert (await world.approvals.find("acme", old.id)).state == "pending"
        assert world.hub.made == ["look"]


async def test_a_call_that_was_agreed_to_and_made_is_kept_and_not_made_again(tmp_path):
    async with tool_world(tmp_path, [want("send")], "It is sent.", "Well.") as world:
        run, _ = await waiting(world)
        after, _ = await world.yes(run)
        assert world.hub.made == ["send"]
        fork = await forked(world, after, Cut(at=0))

        assert world.hub.made == ["send"]
        assert ("result", "send did {}") in world.model.told(2)
        assert fork.status == "completed"


async def test_a_fork_before_the_calls_that_people_agreed_to_were_made_is_refused(tmp_path):
    async with tool_world(tmp_path, [want("send")], "It is sent.") as world:
        run, _ = await waiting(world)
        after, _ = await world.yes(run)

        with pytest.raises(Conflict, match="agreed to"):
            await forked(world, after, Cut(after=0))


async def test_what_was_read_taints_the_fork_as_it_did_the_run(tmp_path):
    async with tool_world(tmp_path, *STEPS, [want("send")], "Sent.") as world:
        gives = Label(source="desk/look", integrity="untrusted")
        world.hub.known[0] = msgspec.structs.replace(world.hub.known[0], gives=gives)
        run = await two_reads(world)
        await forked(world, run, Cut(at=1))

        assert world.judge.facts[-1].tool.name == "send"
        assert world.judge.facts[-1].taint == ("desk/look",)
        assert world.judge.facts[-1].caller == ROOT


async def test_a_run_of_another_tenant_and_one_that_has_not_ended_are_not_forked(tmp_path):
    async with tool_world(tmp_path, *STEPS) as world:
        run = await two_reads(world)
        with pytest.raises(Forbidden):
            await forked(world, run, Cut(at=1), caller=Caller(id="root", role="owner"))
        world.executor._leaving = True
        live = await world.desk.travel.fork(ROOT, run, Cut(at=1), NONE)

        with pytest.raises(Conflict, match="not ended"):
            await forked(world, live, Cut(at=0))


async def test_a_fork_has_what_its_conversation_held_and_says_nothing_in_it(tmp_path):
    async with tool_world(tmp_path, "First.", "Second.", "Third.", "Other.") as world:
        await world.conversations.add(Conversation(id="conv_1", tenant="acme", created_at=1.0))
        await world.ask("one", conversation="conv_1")
        second, _ = await world.ask("two", conversation="conv_1")
        await world.ask("three", conversation="conv_1")
        before = await world.conversations.items("acme", "conv_1", limit=100)
        fork = await forked(world, second, Cut(at=0))

        assert [text for _, text in world.model.told(3)] == ["one", "First.", "two"]
        assert fork.conversation == ""
        assert await world.conversations.items("acme", "conv_1", limit=100) == before
