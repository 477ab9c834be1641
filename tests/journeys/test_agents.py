"""An agent is a model to every client: asked in any dialect, with tools of the server, people's leave, and a version that a run keeps."""

import openai
import pytest

from tests.journeys.agents_world import CLERK, agents_world


@pytest.fixture
async def world(tmp_path):
    async with agents_world(tmp_path) as world:
        yield world


def user(text):
    return [{"role": "user", "content": text}]


async def test_agents_are_listed_beside_models(world):
    listed = {model.id: model for model in (await world.openai.models.list()).data}

    assert set(listed) == {"thinker", "agent/talker", "agent/clerk"}
    assert listed["agent/clerk"].owned_by == "agent"
    assert (await world.openai.models.retrieve("agent/clerk")).id == "agent/clerk"


async def test_an_agent_that_there_is_not_is_told_with_a_near_name(world):
    with pytest.raises(openai.NotFoundError, match="Did you mean 'agent/clerk'"):
        await world.openai.chat.completions.create(model="agent/clerkk", messages=user("hello"))


async def test_chat_completions_get_the_text_and_not_the_tools(world):
    made = await world.openai.chat.completions.with_raw_response.create(model="agent/clerk", messages=user("echo it"))
    answer = made.parse()

    assert answer.choices[0].message.content == "I look. The tool said: hello"
    assert (answer.choices[0].finish_reason, answer.choices[0].message.tool_calls) == ("stop", None)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) > (10, 20)
    assert made.headers["x-switchgear-target"] == "agent/clerk"
    run = await world.openai.responses.retrieve(made.headers["x-switchgear-run"])
    assert [item.type for item in run.output if item.type.startswith("mcp")] == ["mcp_list_tools", "mcp_call"]
    assert world.tool_calls() == ["echo"]


async def test_a_stream_of_chat_completions_comes_as_it_is_said(world):
    stream = await world.openai.chat.completions.create(
        model="agent/clerk", messages=user("echo it"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "I look. The tool said: hello"
    assert all(not chunk.choices[0].delta.tool_calls for chunk in chunks if chunk.choices)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage.total_tokens > 30


async def test_anthropics_messages_get_it_too(world):
    answer = await world.anthropic.messages.create(model="agent/clerk", max_tokens=500, messages=user("echo it"))

    texts = [block.text for block in answer.content if block.type == "text"]
    assert "".join(texts) == "I look. The tool said: hello"
    assert answer.stop_reason == "end_turn"


async def test_a_stream_of_anthropics_messages(world):
    async with world.anthropic.messages.stream(model="agent/clerk", max_tokens=500, messages=user("echo it")) as stream:
        text = "".join([piece async for piece in stream.text_stream])

    assert text == "I look. The tool said: hello"


async def test_responses_show_the_tools(world):
    answer = await world.openai.responses.create(model="agent/clerk", input="echo it")

    assert answer.model == "agent/clerk"
    assert answer.output_text == "I look. The tool said: hello"
    (call,) = [item for item in answer.output if item.type == "mcp_call"]
    assert (call.server_label, call.name, call.output, call.error) == ("desk", "echo", "hello", None)
    assert answer.tools == []
    assert answer.instructions is None


async def test_a_conversation_of_many_turns_goes_on_in_each_dialect(world):
    first = await world.openai.responses.create(model="agent/talker", input="one")
    second = await world.openai.responses.create(model="agent/talker", input="two", previous_response_id=first.id)
    chat = await world.openai.chat.completions.create(
        model="agent/talker",
        messages=[*user("one"), {"role": "assistant", "content": "You said: one"}, *user("two")],
    )

    assert second.output_text == "You said: two"
    assert chat.choices[0].message.content == "You said: two"


async def test_chat_is_told_that_a_person_is_waited_for(world):
    made = await world.openai.chat.completions.with_raw_response.create(model="agent/clerk", messages=user("count it"))
    answer, run = made.parse(), made.headers["x-switchgear-run"]

    assert answer.choices[0].finish_reason == "stop"
    text = answer.choices[0].message.content
    assert "waits for a person" in text
    assert run in text
    assert 'desk/count {"text":"one"}' in text
    assert world.tool_calls() == []


async def test_what_waits_goes_on_when_the_client_agrees(world):
    asked = await world.openai.responses.create(model="agent/clerk", input="count it")
    (question,) = [item for item in asked.output if item.type == "mcp_approval_request"]
    answer = {"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True}
    done = await world.openai.responses.create(model="agent/clerk", input=[answer], previous_response_id=asked.id)

    assert done.output_text.startswith("The tool said: ")
    assert world.tool_calls() == ["count"]


async def test_a_run_keeps_the_version_that_it_began_with(world):
    asked = await world.openai.responses.create(model="agent/clerk", input="count it")
    (question,) = [item for item in asked.output if item.type == "mcp_approval_request"]
    world.write("clerk", "model: thinker\nlabel: '2'\ntools: {desk: [echo]}\n")
    assert (await world.reload())["status"] in ("applied", "unchanged")

    answer = {"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True}
    done = await world.openai.responses.create(model="agent/clerk", input=[answer], previous_response_id=asked.id)
    anew = await world.openai.responses.create(model="agent/clerk", input="count it")

    assert world.tool_calls() == ["count"]
    old, new = [(await world.http.get(f"/admin/runs/{name}")).json() for name in (done.id, anew.id)]
    assert (old["agent"], old["version"][:2], new["version"][:2]) == ("clerk", "1+", "2+")
    assert "mcp_approval_request" not in [item.type for item in anew.output]


async def test_an_agent_hands_over_in_the_middle_of_its_answer(world):
    world.write("front", "model: thinker\nhandoffs: [clerk]\n")
    await world.reload()
    async with world.openai.responses.stream(model="agent/front", input="to the clerk") as stream:
        names = [event.type async for event in stream]
        answer = await stream.get_final_response()
    later = await world.openai.responses.create(model="agent/front", input="thanks", previous_response_id=answer.id)
    chat = await world.openai.chat.completions.create(model="agent/front", messages=user("to the clerk"))

    shown = [f"{item.server_label}/{item.name}" for item in answer.output if item.type == "mcp_call"]
    assert shown == ["switchgear/transfer_to_clerk", "desk/echo"]
    assert answer.output_text == "One moment. The tool said: hello"
    assert names.count("response.created") == names.count("response.completed") == 1
    assert (await world.http.get(f"/admin/runs/{later.id}")).json()["agent"] == "clerk"
    assert chat.choices[0].message.content == "One moment. The tool said: hello"


WORKFLOW = """
workflow:
  sequence:
    - {parallel: [{agent: clerk, input: "count it"}, {agent: talker, name: said}]}
    - {agent: talker, input: "{{said}} / {{input}}"}
"""


async def test_a_workflow_waits_for_a_person_and_comes_to_its_end(world):
    world.write("flow", WORKFLOW)
    await world.reload()
    asked = await world.openai.responses.create(model="agent/flow", input="both")
    (question,) = [item for item in asked.output if item.type == "mcp_approval_request"]
    answer = {"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True}
    async with world.openai.responses.stream(
        model="agent/flow", input=[answer], previous_response_id=asked.id
    ) as stream:
        done = await stream.get_final_response()

    assert (question.server_label, question.name) == ("desk", "count")
    assert done.output_text == "You said: You said: both / both"
    assert world.tool_calls() == ["count"]
    shown = (await world.http.get(f"/admin/runs/{done.id}")).json()
    assert (shown["agent"], shown["status"]) == ("flow", "completed")


async def test_an_agent_at_fault_changes_nothing(world):
    world.write("clerk", CLERK.replace("thinker", "thinkr"))
    report = await world.reload()

    assert report["status"] == "refused"
    (fault,) = report["faults"]
    assert fault["file"].endswith("agents/clerk/agent.yaml")
    assert (fault["line"], fault["path"]) == (2, "model")
    assert "did you mean 'thinker'?" in fault["message"]
    assert (await world.openai.responses.create(model="agent/clerk", input="hi")).output_text == "You said: hi"


async def test_an_agent_comes_and_goes_with_its_folder(world):
    world.write("fresh", "model: thinker\n")
    await world.reload()
    assert (await world.openai.responses.create(model="agent/fresh", input="hi")).output_text == "You said: hi"

    (world.folder / "agents" / "fresh" / "agent.yaml").unlink()
    await world.reload()
    with pytest.raises(openai.NotFoundError):
        await world.openai.responses.create(model="agent/fresh", input="hi")


async def test_what_an_agent_uses_is_paid_once(world):
    world.gateway.forget()
    await world.openai.chat.completions.create(model="agent/clerk", messages=user("echo it"))

    outer = [record for record in world.gateway.records if record.model == "agent/clerk"]
    inner = [record for record in world.gateway.records if record.model == "thinker"]
    assert [(record.cost_nano, record.usage.total) for record in outer] == [(0, 0)]
    assert len(inner) == 2
    assert all(record.cost_nano > 0 for record in inner)
    assert len({record.run for record in (*outer, *inner)}) == 1
    assert outer[0].run.startswith("resp_")


async def test_a_limit_of_one_call_at_once_does_not_stop_an_agent(world):
    """The configuration has it: an outer call that held the only place would wait for itself."""
    answer = await world.openai.chat.completions.create(model="agent/clerk", messages=user("echo it"))

    assert answer.choices[0].message.content == "I look. The tool said: hello"


async def test_a_response_that_is_not_to_be_kept_is_refused(world):
    with pytest.raises(openai.BadRequestError, match="store"):
        await world.openai.responses.create(model="agent/clerk", input="hi", store=False)


async def test_the_models_error_is_the_agents(world):
    with pytest.raises(openai.BadRequestError, match="Too odd"):
        await world.openai.chat.completions.create(model="agent/talker", messages=user("refuse this"))


async def test_a_client_has_functions_of_its_own_beside_the_agents_tools(world):
    mine = {"type": "function", "function": {"name": "ask_me", "parameters": {"type": "object", "properties": {}}}}
    answer = await world.openai.chat.completions.create(model="agent/clerk", messages=user("mine"), tools=[mine])

    (call,) = answer.choices[0].message.tool_calls
    assert (answer.choices[0].finish_reason, call.function.name) == ("tool_calls", "ask_me")


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"type": "mcp", "server_label": "cellar"}, "tools[0].server_label"),
        ({"type": "mcp", "server_label": "desk", "allowed_tools": ["burn"]}, "tools[0].allowed_tools"),
        ({"type": "web_search"}, "tools[0].type"),
        ({"type": "function", "name": "desk__echo", "parameters": {}}, "tools[0].name"),
    ],
)
async def test_a_client_gives_an_agent_no_other_tools(world, tool, param):
    with pytest.raises(openai.BadRequestError) as caught:
        await world.openai.responses.create(model="agent/clerk", input="hi", tools=[tool])

    assert caught.value.param == param


async def test_who_may_not_use_the_agent_does_not_see_it(world):
    made = await world.http.post("/admin/keys", json={"name": "few", "models": ["thinker"]})
    few = openai.AsyncOpenAI(base_url=f"{world.gateway.url}/v1", api_key=made.json()["key"], max_retries=0)
    try:
        assert [model.id for model in (await few.models.list()).data] == ["thinker"]
        for ask in (
            few.responses.create(model="agent/clerk", input="hi"),
            few.chat.completions.create(model="agent/clerk", messages=user("hi")),
            few.responses.create(model="agent/clerk", input="hi", background=True),
        ):
            with pytest.raises(openai.PermissionDeniedError):
                await ask
    finally:
        await few.close()


async def test_an_agent_works_in_the_background(world):
    begun = await world.openai.responses.create(model="agent/clerk", input="echo it", background=True)
    done = await world.ended(begun.id)

    assert done.output_text == "I look. The tool said: hello"
