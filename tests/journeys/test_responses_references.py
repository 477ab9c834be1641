"""Items of an `input` that are named instead of sent, as clients do that know that the server keeps them."""

import openai
import pytest

from tests.journeys.responses_world import responses_world


@pytest.fixture
async def world(tmp_path):
    async with responses_world(tmp_path) as world:
        yield world


def named(item_id):
    return {"type": "item_reference", "id": item_id}


@pytest.mark.parametrize("store", [True, False])
async def test_what_was_said_before_is_named_and_not_sent(world, store):
    first = await world.ours.responses.create(model="talker", input="count one")
    [asked] = (await world.ours.responses.input_items.list(first.id)).data

    second = await world.ours.responses.create(
        model="talker",
        input=[named(asked.id), {"id": first.output[0].id}, {"role": "user", "content": "count two"}],
        store=store,
    )

    assert (first.output_text, second.output_text) == ("first", "second"), "the model was given what was named"
    if store:
        kept = (await world.ours.responses.input_items.list(second.id, order="asc")).data
        assert [(item.id, item.type) for item in kept][:2] == [(asked.id, "message"), (first.output[0].id, "message")]


async def test_a_call_is_named_and_its_result_is_sent(world):
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    first = await world.ours.responses.create(model="talker", input="the weather", tools=[tool])
    call = first.output[-1]

    second = await world.ours.responses.create(
        model="talker",
        input=[
            {"role": "user", "content": "the weather"},
            *(named(item.id) for item in first.output),
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
        ],
        tools=[tool],
    )

    assert second.output_text == "It says: rain."


async def test_an_item_of_a_conversation_is_named(world):
    talk = await world.ours.conversations.create(items=[{"role": "user", "content": "Good day."}])
    [item] = (await world.ours.conversations.items.list(talk.id)).data

    said = await world.ours.responses.create(model="talker", input=[named(item.id)])
    counted = await world.raw(
        "POST", "/v1/responses/input_tokens", json={"model": "talker", "input": [named(item.id)] * 50}
    )

    assert said.output_text == "You said: Good day."
    assert counted.json()["input_tokens"] > 100


@pytest.mark.parametrize("store", [True, False])
async def test_nobody_names_what_is_anothers_or_never_was(world, store):
    mine = await world.ours.responses.create(model="talker", input="hello")
    hello = {"role": "user", "content": "hi"}

    for client, item_id in ((world.theirs, mine.output[0].id), (world.ours, "msg_none"), (world.ours, "x" * 200)):
        with pytest.raises(openai.NotFoundError) as refused:
            await client.responses.create(model="talker", input=[hello, named(item_id)], store=store)
        assert refused.value.body["param"] == "input[1]"
    deleted = await world.raw("DELETE", f"/v1/responses/{mine.id}")
    assert deleted.status_code == 200
    with pytest.raises(openai.NotFoundError):
        await world.ours.responses.create(model="talker", input=[named(mine.output[0].id)], store=store)


@pytest.mark.parametrize("entry", [{"type": "item_reference"}, {"type": "item_reference", "id": 7}])
async def test_a_name_that_is_none_is_refused(world, entry):
    refused = await world.raw("POST", "/v1/responses", json={"model": "talker", "input": [entry]})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input[0].id")


async def test_naming_something_often_keeps_no_more_than_a_model_is_given(tmp_path):
    """A name has fifty bytes, and what it names may have a thousand times that: a request of some kilobytes must not fill the database."""
    async with responses_world(tmp_path, runs="runs: {context_bytes: 100000}") as world:
        kept = await world.ours.responses.create(model="talker", input="word " * 4000)
        [item] = (await world.ours.responses.input_items.list(kept.id)).data
        for background in (True, False):
            refused = await world.raw(
                "POST",
                "/v1/responses",
                json={"model": "talker", "input": [named(item.id)] * 50, "background": background},
            )
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")

        twice = await world.ours.responses.create(model="talker", input=[named(item.id)] * 2)
        assert twice.status == "completed"
