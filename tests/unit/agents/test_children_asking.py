"""What an agent asks of people that another called: the caller waits as well, shows the question, and goes on when it is answered."""

import anyio
import pytest

from gateway.agents.approving import Ballot
from gateway.core.errors import InvalidRequest, NotFound
from tests.unit.agents.children_world import BOSS, HELPER, agent, call_of, family
from tests.unit.agents.runs_world import EVE, check_stream, speak
from tests.unit.agents.tools_world import BOB, asked_of, kinds, results, want

SENDS = {"boss": [[call_of("helper", "send it")], "So be it."], "helper": [[want("send")], "It is sent."]}


@pytest.fixture
async def world(tmp_path):
    async with family(tmp_path, BOSS, HELPER, scripts=SENDS) as world:
        world.judge.by_tool["send"] = asked_of("sre")
        yield world


async def answered(world, run, *, approve=True, reason=""):
    """Let Bob answer all that a run, or one below it, asks; give the run that goes on, at its end."""
    shown = [item["id"] for item in run.response["output"] if item["type"] == "mcp_approval_request"]
    for name in shown:
        verdict = await world.desk.approvals.vote(
            BOB, Ballot(approval=name, approve=approve, reason=reason), channel="admin"
        )
    return await world.ended(await world.desk.find(run.tenant, verdict.continuation))


async def test_the_caller_waits_and_shows_the_question(world):
    run, events = await world.ask_agent()
    document = check_stream(events)
    [child] = await world.children(run)

    assert (run.status, child.status) == ("waiting", "waiting")
    assert kinds(run) == ["mcp_list_tools", "mcp_call", "mcp_approval_request"]
    listed, call, question = document["output"]
    assert listed["server_label"] == call["server_label"] == "agents"
    assert (call["status"], call["approval_request_id"]) == ("incomplete", question["id"])
    assert (question["server_label"], question["name"]) == ("desk", "send")
    [approval] = await world.approvals.of_run(child.id)
    assert approval.id == question["id"]
    assert world.hub.made == []
    assert world.counts.live == 0


async def test_what_waits_goes_on_by_itself_when_somebody_answers(world):
    run, _ = await world.ask_agent()
    last = await answered(world, run)
    [child] = await world.children(run)
    [later] = await world.children(last)

    assert (last.continues, last.status, later.continues, later.status) == (run.id, "completed", child.id, "completed")
    assert (await world.desk.find("acme", run.id)).status == "completed"
    assert results(last) == [("helper", "It is sent.")]
    assert world.hub.made == ["send"]
    assert world.models["boss"].told()[-2:] == [("call", "agents__helper"), ("result", "It is sent.")]
    assert [kind for kind, _ in world.models["boss"].told()].count("call") == 1


async def test_the_clients_own_answer_goes_on_too(world):
    run, _ = await world.ask_agent()
    world.judge.by_tool["send"] = None
    [approval] = await world.approvals.list("acme", state="pending")
    body = {"type": "mcp_approval_response", "approval_request_id": approval.id, "approve": True}
    last, events = await world.answer([body], model="agent/boss", previous_response_id=run.id, caller=BOB)
    check_stream(events)

    assert (last.status, last.continues) == ("completed", run.id)
    assert results(last) == [("helper", "It is sent.")]
    assert last.response["output"][0]["approval_request_id"] == approval.id
    assert world.hub.made == ["send"]


async def test_an_answer_belongs_to_the_run_that_showed_the_question(world):
    run, _ = await world.ask_agent()
    [child] = await world.children(run)
    [approval] = await world.approvals.of_run(child.id)
    body = {"type": "mcp_approval_response", "approval_request_id": approval.id, "approve": True}

    with pytest.raises(InvalidRequest, match="another response"):
        await world.answer([body], model="agent/helper", previous_response_id=child.id, caller=BOB)
    assert (await world.approvals.find("acme", approval.id)).state == "pending"


async def test_a_denial_is_the_agents_to_tell(world):
    world.models["helper"].answers[1] = "They said no."
    run, _ = await world.ask_agent()
    last = await answered(world, run, approve=False, reason="not today")

    assert results(last) == [("helper", "They said no.")]
    assert "not today" in world.models["helper"].told()[-1][1]
    assert world.hub.made == []


async def test_a_second_question_has_the_caller_wait_again(world):
    world.models["helper"].answers = [[want("send", '{"n":1}')], [want("send", '{"n":2}')], "Both sent."]
    run, _ = await world.ask_agent()
    second = await answered(world, run)
    assert second.status == "waiting"
    last = await answered(world, second)

    assert (last.status, last.continues) == ("completed", second.id)
    assert results(last) == [("helper", "Both sent.")]
    assert [asked.arguments for asked in world.hub.calls] == [{"n": 1}, {"n": 2}]


async def test_questions_rise_through_all_levels(tmp_path):
    boss = agent("boss", agents=("middle",))
    middle = agent("middle", agents=("helper",))
    scripts = {**SENDS, "boss": [[call_of("middle", "a")], "Top."], "middle": [[call_of("helper", "b")], "Middle."]}
    async with family(tmp_path, boss, middle, HELPER, scripts=scripts) as world:
        world.judge.by_tool["send"] = asked_of("sre")
        run, _ = await world.ask_agent()
        assert run.status == "waiting"
        last = await answered(world, run)

        assert results(last) == [("middle", "Middle.")]
        assert world.hub.made == ["send"]
        assert all(each.status == "completed" for each in await world.runs.list("acme"))


async def test_two_agents_that_ask_are_both_waited_for(world):
    world.models["boss"].answers[0] = [call_of("helper", "one"), call_of("helper", "two")]
    world.models["helper"].answers = [[want("send")], [want("send")], "Sent.", "Sent."]
    run, _ = await world.ask_agent()
    assert kinds(run)[-2:] == ["mcp_approval_request"] * 2
    last = await answered(world, run)

    assert results(last) == [("helper", "Sent."), ("helper", "Sent.")]
    assert world.hub.made == ["send", "send"]


async def test_one_that_answers_is_not_asked_again_while_the_other_waits(world):
    world.models["boss"].answers[0] = [call_of("helper", "one"), call_of("helper", "two")]
    world.models["helper"].answers = [[want("send")], "Nothing to do.", "Sent."]
    run, _ = await world.ask_agent()
    last = await answered(world, run)

    assert [text for _, text in results(run) + results(last)].count("Nothing to do.") == 1
    assert results(last) == [("helper", "Sent.")]
    assert len(world.models["helper"].calls) == 3


async def test_a_call_of_an_agent_may_need_leave_itself(tmp_path):
    boss = agent("boss", agents=("helper",), approval={"agents/helper": "always"})
    async with family(tmp_path, boss, HELPER, scripts=SENDS) as world:
        world.judge.by_tool["send"] = asked_of("sre")
        run, _ = await world.ask_agent()
        assert (run.status, await world.children(run)) == ("waiting", [])
        second = await answered(world, run)
        assert second.status == "waiting"
        last = await answered(world, second)

        assert results(last) == [("helper", "It is sent.")]
        assert world.hub.made == ["send"]


async def test_who_cancels_the_caller_cancels_what_its_agents_ask(world):
    run, _ = await world.ask_agent()
    [child] = await world.children(run)
    await world.desk.cancel("acme", run.id)

    assert (await world.desk.find("acme", child.id)).status == "cancelled"
    assert [approval.state for approval in await world.approvals.of_run(child.id)] == ["cancelled"]


async def test_who_cancels_a_child_lets_its_caller_go_on_without_it(world):
    run, _ = await world.ask_agent()
    [child] = await world.children(run)
    await world.desk.stop("acme", child.id)
    [last] = [each for each in await world.runs.list("acme") if each.continues == run.id]
    last = await world.ended(last)

    [(_, [told])] = results(last)
    assert told["text"] == "The agent helper did not finish: it was cancelled."
    assert world.hub.made == []


async def test_who_forgets_a_response_forgets_what_was_done_below_it(world):
    run, _ = await world.ask_agent()
    await world.desk.remove("acme", run.id)

    assert list(await world.runs.list("acme")) == []


async def test_an_answer_that_is_faster_than_the_caller_is_not_lost(world):
    """Bob answers one agent's question while the caller still waits for the other agent."""
    go = anyio.Event()

    async def slow(call, send):
        await go.wait()
        await speak(call, send, ["Slow."])

    world.models["boss"].answers[0] = [call_of("helper", "one"), call_of("helper", "two")]
    world.models["helper"].answers = [[want("send")], slow, "Sent."]
    run = await world.begin_agent()
    [approval] = await world.until(lambda: world.approvals.list("acme", state="pending"))
    await world.until(lambda: waits(world, approval.run))
    verdict = await world.desk.approvals.vote(BOB, Ballot(approval=approval.id, approve=True), channel="admin")
    assert verdict.continuation == ""
    go.set()
    run = await world.ended(run)
    last = await world.ended(await world.desk.find("acme", await world.until(lambda: world.runs.continued_by(run.id))))

    assert results(last) == [("helper", "Sent.")]
    assert world.hub.made == ["send"]


async def waits(world, run):
    return (await world.runs.find(None, run)).status == "waiting"


async def test_nobody_of_another_tenant_answers(world):
    run, _ = await world.ask_agent()
    [approval] = await world.approvals.list("acme", state="pending")

    with pytest.raises(NotFound):
        await world.desk.approvals.vote(EVE, Ballot(approval=approval.id, approve=True), channel="admin")
    assert (await world.desk.find("acme", run.id)).status == "waiting"
