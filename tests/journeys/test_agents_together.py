"""Agents that call agents, asked over HTTP with the official clients."""

import anyio
import pytest

from tests.journeys.agents_world import PATIENCE, agents_world

LEAD = "model: lead\ndescription: Has others do it.\nagents: [clerk, talker]\nlimits: {steps: 20}\n"
SCRIPT = """  lead:
    answers:
      - {when: {tool_result: ""}, say: "They said: {tool_result}", usage: {input: 10, output: 20}}
      - when: {contains: both}
        call: [{tool: agents__clerk, arguments: {input: echo it}}, {tool: agents__talker, arguments: {input: hello}}]
      - {when: {contains: forever}, call: [{tool: agents__talker, arguments: {input: endless}}]}
      - {when: {contains: count}, call: [{tool: agents__clerk, arguments: {input: count it}}]}
      - {call: [{tool: agents__clerk, arguments: {input: echo it}}], usage: {input: 8, output: 2}}
"""


@pytest.fixture
async def world(tmp_path):
    async with agents_world(tmp_path) as world:
        script = world.folder / "script.yaml"
        script.write_text(script.read_text().rstrip() + "\n" + SCRIPT)
        config = world.folder / "switchgear.yaml"
        text = config.read_text()
        assert "models: {thinker: play/thinker}" in text
        text = text.replace("models: {thinker:", "models: {lead: play/lead, thinker:")
        config.write_text(text.replace("prices: {", "prices: {play/lead: {input: 1.0, output: 2.0}, "))
        world.write("lead", LEAD)
        assert (await world.reload())["status"] != "refused"
        yield world


def calls(answer):
    return [(item.server_label, item.name, item.output) for item in answer.output if item.type == "mcp_call"]


async def shown(world, response):
    """A run as its operator sees it."""
    return (await world.http.get(f"/admin/runs/{response}")).json()


async def test_an_agent_has_another_do_it(world):
    answer = await world.openai.responses.create(model="agent/lead", input="echo it")

    assert answer.output_text == "They said: The tool said: hello"
    assert calls(answer) == [("agents", "clerk", "The tool said: hello")]
    assert world.tool_calls() == ["echo"]


async def test_agents_work_side_by_side_and_are_listed_below_their_caller(world):
    answer = await world.openai.responses.create(model="agent/lead", input="do both")
    run = await shown(world, answer.id)

    assert sorted(call[1] for call in calls(answer)) == ["clerk", "talker"]
    children = {child["agent"]: child for child in run["children"]}
    assert {name: child["status"] for name, child in children.items()} == {"clerk": "completed", "talker": "completed"}
    assert {child["parent"] for child in children.values()} == {answer.id}
    assert run["spent"]["below"]["steps"] == 3


async def test_each_call_of_a_model_is_in_the_ledger_once(world):
    answer = await world.openai.responses.create(model="agent/lead", input="echo it")
    run = await shown(world, answer.id)
    [child] = run["children"]
    paid = {}
    with anyio.fail_after(PATIENCE):
        # The ledger is written behind the answers.
        while sum(paid.values()) < 4:
            rows = (await world.http.get("/admin/usage", params={"by": "run,model"})).json()["data"]
            paid = {(row["run"], row["model"]): row["calls"] for row in rows if row["cost"]}

    assert paid == {(answer.id, "lead"): 2, (child["id"], "thinker"): 2}
    assert run["spent"]["below"]["nano"] == child["spent"]["nano"] > 0


async def test_a_stream_is_whole_and_chat_completions_get_the_text(world):
    async with world.openai.responses.stream(model="agent/lead", input="echo it") as stream:
        numbers = [event.sequence_number async for event in stream]
        final = await stream.get_final_response()
    chat = await world.openai.chat.completions.create(
        model="agent/lead", messages=[{"role": "user", "content": "echo it"}]
    )

    assert numbers == list(range(len(numbers)))
    assert final.output_text == chat.choices[0].message.content == "They said: The tool said: hello"


async def test_a_person_agrees_to_what_a_child_asks(world):
    asked = await world.openai.responses.create(model="agent/lead", input="count it")
    [question] = [item for item in asked.output if item.type == "mcp_approval_request"]
    assert (question.server_label, question.name, world.tool_calls()) == ("desk", "count", [])
    answer = {"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True}
    done = await world.openai.responses.create(model="agent/lead", input=[answer], previous_response_id=asked.id)

    assert done.output_text.startswith("They said: The tool said: ")
    assert world.tool_calls() == ["count"]


async def test_who_answers_elsewhere_lets_both_go_on(world):
    asked = await world.openai.responses.create(model="agent/lead", input="count it")
    [question] = [item for item in asked.output if item.type == "mcp_approval_request"]
    voted = (await world.http.post(f"/admin/approvals/{question.id}/approve", json={"version": 1})).json()
    done = await world.ended(voted["continuation"])

    assert (done.status, done.previous_response_id) == ("completed", asked.id)
    assert done.output_text.startswith("They said: The tool said: ")
    assert world.tool_calls() == ["count"]


async def test_cancelling_the_caller_ends_the_child_within_a_second(world):
    made = await world.openai.responses.create(model="agent/lead", input="forever", background=True)
    with anyio.fail_after(PATIENCE):
        while not (children := (await shown(world, made.id))["children"]):
            await anyio.sleep(0.02)
    with anyio.fail_after(2):
        cancelled = await world.openai.responses.cancel(made.id)
        while (await shown(world, children[0]["id"]))["status"] != "cancelled":
            await anyio.sleep(0.02)

    assert cancelled.status == "cancelled"


async def test_circles_are_refused_and_change_nothing(world):
    world.write("clerk", "model: thinker\nagents: [lead]\n")
    told = await world.http.post("/admin/reload")

    assert "agents call each other in a circle: clerk → lead → clerk" in told.text
    assert (await world.openai.responses.create(model="agent/lead", input="echo it")).status == "completed"


async def test_a_run_whose_agents_asked_people_is_replayed_with_what_they_answered(world):
    """Its story goes on in another run: what the agent that waited has said stands there."""
    first = await world.openai.responses.create(model="agent/lead", input="count it")
    [question] = [item for item in first.output if item.type == "mcp_approval_request"]
    said = {"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True}
    went_on = await world.openai.responses.create(
        model="agent/lead", previous_response_id=first.id, input=[said], background=True
    )
    done = await world.ended(went_on.id)
    made = (await world.http.post(f"/admin/runs/{first.id}/replay", json={})).json()
    ended = await world.ended(made["id"])
    comparison = (await world.http.get(f"/admin/runs/{made['id']}/comparison")).json()

    assert done.output_text.startswith("They said: ")
    assert comparison["same"], comparison
    assert ended.output_text == done.output_text
    assert world.tool_calls() == ["count"]
