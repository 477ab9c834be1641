"""What becomes of leave: edited, void by a change, withdrawn by a policy; and calls of which nobody knows whether they were made."""

import msgspec
import pytest

from gateway.agents.approving import Ballot
from gateway.core.errors import Forbidden, InvalidRequest
from gateway.core.tools import ToolOutput
from gateway.dialects.openai_responses.mcp_items import is_ours
from gateway.policies.tool_judgement import ToolJudgement
from tests.unit.agents.runs_world import check_stream
from tests.unit.agents.tools_world import BOB, SEND, a_tool, asked_of, kinds, results, tool_world, waiting, want


async def test_an_edit_changes_what_is_made_and_is_judged(tmp_path):
    async with tool_world(tmp_path, [want("send", '{"n": 9}')]) as world:

        def judge(facts):
            if facts.arguments.get("n", 0) > 100:
                return ToolJudgement(effect="deny", reason="Too many.")
            return asked_of("sre")

        world.judge.by_tool["send"] = judge
        _, [approval] = await waiting(world)
        desk = world.desk.approvals
        with pytest.raises(Forbidden, match="Too many"):
            await desk.vote(BOB, Ballot(approval=approval.id, approve=True, edited={"n": 1000}), channel="admin")
        edit = Ballot(approval=approval.id, approve=True, edited={"n": 3}, version=approval.version)
        verdict = await desk.vote(BOB, edit, channel="admin")
        await world.follow(await world.runs.find("acme", verdict.continuation))

    assert [asked.arguments for asked in world.hub.calls] == [{"n": 3}]
    assert ("result", 'send did {"n":3}') in world.model.told()


async def test_an_edit_that_other_people_would_have_to_allow_is_refused(tmp_path):
    async with tool_world(tmp_path, [want("send", '{"n": 9}')]) as world:
        world.judge.by_tool["send"] = lambda facts: asked_of("sre" if facts.arguments["n"] < 10 else "board")
        _, [approval] = await waiting(world)

        edit = Ballot(approval=approval.id, approve=True, edited={"n": 99})
        with pytest.raises(Forbidden):
            await world.desk.approvals.vote(BOB, edit, channel="admin")


async def test_an_edit_that_more_people_would_have_to_allow_is_refused(tmp_path):
    """One member agrees to nine; to ninety-nine, two would have to."""
    async with tool_world(tmp_path, [want("send", '{"n": 9}')]) as world:
        world.judge.by_tool["send"] = lambda facts: asked_of("sre", quorum=1 if facts.arguments["n"] < 10 else 2)
        _, [approval] = await waiting(world)

        edit = Ballot(approval=approval.id, approve=True, edited={"n": 99})
        with pytest.raises(Forbidden):
            await world.desk.approvals.vote(BOB, edit, channel="admin")
        assert (await world.approvals.find("acme", approval.id)).state == "pending"


async def test_edited_arguments_must_fit_the_tool(tmp_path):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    async with tool_world(
        tmp_path, [want("send", '{"n": 9}')], tools=[a_tool("send", effect="once", schema=schema)]
    ) as world:
        _, [approval] = await waiting(world)

        edit = Ballot(approval=approval.id, approve=True, edited={"x": 1})
        with pytest.raises(InvalidRequest, match="x"):
            await world.desk.approvals.vote(BOB, edit, channel="admin")


async def test_leave_for_a_tool_that_changed_meanwhile_is_void(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Hm.") as world:
        run, _ = await waiting(world)
        world.hub.known = [msgspec.structs.replace(SEND, definition="another")]
        after, _ = await world.yes(run)

    assert world.hub.calls == []
    assert "is not the one any more" in results(after)[0][1]


async def test_what_was_forbidden_meanwhile_is_not_made_although_it_was_approved(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Hm.") as world:
        run, _ = await waiting(world)
        world.judge.by_tool["send"] = ToolJudgement(effect="deny", reason="A freeze.")
        after, _ = await world.yes(run)

    assert world.hub.calls == []
    assert "A freeze." in results(after)[0][1]


async def test_a_call_whose_end_nobody_knows_is_asked_about_and_never_repeated_by_itself(tmp_path):
    async with tool_world(tmp_path, [want("send", '{"to": "bob"}'), want("look")], "Fine.") as world:

        async def act(asked):
            if asked.tool.name == "send" and world.hub.made.count("send") == 1:
                raise OSError("the line is dead")
            return ToolOutput(text="ok")

        world.hub.act = act
        run, events = await world.ask(approval="never")
        check_stream(events)
        [approval] = await world.approvals.of_run(run.id)
        calls = await world.tool_calls.calls(run.id)
        assert (run.status, approval.kind) == ("waiting", "outcome")
        assert kinds(run) == ["mcp_list_tools", "mcp_call", "mcp_call", "mcp_approval_request"]
        assert [call.state for call in calls] == ["unknown", "done"]
        assert "to" in approval.origins, "it is shown where each argument came from, as of any call"
        assert world.hub.made == ["send", "look"]
        after, _ = await world.yes(run)

    assert world.hub.made == ["send", "look", "send"]
    assert world.hub.calls[0].key == world.hub.calls[2].key
    assert results(after) == [("send", "ok")]


async def test_what_is_made_of_an_unknown_outcome_may_be_said_by_a_person(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Good.") as world:

        async def act(asked):
            raise OSError("the line is dead")

        world.hub.act = act
        run, _ = await world.ask(approval="never")
        await world.yes(run, approve=False, reason="I looked: it was sent.")

        assert world.hub.made == ["send"]
        assert "I looked: it was sent." in world.model.told()[-1][1]


async def test_a_call_that_was_approved_after_hundreds_of_others_keeps_an_id_of_this_servers_form(tmp_path):
    """By its id it is known, wherever a client brings it back; 256 of them fit beside each other."""
    many = [want("missing", server="") for _ in range(150)]
    async with tool_world(tmp_path, many, many, [want("send")]) as world:
        world.judge.by_tool["send"] = asked_of()
        asked, _ = await waiting(world)

        after, _ = await world.yes(asked)

    made = next(item for item in after.response["output"] if item["type"] == "mcp_call")
    assert (made["status"], is_ours(made["id"])) == ("completed", True)


@pytest.mark.parametrize("second", [{"approve": False}, {"approve": "yes"}, {"approve": None}])
async def test_a_request_that_contradicts_itself_answers_nothing(tmp_path, second):
    async with tool_world(tmp_path, [want("send")]) as world:
        world.judge.by_tool["send"] = asked_of()
        asked, [approval] = await waiting(world)
        answer = {"type": "mcp_approval_response", "approval_request_id": approval.id, "approve": True}

        with pytest.raises(InvalidRequest, match=r"input\[1\].approve"):
            await world.ask([answer, {**answer, **second}], previous_response_id=asked.id)
        assert (await world.approvals.find("acme", approval.id)).state == "pending"

        after, _ = await world.ask([answer, answer], previous_response_id=asked.id)

    assert (after.status, world.hub.made) == ("completed", ["send"])
