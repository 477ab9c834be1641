"""The official openai client has conversations as with OpenAI: made, added to by responses and by hand, listed, counted, forgotten."""

import openai
import pytest

from tests.journeys.responses_world import responses_world


@pytest.fixture
async def world(tmp_path):
    async with responses_world(tmp_path) as world:
        yield world


async def test_input_is_counted_with_what_it_goes_on_from(world):
    first = await world.ours.responses.create(model="talker", input="count one two three four five six seven")
    conversation = await world.ours.conversations.create(
        items=[{"role": "user", "content": "one two three four five six"}]
    )

    alone = await world.ours.responses.input_tokens.count(model="talker", input="hello")
    longer = await world.ours.responses.input_tokens.count(model="talker", input="hello", previous_response_id=first.id)
    spoken = await world.ours.responses.input_tokens.count(model="talker", input="hello", conversation=conversation.id)

    assert alone.object == "response.input_tokens"
    assert 0 < alone.input_tokens < min(longer.input_tokens, spoken.input_tokens)


async def test_a_conversation_grows_with_its_responses(world):
    conversation = await world.ours.conversations.create(
        items=[{"role": "user", "content": "Good day."}], metadata={"topic": "counting"}
    )
    for number, said in enumerate(("first", "second", "third")):
        response = await world.ours.responses.create(
            model="talker", input=f"count {number}", conversation=conversation.id
        )
        assert (response.output_text, response.conversation.id) == (said, conversation.id)

    items = [item async for item in world.ours.conversations.items.list(conversation.id, order="asc", limit=3)]

    assert [item.content[0].text for item in items] == [
        "Good day.",
        "count 0",
        "first",
        "count 1",
        "second",
        "count 2",
        "third",
    ]
    assert (
        await world.ours.conversations.items.retrieve(items[2].id, conversation_id=conversation.id)
    ).model_dump() == items[2].model_dump()
    await world.ours.conversations.items.delete(items[-1].id, conversation_id=conversation.id)
    assert (
        await world.ours.responses.create(model="talker", input="count 2", conversation={"id": conversation.id})
    ).output_text == "third"


async def test_a_conversation_goes_on_in_the_background_and_in_streams(world):
    conversation = await world.ours.conversations.create()
    queued = await world.ours.responses.create(
        model="talker", input="count", conversation=conversation.id, background=True
    )
    assert (await world.ended(queued.id)).output_text == "first"
    events = [
        event
        async for event in await world.ours.responses.create(
            model="talker", input="count", conversation=conversation.id, stream=True
        )
    ]

    assert events[-1].response.output_text == "second"
    assert len((await world.ours.conversations.items.list(conversation.id)).data) == 4


async def test_a_conversation_is_changed_and_forgotten_and_its_responses_stay(world):
    conversation = await world.ours.conversations.create(metadata={"a": "b"})
    response = await world.ours.responses.create(model="talker", input="hello", conversation=conversation.id)
    assert (await world.ours.conversations.update(conversation.id, metadata={"c": "d"})).metadata == {"c": "d"}
    added = await world.ours.conversations.items.create(conversation.id, items=[{"role": "user", "content": "more"}])
    assert added.data[0].content[0].text == "more"
    assert (await world.ours.conversations.retrieve(conversation.id)).metadata == {"c": "d"}

    assert (await world.ours.conversations.delete(conversation.id)).deleted

    with pytest.raises(openai.NotFoundError):
        await world.ours.conversations.retrieve(conversation.id)
    with pytest.raises(openai.NotFoundError) as lost:
        await world.ours.responses.create(model="talker", input="hello", conversation=conversation.id)
    assert lost.value.param == "conversation"
    assert (await world.ours.responses.retrieve(response.id)).output_text == "You said: hello"
