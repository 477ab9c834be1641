"""What an agent's run costs counts against what it may cost, and every answer to its questions is on record."""

import openai
import pytest

from tests.journeys.agents_world import CLERK, agents_world


@pytest.fixture
async def world(tmp_path):
    async with agents_world(tmp_path) as world:
        yield world


@pytest.mark.parametrize(("dollars", "calls"), [("1.0", ["echo"]), ("0.000000002", [])])
async def test_a_run_ends_when_it_has_cost_what_it_may_cost(world, dollars, calls):
    world.write("miser", CLERK.replace("limits: {steps: 4}", f"limits: {{steps: 4, cost: {dollars}}}"))
    assert (await world.reload())["status"] == "applied"

    answer = await world.openai.responses.create(model="agent/miser", input="echo it")
    run = (await world.http.get(f"/admin/runs/{answer.id}")).json()

    assert world.tool_calls() == calls
    assert run["spent"]["nano"] > 10_000


async def test_an_answer_that_comes_with_a_request_is_in_the_audit_log(world):
    asked = await world.openai.responses.create(model="agent/clerk", input="count it")
    [question] = [item for item in asked.output if item.type == "mcp_approval_request"]
    answer = {"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True, "reason": "Go."}
    await world.openai.responses.create(model="agent/clerk", previous_response_id=asked.id, input=[answer])

    entries = (await world.http.get("/admin/audit", params={"action": "approval.approved"})).json()["data"]

    assert [(entry["about"]["id"], entry["details"]["channel"], entry["details"]["reason"]) for entry in entries] == [
        (question.id, "api", "Go.")
    ]
    assert world.tool_calls() == ["count"]


async def test_a_second_answer_says_who_was_first_and_when(world):
    asked = await world.openai.responses.create(model="agent/clerk", input="count it")
    answer = {"type": "mcp_approval_response", "approval_request_id": asked.output[-1].id, "approve": True}
    first = await world.openai.responses.create(model="agent/clerk", previous_response_id=asked.id, input=[answer])

    with pytest.raises(openai.ConflictError, match=rf"was approved by \S+ \(api\) at 20\S+Z\. The response {first.id}"):
        await world.openai.responses.create(model="agent/clerk", previous_response_id=asked.id, input=[answer])
