"""What a run goes on from: everything that was said to its end, in order, once, and no more than the bounds allow."""

import pytest

from gateway.core.errors import Conflict, ContextLengthExceeded, InvalidRequest, NotFound
from gateway.core.items import Message
from gateway.stores.conversations import Conversation
from tests.unit.agents.runs_world import broken, draft, endless, speak, world_in


def texts(call):
    """What a model was given, as (role, text)."""
    return [(item.role, item.parts[0].text) for item in call.content.items if isinstance(item, Message)]


async def test_a_response_goes_on_from_all_that_came_before(tmp_path):
    async with world_in(tmp_path) as world:
        first, _ = await world.answer("one", instructions="Be brief.")
        second, _ = await world.answer("two", previous_response_id=first.id)
        await world.answer("three", previous_response_id=second.id)

    assert texts(world.model.calls[0]) == [("system", "Be brief."), ("user", "one")]
    assert texts(world.model.calls[2]) == [
        ("user", "one"),
        ("assistant", "You said one"),
        ("user", "two"),
        ("assistant", "You said two"),
        ("user", "three"),
    ], "instructions are not inherited"


async def test_a_chain_is_bounded(tmp_path):
    async with world_in(tmp_path, chain=2, context_items=4) as world:
        first, _ = await world.answer("one")
        second, _ = await world.answer("two", previous_response_id=first.id)

        with pytest.raises(ContextLengthExceeded):
            await world.answer("three", previous_response_id=second.id)
        world.model.say = lambda call, send: speak(call, send, [])
        third, _ = await world.answer([], previous_response_id=second.id)
        with pytest.raises(InvalidRequest, match="more than 2"):
            await world.answer([], previous_response_id=third.id)


async def test_what_a_model_is_given_is_bounded_in_bytes(tmp_path):
    async with world_in(tmp_path, context_bytes=1024) as world:
        with pytest.raises(ContextLengthExceeded):
            await world.answer("x" * 1024)

        assert await world.runs.list(None) == []


async def test_nothing_goes_on_from_a_response_that_has_not_ended(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = endless
        run = await world.desk.begin(draft(background=True))

        with pytest.raises(Conflict) as refused:
            await world.answer("go on", previous_response_id=run.id)
        assert refused.value.param == "previous_response_id"


async def test_of_an_answer_that_broke_off_nothing_is_given_to_a_model_again(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = broken
        failed, _ = await world.answer("one")
        world.model.say = world.model.echo
        run, _ = await world.answer("two", previous_response_id=failed.id)

    assert failed.status == "failed"
    assert texts(world.model.calls[1]) == [("user", "one"), ("user", "two")]
    assert run.status == "completed"


async def test_an_answer_that_was_cut_off_at_its_length_is_gone_on_from(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = lambda call, send: speak(call, send, ["Once upon"], reason="length")
        cut, events = await world.answer("a story")
        world.model.say = world.model.echo
        await world.answer("go on", previous_response_id=cut.id)

    assert events[-1].name == "response.incomplete"
    assert cut.response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert texts(world.model.calls[1])[1] == ("assistant", "Once upon")


async def test_a_conversation_hears_what_was_asked_and_answered(tmp_path):
    async with world_in(tmp_path) as world:
        await world.conversations.add(Conversation(id="conv_1", tenant="acme", created_at=1.0))
        first, _ = await world.answer("one", conversation="conv_1")
        run = await world.desk.begin(draft("two", conversation={"id": "conv_1"}, background=True))
        await world.ended(run)
        items = await world.conversations.items("acme", "conv_1", order="asc")

    assert [item.run for item in items] == [first.id] * 2 + [run.id] * 2
    assert [item.body["content"][0]["text"] for item in items] == ["one", "You said one", "two", "You said two"]
    assert texts(world.model.calls[1]) == [("user", "one"), ("assistant", "You said one"), ("user", "two")]
    assert first.response["conversation"] == {"id": "conv_1"}


async def test_a_conversation_and_a_response_are_not_gone_on_from_at_once(tmp_path):
    async with world_in(tmp_path) as world:
        with pytest.raises(InvalidRequest) as refused:
            await world.answer("x", conversation="conv_1", previous_response_id="resp_1")
        assert refused.value.param == "previous_response_id"
        with pytest.raises(NotFound) as missing:
            await world.answer("x", conversation="conv_1")
        assert missing.value.param == "conversation"
