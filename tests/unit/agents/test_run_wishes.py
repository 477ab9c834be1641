"""Runs in which people are asked for more than leave: a question of an agent's, a form or a page that a tool wants. Promised by docs/approvals.md."""

import msgspec
import pytest

from gateway.agents.approving import Ballot
from gateway.agents.builtin_tools import ASK_HUMAN
from gateway.agents.planning import RequestPlanner, function_of
from gateway.core.errors import Conflict, InvalidRequest
from gateway.core.tools import ToolOutput, Wish
from gateway.tools.hub import ToolLost
from tests.unit.agents import tools_world
from tests.unit.agents.runs_world import check_stream
from tests.unit.agents.tools_world import BOB, asked_of, kinds, results, tool_world, want

FORM = {"type": "object", "properties": {"seats": {"type": "integer", "maximum": 9}}, "required": ["seats"]}
SEATS = Wish(message="How many seats?", schema=FORM, key="k1", state="s1")
NAME = Wish(message="Who?", schema={"type": "object", "properties": {"name": {"type": "string"}}}, key="k2", state="s1")
PAGE = Wish(message="Pay first.", url="https://bank.example/pay", key="k3")


class Questioning(RequestPlanner):
    """A planner whose plans have the question to people as well, as an agent's that asks."""

    async def plan(self, caller, model, fields, *, version="", agent=""):
        plan = await super().plan(caller, model, fields, version=version, agent=agent)
        plan = plan or await super().plan(caller, model, {"tools": tools_world_tools(), **fields})
        asking = msgspec.structs.replace(ASK_HUMAN, people=("sre",), ttl=60)
        fields = {**plan.fields, "tools": [*plan.fields["tools"], function_of(asking)]}
        return msgspec.structs.replace(plan, granted={**plan.granted, asking.name: asking}, fields=fields)


def tools_world_tools():
    return [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]


@pytest.fixture
def questioning(monkeypatch):
    monkeypatch.setattr(tools_world, "RequestPlanner", Questioning)


def question(text="Which colour?", **more):
    arguments = msgspec.json.encode({"question": text, **more}).decode()
    return want("ask_human", arguments, server="switchgear")


async def waits(world):
    run, events = await world.ask("do it")
    check_stream(events)
    assert run.status == "waiting"
    return run, await world.approvals.of_run(run.id)


async def goes_on(world, verdict):
    run = await world.runs.find("acme", verdict.continuation)
    await world.follow(run)
    return await world.runs.find("acme", run.id)


def wanting(*wishes):
    """A tool that wants these before it does what it was asked for."""

    async def act(asked):
        if all(wish.key in asked.answers for wish in wishes):
            return ToolOutput(text=f"done with {sorted(asked.answers)}")
        if asked.refused:
            return ToolOutput(text="Nothing was done.")
        return ToolOutput(text="", wishes=wishes)

    return act


async def test_an_agent_asks_a_person_and_goes_on_with_the_answer(tmp_path, questioning):
    async with tool_world(tmp_path, [question()], "Blue, then.") as world:
        run, [approval] = await waits(world)
        verdict = await world.desk.approvals.vote(
            BOB, Ballot(approval=approval.id, approve=True, reason="Blue."), channel="slack"
        )
        after = await goes_on(world, verdict)
        told = world.model.told()

    asked = run.response["output"][-1]
    assert (asked["type"], asked["server_label"], asked["name"]) == (
        "mcp_approval_request",
        "switchgear",
        "ask_human",
    )
    assert asked["question"]["message"] == "Which colour?"
    assert (approval.kind, approval.groups, approval.quorum, approval.four_eyes) == ("question", ("sre",), 1, False)
    assert approval.expires_at - approval.created_at == 60
    assert results(after) == [("ask_human", "Blue.")]
    assert told[-1] == ("result", "Blue.")
    assert world.hub.calls == []


async def test_a_client_answers_a_question_as_it_approves(tmp_path, questioning):
    """The API has one item for both: the answer is its `reason`."""
    async with tool_world(tmp_path, [question()], "Thanks.") as world:
        run, _ = await waits(world)
        after, events = await world.yes(run, reason="Green", caller=BOB)

    check_stream(events)
    assert results(after) == [("ask_human", "Green")]


async def test_an_answer_that_says_nothing_is_refused_and_the_question_stays(tmp_path, questioning):
    async with tool_world(tmp_path, [question(choices=["red", "blue"])]) as world:
        run, [approval] = await waits(world)
        vote = world.desk.approvals.vote
        for said in ("", "green"):
            with pytest.raises(InvalidRequest) as refused:
                await vote(BOB, Ballot(approval=approval.id, approve=True, reason=said), channel="slack")
            assert refused.value.param == "reason"
        with pytest.raises(InvalidRequest):
            await world.yes(run, reason=None, caller=BOB)
        [kept] = await world.approvals.of_run(run.id)
        assert kept.state == "pending"
        after = await goes_on(
            world, await vote(BOB, Ballot(approval=approval.id, approve=True, reason="red"), channel="slack")
        )

    assert results(after) == [("ask_human", "red")]


@pytest.mark.parametrize("how", ["declined", "expired"])
async def test_a_question_that_nobody_answers_is_told_to_the_model(tmp_path, questioning, how):
    async with tool_world(tmp_path, [question()], "Never mind.") as world:
        run, [approval] = await waits(world)
        if how == "declined":
            ballot = Ballot(approval=approval.id, approve=False, reason="Ask Cy.")
            verdict = await world.desk.approvals.vote(BOB, ballot, channel="slack")
            await goes_on(world, verdict)
        else:
            await world.desk.approvals.expired(await world.approvals.expire(approval.expires_at + 1))
            [approval] = await world.approvals.of_run(run.id)
            await world.follow(await world.runs.find("acme", approval.continuation))
        told = world.model.told()[-1][1]

    assert "nobody answered" in told
    assert ("Ask Cy." if how == "declined" else "Nobody answered in time.") in told


async def test_who_asks_a_question_may_be_answered_by_who_asked_for_the_run(tmp_path, questioning):
    """An answer is no leave: four eyes are for what is done."""
    async with tool_world(tmp_path, [question()], "Thanks.") as world:
        run, _ = await world.ask("do it", caller=BOB)
        after, _ = await world.yes(run, reason="Blue", caller=BOB)

    assert results(after) == [("ask_human", "Blue")]


async def test_a_tool_that_wants_something_is_called_again_with_it_and_with_the_same_key(tmp_path):
    async with tool_world(tmp_path, [want("send", '{"to":"b"}')], "Sent.") as world:
        world.hub.act = wanting(SEATS)
        run, [approval] = await waits(world)
        assert [call.state for call in await world.tool_calls.calls(run.id)] == ["awaiting_approval"]
        after, events = await world.yes(run, reason="3")
        told = world.model.told()

    check_stream(events)
    first, second = world.hub.calls
    assert (approval.kind, approval.wish) == ("question", SEATS)
    assert run.response["output"][-2]["status"] == "incomplete"
    assert (second.answers, second.state) == ({"k1": {"seats": 3}}, "s1")
    assert (first.key, first.arguments) == (second.key, second.arguments)
    assert kinds(after) == ["mcp_call", "message"]
    assert told[-1] == ("result", "done with ['k1']")
    assert not any("How many seats?" in text for _, text in told)


async def test_what_a_form_does_not_take_is_refused(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        world.hub.act = wanting(SEATS)
        run, _ = await waits(world)
        for said in ("many", "10", "", '{"seats": 1, "more": 2}'):
            with pytest.raises(InvalidRequest, match="not what is asked for"):
                await world.yes(run, reason=said)
        await world.yes(run, reason='{"seats": 9}')

    assert [asked.answers for asked in world.hub.calls] == [{}, {"k1": {"seats": 9}}]


async def test_several_things_at_once_are_each_answered_and_one_no_is_enough(tmp_path):
    async with tool_world(tmp_path, [want("send", '{"n":1}')], [want("send", '{"n":2}')], "Done.") as world:
        world.hub.act = wanting(SEATS, NAME, PAGE)
        run, asked = await waits(world)
        vote = world.desk.approvals.vote
        said = {"k1": "2", "k2": "Ada", "k3": ""}
        for approval in asked:
            ballot = Ballot(approval=approval.id, approve=True, reason=said[approval.wish.key])
            verdict = await vote(BOB, ballot, channel="admin")
        second = await goes_on(world, verdict)
        assert second.status == "waiting"
        first_told = world.model.told()
        asked = await world.approvals.of_run(second.id)
        # The no comes last: it closes what is still open.
        for approval in sorted(asked, key=lambda each: each.wish.key == "k2"):
            ballot = Ballot(approval=approval.id, approve=approval.wish.key != "k2", reason=said[approval.wish.key])
            verdict = await vote(BOB, ballot, channel="admin")
        await goes_on(world, verdict)

    assert [kind for kind in kinds(run) if kind == "mcp_approval_request"] == ["mcp_approval_request"] * 3
    assert [dict(each.answers) for each in world.hub.calls] == [
        {},
        {"k1": {"seats": 2}, "k2": {"name": "Ada"}, "k3": None},
        {},
        {"k1": {"seats": 2}, "k3": None},
    ]
    assert world.hub.calls[-1].refused == {"k2": "decline"}
    assert first_told[-1] == ("result", "done with ['k1', 'k2', 'k3']")
    assert world.model.told()[-1][1].startswith("Nothing was done.")


async def test_an_earlier_answer_goes_along_with_a_later_one(tmp_path):
    """A server of 2025-11-25 asks for everything again each time that it is called."""
    later = msgspec.structs.replace(NAME, earlier={"k1": {"seats": 1}})

    async def act(asked):
        if "k2" in asked.answers:
            return ToolOutput(text="done")
        return ToolOutput(text="", wishes=(later if "k1" in asked.answers else SEATS,))

    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        world.hub.act = act
        run, _ = await waits(world)
        run, _ = await world.yes(run, reason="1")
        assert run.status == "waiting"
        await world.yes(run, reason="Ada")

    assert world.hub.calls[-1].answers == {"k1": {"seats": 1}, "k2": {"name": "Ada"}}


async def test_a_call_that_had_leave_waits_again_for_what_its_tool_wants(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        world.judge.by_tool["send"] = asked_of("sre")
        world.hub.act = wanting(SEATS)
        run, _ = await world.ask("do it")
        second, _ = await world.yes(run, caller=BOB)
        [approval] = await world.approvals.of_run(second.id)
        third, _ = await world.yes(second, caller=BOB, reason="4")

    assert (second.status, approval.kind, approval.groups) == ("waiting", "question", ("sre",))
    assert results(third) == [("send", "done with ['k1']")]
    assert len(world.hub.calls) == 2


async def test_a_policy_that_forbids_it_meanwhile_outdoes_the_answer(tmp_path):
    async with tool_world(tmp_path, [want("send")], "A pity.") as world:
        world.hub.act = wanting(SEATS)
        run, _ = await waits(world)
        world.judge.by_tool["send"] = msgspec.structs.replace(asked_of("sre"), effect="deny")
        await world.yes(run, reason="4")

    assert len(world.hub.calls) == 1
    assert "not allowed any more" in world.model.told()[-1][1]


async def test_nobody_edits_the_arguments_of_a_call_that_was_begun(tmp_path):
    async with tool_world(tmp_path, [want("send")]) as world:
        world.hub.act = wanting(SEATS)
        _, [approval] = await waits(world)
        ballot = Ballot(approval=approval.id, approve=True, edited={"to": "eve"})
        with pytest.raises(Conflict, match="cannot be edited"):
            await world.desk.approvals.vote(BOB, ballot, channel="admin")


async def test_what_is_lost_after_the_answer_is_put_to_people_and_not_done_twice(tmp_path):
    async with tool_world(tmp_path, [want("send")]) as world:
        world.hub.act = wanting(SEATS)
        run, _ = await waits(world)

        async def lose(asked):
            raise ToolLost("It went away.")

        world.hub.act = lose
        second, _ = await world.yes(run, reason="4")
        [approval] = await world.approvals.of_run(second.id)

    assert (second.status, approval.kind, approval.wish) == ("waiting", "outcome", None)
    assert len(world.hub.calls) == 2


async def test_a_client_that_keeps_its_own_history_answers_without_an_id_to_go_on_from(tmp_path):
    """The OpenAI Agents SDK sends all items each time, with the question as it came."""
    async with tool_world(tmp_path, [want("send")], "Sent.", "Bye.") as world:
        world.hub.act = wanting(SEATS, NAME)
        run, asked = await waits(world)
        said = {"k1": "1", "k2": "Ada"}
        history = [{"role": "user", "content": "do it"}, *run.response["output"]]
        history += [
            {
                "type": "mcp_approval_response",
                "approval_request_id": each.id,
                "approve": True,
                "reason": said[each.wish.key],
            }
            for each in asked
        ]
        after, _ = await world.ask(history)
        told = world.model.told()
        await world.ask([*history, *after.response["output"], {"role": "user", "content": "bye"}])

    assert [kind for kind, _ in told] == ["user", "call", "result", "call", "result"]
    assert told[-1] == ("result", "done with ['k1', 'k2']")
    assert [kind for kind, _ in world.model.told()] == [*(kind for kind, _ in told), "assistant", "user"]


@pytest.mark.parametrize(("how", "word"), [("declined", "decline"), ("expired", "cancel")])
async def test_a_server_is_told_that_nobody_gives_what_it_asks_for_and_says_what_that_means(tmp_path, how, word):
    """MCP, elicitation: decline is a person's no, cancel that nobody has chosen."""
    async with tool_world(tmp_path, [want("send")], "Never mind.") as world:
        world.hub.act = wanting(SEATS)
        run, [approval] = await waits(world)
        if how == "declined":
            after, events = await world.yes(run, approve=False, reason="Too dear.")
            check_stream(events)
        else:
            await world.desk.approvals.expired(await world.approvals.expire(approval.expires_at + 1))
            [approval] = await world.approvals.of_run(run.id)
            await world.follow(await world.runs.find("acme", approval.continuation))
            after = await world.runs.find("acme", approval.continuation)
        told = world.model.told()

    first, second = world.hub.calls
    assert (second.refused, second.answers, second.state, second.key) == ({"k1": word}, {}, "s1", first.key)
    assert results(after) == [("send", "Nothing was done.")]
    assert [kind for kind, _ in told] == ["user", "call", "result", "call", "result"]
    assert told[-1][1].startswith("Nothing was done.\n[The tool had asked a person")
    assert ("Too dear." if how == "declined" else "Nobody answered in time.") in told[-1][1]


async def test_a_no_to_a_call_is_never_a_call(tmp_path):
    """Only what a server that was called has asked for goes back to it."""
    async with tool_world(tmp_path, [want("send")], "A pity.") as world:
        world.judge.by_tool["send"] = asked_of("sre")
        run, _ = await world.ask("do it")
        await world.yes(run, approve=False, caller=BOB)

    assert world.hub.calls == []


async def test_a_page_of_which_a_server_cannot_be_told_is_declined_to_the_model_alone(tmp_path):
    """Else it would be called again, and might do what a person has just refused."""
    async with tool_world(tmp_path, [want("send")], "A pity.") as world:
        world.hub.act = wanting(msgspec.structs.replace(PAGE, untold=True))
        run, _ = await waits(world)
        await world.yes(run, approve=False)

    assert len(world.hub.calls) == 1
    assert "nobody answered" in world.model.told()[-1][1]
