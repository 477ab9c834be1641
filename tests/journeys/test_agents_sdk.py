"""OpenAI's Agents SDK works with the server's tools as with OpenAI's hosted MCP tools: listed, called, approved and denied, in each of its ways."""

import agents
import pytest
from agents import Agent, HostedMCPTool, OpenAIResponsesModel, RunConfig, Runner, RunState
from agents.models.openai_responses import OpenAIResponsesWSModel

from tests.journeys.agents_world import agents_world

ONLY_HERE = RunConfig(tracing_disabled=True)
ASKED = ["mcp_list_tools_item", "reasoning_item", "message_output_item", "mcp_approval_request_item"]
ANSWERED = ["mcp_approval_response_item", "tool_call_item", "message_output_item"]


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    async with agents_world(tmp_path_factory.mktemp("agents_sdk")) as world:
        yield world


class Clerk:
    """An agent of the SDK whose model is here. `approve` is what its approval callback says, None for one without a callback."""

    def __init__(self, world, *, require="always", approve=None, model="thinker", tools=True):
        self.asked = []
        self.approve = approve
        config = {"type": "mcp", "server_label": "desk"} | ({} if require is None else {"require_approval": require})
        tool = HostedMCPTool(tool_config=config, on_approval_request=None if approve is None else self.answer)
        self.agent = Agent(
            name="Clerk",
            instructions="Be brief.",
            model=OpenAIResponsesModel(model=model, openai_client=world.openai),
            tools=[tool] if tools else [],
        )

    def answer(self, request):
        self.asked.append((request.data.server_label, request.data.name, request.data.arguments))
        return {"approve": True} if self.approve else {"approve": False, "reason": "not today"}

    async def run(self, said, **how):
        return await Runner.run(self.agent, said, run_config=ONLY_HERE, **how)

    async def stream(self, said, **how):
        result = Runner.run_streamed(self.agent, said, run_config=ONLY_HERE, **how)
        async for _ in result.stream_events():
            pass
        return result


def kinds(result):
    return [item.type for item in result.new_items]


def calls_before(world):
    return len(world.tool_calls())


@pytest.mark.parametrize("way", ["run", "stream"])
async def test_tools_without_approval_are_called_by_the_server(world, way):
    before = calls_before(world)
    result = await getattr(Clerk(world, require="never"), way)("echo it")

    assert result.final_output == "The tool said: hello"
    assert kinds(result) == [*ASKED[:-1], "tool_call_item", "message_output_item"]
    assert world.tool_calls()[before:] == ["echo"]


@pytest.mark.parametrize("way", ["run", "stream"])
async def test_its_callback_approves(world, way):
    before, clerk = calls_before(world), Clerk(world, approve=True)
    result = await getattr(clerk, way)("echo it")

    assert result.final_output == "The tool said: hello"
    assert clerk.asked == [("desk", "echo", '{"text":"hello"}')]
    assert kinds(result) == [*ASKED, *ANSWERED]
    assert world.tool_calls()[before:] == ["echo"]


@pytest.mark.parametrize("way", ["run", "stream"])
async def test_its_callback_denies_and_the_model_is_told_why(world, way):
    before = calls_before(world)
    result = await getattr(Clerk(world, approve=False), way)("echo it")

    assert "not today" in result.final_output
    assert kinds(result) == [*ASKED, "mcp_approval_response_item", "message_output_item"]
    assert world.tool_calls()[before:] == []


@pytest.mark.parametrize("way", ["run", "stream"])
@pytest.mark.parametrize("approve", [True, False])
async def test_an_interrupted_run_is_written_down_and_gone_on_with(world, way, approve):
    """Between the two halves nothing is left of the first but a document, as when an approval takes days."""
    before, clerk = calls_before(world), Clerk(world)
    first = await getattr(clerk, way)("echo it")
    assert world.tool_calls()[before:] == []
    state = await RunState.from_json(clerk.agent, first.to_state().to_json())
    [pending] = state.get_interruptions()
    (state.approve if approve else state.reject)(pending)

    second = await getattr(clerk, way)(state)

    assert world.tool_calls()[before:] == (["echo"] if approve else [])
    assert ("hello" in second.final_output) is approve


@pytest.mark.parametrize("how", ["previous response", "conversation", "whole history"])
async def test_a_second_turn_goes_on_in_each_of_its_ways(world, how):
    clerk = Clerk(world, approve=True)
    if how == "conversation":
        place = await world.openai.conversations.create()
        first = await clerk.run("echo it", conversation_id=place.id)
        second = await clerk.run("and now?", conversation_id=place.id)
    elif how == "previous response":
        first = await clerk.run("echo it", auto_previous_response_id=True)
        second = await clerk.run("and now?", previous_response_id=first.last_response_id)
    else:
        first = await clerk.run("echo it")
        second = await clerk.run([*first.to_input_list(), {"role": "user", "content": "and now?"}])

    assert (first.final_output, second.final_output) == ("The tool said: hello", "You said: and now?")
    assert len(clerk.asked) == 1


async def test_an_agent_of_the_server_has_its_tools_and_asks_whom_it_has_to(world):
    """The SDK takes an approval request only of a server that its own agent names; the definition says which calls need one."""
    before = calls_before(world)
    clerk = Clerk(world, require=None, approve=True, model="agent/clerk")
    read = await clerk.run("echo it")
    assert clerk.asked == []
    changed = await clerk.run("count it")

    assert read.final_output == "The tool said: hello"
    assert [name for _, name, _ in clerk.asked] == ["count"]
    assert world.tool_calls()[before:] == ["echo", "count"]
    assert changed.final_output.startswith("The tool said: ")


async def test_functions_of_the_sdk_stand_beside_the_servers_tools(world):
    clerk = Clerk(world, require="never")

    @agents.function_tool
    def ask_me() -> str:
        """Ask the one who runs the SDK."""
        return "me"

    clerk.agent.tools.append(ask_me)
    result = await clerk.run("this is mine")

    assert result.final_output == "The tool said: me"


@pytest.mark.parametrize("way", ["run", "stream"])
async def test_it_works_over_a_web_socket_as_well(world, way):
    before, clerk = calls_before(world), Clerk(world, approve=True)
    clerk.agent.model = OpenAIResponsesWSModel(model="thinker", openai_client=world.openai)
    try:
        result = await getattr(clerk, way)("echo it", auto_previous_response_id=True)
    finally:
        await clerk.agent.model.close()

    assert result.final_output == "The tool said: hello"
    assert world.tool_calls()[before:] == ["echo"]
