"""What a provider puts on the calls of its model comes back to it with them, from step to step and after people's answers; nobody else sees it."""

import msgspec
import pytest

from gateway.agents.marks import marks_of
from gateway.core.items import ToolCall
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from tests.unit.agents.tools_world import tool_world, waiting, want

SIGNED = {"extra_content": {"google": {"thought_signature": "c2lnbmVk"}}}


def signed(name, arguments="{}"):
    call = want(name, arguments)
    return msgspec.structs.replace(call, rest={"openai_chat": {**SIGNED, "index": 0, "$message": {"content": None}}})


def sent(world, dialect=OPENAI_CHAT):
    """What goes to the upstream for the model's last call."""
    return dialect.encode_call(world.model.calls[-1].content, model="m", stream=True, drop=True).body["messages"]


def calls_in(messages):
    return [call for message in messages for call in message.get("tool_calls") or ()]


async def test_the_mark_of_a_call_comes_back_with_it_and_the_call_without_has_none(tmp_path):
    async with tool_world(tmp_path, [signed("look"), want("search", '{"q":"tea"}')], "Done.") as world:
        run, events = await world.ask()
        first, second = calls_in(sent(world))

    assert first.pop("extra_content") == SIGNED["extra_content"]
    assert (set(first), set(second)) == ({"id", "type", "function"}, {"id", "type", "function"})
    assert b"c2lnbmVk" not in b"".join(event.data for event in events)
    assert "c2lnbmVk" not in str(run.response)


async def test_the_mark_is_there_when_the_conversation_goes_on(tmp_path):
    async with tool_world(tmp_path, [signed("look")], "Done.", "More.") as world:
        run, _ = await world.ask()
        await world.ask("and?", previous_response_id=run.id)

        assert [call.get("extra_content") for call in calls_in(sent(world))] == [SIGNED["extra_content"]]


@pytest.mark.parametrize("approve", [True, False])
async def test_the_mark_outlives_the_wait_for_people(tmp_path, approve):
    async with tool_world(tmp_path, [signed("send")], "Done.") as world:
        run, _ = await waiting(world)
        await world.yes(run, approve=approve)

        assert [call.get("extra_content") for call in calls_in(sent(world))] == [SIGNED["extra_content"]]


async def test_another_provider_is_not_told_and_answers_all_the_same(tmp_path):
    async with tool_world(tmp_path, [signed("look")], "Done.") as world:
        await world.ask()
        messages = sent(world, ANTHROPIC_MESSAGES)

    assert "c2lnbmVk" not in str(messages)


def test_what_only_says_how_a_call_was_written_is_no_mark():
    assert marks_of(ToolCall(call_id="1", name="a", arguments="{}")) == {}
    assert marks_of(signed("look")) == {"openai_chat": SIGNED}
