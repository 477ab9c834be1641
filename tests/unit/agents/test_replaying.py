"""A replay does a run once more with its recorded results: no tool is called, nobody is asked, nothing is said outside; and where it parts is told."""

import msgspec
import pytest

from gateway.agents.travelling import Changes
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, Forbidden, InvalidRequest
from gateway.core.tools import ToolOutput
from gateway.policies.tool_judgement import ToolJudgement
from gateway.stores.conversations import Conversation
from gateway.tools.hub import ToolNotReached
from tests.unit.agents.runs_world import speak
from tests.unit.agents.test_tools_taken_over import Mortal
from tests.unit.agents.tools_world import tool_world, waiting, want

ROOT = Caller(id="root", tenant="acme", role="owner")
TEA, COFFEE = [want("search", '{"q":"tea"}')], [want("search", '{"q":"coffee"}')]
SEND = [want("send", '{"n":1}')]
STEPS = ([want("look")], TEA, "There is tea.")
DENY = ToolJudgement(effect="deny", reason="Not today.")
ASK = ToolJudgement(effect="ask")


async def replayed(world, run, changes=None, **how):
    """Replay a run; the replay, and how it compares."""
    made = await world.desk.travel.replay(ROOT, await world.desk.find("acme", run.id), changes or Changes(), **how)
    await world.ended(made)
    replay = await world.desk.find("acme", made.id)
    return replay, await world.desk.travel.compare(replay)


def found(comparison):
    return [(each.kind, each.step, each.call) for each in comparison.differences]


async def test_a_replay_of_a_model_that_says_the_same_is_the_same_and_calls_no_tool(tmp_path):
    async with tool_world(tmp_path, *STEPS, *STEPS) as world:
        run, _ = await world.ask("what is there?")
        replay, comparison = await replayed(world, run)

        assert (comparison.same, comparison.ended_now) == (True, "completed")
        assert world.hub.made == ["look", "search"]
        assert world.model.told(4)[1:] == world.model.told(1)[1:]
        assert world.model.told(5) == world.model.told(2)
        assert replay.caller == ROOT
        assert replay.spent.steps == 3
        assert comparison.spent_now.input_tokens == comparison.spent_then.input_tokens > 0
        # Whose run it was is who the policies decide about.
        assert {facts.caller.id for facts in world.judge.facts} == {"ada"}


async def test_a_call_with_other_arguments_has_no_result_and_ends_the_replay(tmp_path):
    async with tool_world(tmp_path, *STEPS, [want("look")], COFFEE) as world:
        run, _ = await world.ask()
        replay, comparison = await replayed(world, run)

        assert replay.status == "failed"
        assert found(comparison) == [("arguments", 2, 1), ("end", 0, 0)]
        assert comparison.differences[0].lines == ('- q: "tea"', '+ q: "coffee"')
        assert (comparison.ended_then, comparison.ended_now) == ("completed", "stopped")
        assert 'no recorded result of desk/search with these arguments: {"q":"coffee"}' in comparison.why
        assert world.hub.made == ["look", "search"]


async def test_a_loose_replay_goes_on_with_what_the_tool_gave_in_order(tmp_path):
    async with tool_world(tmp_path, *STEPS, [want("look")], COFFEE, "There is tea.") as world:
        run, _ = await world.ask()
        _, comparison = await replayed(world, run, loose=True)

        assert found(comparison) == [("arguments", 2, 1)]
        assert world.model.told(5)[-1] == ("result", 'search did {"q":"tea"}')


async def test_the_same_call_twice_has_the_two_results_in_their_order_and_no_third(tmp_path):
    twice = ([want("look")], [want("look")])
    async with tool_world(tmp_path, *twice, "Two.", *twice, [want("look")]) as world:
        texts = iter(["first", "second"])

        async def count(asked):
            return ToolOutput(text=next(texts))

        world.hub.act = count
        run, _ = await world.ask()
        _, comparison = await replayed(world, run)

        assert [text for kind, text in world.model.told(5) if kind == "result"] == ["first", "second"]
        assert (found(comparison)[0], comparison.ended_now) == (("added", 3, 1), "stopped")


async def test_other_calls_and_another_answer_are_told(tmp_path):
    async with tool_world(tmp_path, *STEPS, [want("look")], "There is nothing.\nSorry.") as world:
        run, _ = await world.ask()
        _, comparison = await replayed(world, run, Changes(instructions="Be quick."))

        assert found(comparison) == [("missing", 2, 1), ("answer", 0, 0)]
        assert comparison.differences[1].lines == ("-There is tea.", "+There is nothing.", "+Sorry.")
        assert world.model.calls[3].fields["instructions"] == "Be quick."


async def test_what_the_policies_deny_now_is_told_and_the_model_goes_on(tmp_path):
    async with tool_world(tmp_path, *STEPS, *STEPS) as world:
        run, _ = await world.ask()
        world.judge.by_tool["search"] = DENY
        _, comparison = await replayed(world, run)

        assert found(comparison) == [("decision", 2, 1)]
        assert (comparison.differences[0].then, comparison.differences[0].now) == ("allow", "deny")
        assert "Not today." in world.model.told(5)[-1][1]


async def test_a_question_that_nobody_was_asked_then_is_told_and_its_result_is_given(tmp_path):
    async with tool_world(tmp_path, *STEPS, *STEPS) as world:
        run, _ = await world.ask()
        world.judge.by_tool["search"] = ASK
        replay, comparison = await replayed(world, run)

        assert found(comparison) == [("decision", 2, 1)]
        assert await world.approvals.of_run(replay.id) == []
        assert replay.status == "completed"


@pytest.mark.parametrize(("approve", "end"), [(True, "send did {}"), (False, "Not with me.")])
async def test_people_say_what_they_said_then(tmp_path, approve, end):
    """The story goes on in another run, which the answer began."""
    story = ([want("send")], "Well.")
    async with tool_world(tmp_path, *story, *story) as world:
        run, _ = await waiting(world)
        await world.yes(run, approve=approve, reason="Not with me.")
        replay, comparison = await replayed(world, run)

        assert comparison.same
        assert len(comparison.runs) == 2
        assert end in world.model.told(3)[-1][1]
        assert world.hub.made == (["send"] if approve else [])
        assert await world.approvals.of_run(replay.id) == []


async def test_a_run_that_still_waits_is_replayed_until_its_question(tmp_path):
    async with tool_world(tmp_path, [want("send")], [want("send")]) as world:
        run, _ = await waiting(world)
        replay, comparison = await replayed(world, run)

        assert (comparison.same, comparison.ended_now) == (True, "waiting")
        assert await world.approvals.of_run(replay.id) == []
        assert world.hub.made == []


async def test_a_run_that_went_on_after_an_approval_is_replayed_with_what_was_agreed_to(tmp_path):
    async with tool_world(tmp_path, [want("send")], "It is sent.", "It is sent.") as world:
        run, _ = await waiting(world)
        after, _ = await world.yes(run)
        _, comparison = await replayed(world, after)

        assert comparison.same
        assert world.model.told(2) == world.model.told(1)


async def test_a_replay_needs_no_server_of_tools(tmp_path):
    async with tool_world(tmp_path, *STEPS, *STEPS) as world:
        run, _ = await world.ask()
        world.hub.down["desk"] = ToolNotReached("The server is down.")
        _, comparison = await replayed(world, run)

        assert comparison.same


async def test_a_replay_says_nothing_in_a_conversation_and_has_what_it_held_then(tmp_path):
    async with tool_world(tmp_path, "First.", "Second.", "Second.") as world:
        await world.conversations.add(Conversation(id="conv_1", tenant="acme", created_at=1.0))
        await world.ask("one", conversation="conv_1")
        second, _ = await world.ask("two", conversation="conv_1")
        before = await world.conversations.items("acme", "conv_1", limit=100)
        _, comparison = await replayed(world, second)

        assert comparison.same
        assert world.model.told(2) == world.model.told(1)
        assert await world.conversations.items("acme", "conv_1", limit=100) == before


async def test_nobody_goes_on_from_a_replay_nor_replays_it_nor_forks_it(tmp_path):
    async with tool_world(tmp_path, *STEPS, *STEPS) as world:
        run, _ = await world.ask()
        replay, _ = await replayed(world, run)

        with pytest.raises(Conflict, match="fork"):
            await world.answer("and?", previous_response_id=replay.id)
        with pytest.raises(Conflict, match="is a replay"):
            await replayed(world, replay)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
async def test_a_replay_whose_process_dies_at_any_write_goes_on_elsewhere(tmp_path, at, after):
    """Also of a tool that must be called once: nothing is done in a replay, so nobody has to be asked whether it was."""

    async def script(call, send):
        said = [kind for kind, _ in world.model.told()]
        await (speak(call, send, ["Sent."], name="msg_") if "result" in said else world.model.ask(call, send, SEND))

    async with tool_world(tmp_path, *[script] * 9, lease=1.0, poll=0.05) as world:
        run, _ = await world.ask()
        msgspec.structs.force_setattr(world.means, "runs", Mortal(world.runs, at, after=after))
        replay, comparison = await replayed(world, run)

        assert (replay.status, comparison.same) == ("completed", True)
        assert world.hub.made == ["send"]


@pytest.mark.parametrize(("effect", "now"), [("", "deny"), ('@effect("require_approval") @approvers("sre")', "ask")])
async def test_policies_that_are_not_in_force_are_tried(tmp_path, effect, now):
    policy = f'@id("new") {effect} forbid (principal, action == Action::"call_tool", resource == Tool::"desk/search");'
    async with tool_world(tmp_path, *STEPS, *STEPS) as world:
        run, _ = await world.ask()
        asked = len(world.judge.facts)
        replay, comparison = await replayed(world, run, policies={"new.cedar": policy})

        assert [(each.kind, each.then, each.now) for each in comparison.differences] == [("decision", "allow", now)]
        assert replay.lineage.changed == ("policies",)
        assert len(world.judge.facts) == asked


async def test_policies_that_are_at_fault_are_told_with_file_and_line(tmp_path):
    async with tool_world(tmp_path, *STEPS) as world:
        run, _ = await world.ask()

        with pytest.raises(InvalidRequest, match=r"new\.cedar:1"):
            await replayed(world, run, policies={"new.cedar": "permit (principal;"})


async def test_a_run_of_another_tenant_is_not_replayed(tmp_path):
    async with tool_world(tmp_path, *STEPS) as world:
        run, _ = await world.ask()

        with pytest.raises(Forbidden):
            await world.desk.travel.replay(Caller(id="root", role="owner"), run, Changes())


async def test_a_long_result_is_read_on_in_where_it_was_not_read_then(tmp_path):
    """What was kept of it is a record like any other; no tool is asked."""
    long = "".join(f"line {number}\n" for number in range(1000))

    async def read_on(call, send):
        ref = world.model.told()[-1][1].split('ref="')[1].split('"')[0]
        arguments = f'{{"offset":{world.offset},"ref":"{ref}"}}'
        await world.model.ask(call, send, [want("read_result", arguments, "switchgear")])

    async with tool_world(
        tmp_path, [want("look")], read_on, "Read.", [want("look")], read_on, "Read.", result_bytes=1024
    ) as world:

        async def act(asked):
            return ToolOutput(text=long)

        world.hub.act, world.offset = act, 1024
        run, _ = await world.ask()
        world.offset = 4000
        _, comparison = await replayed(world, run)

        assert found(comparison) == [("arguments", 2, 1)]
        assert long[4000:4100] in world.model.told(5)[-1][1]
        assert world.hub.made == ["look"]
