"""The official openai client compacts a long conversation and goes on, with a model that has nothing of the kind."""

import json

import openai
import pytest

import tests.journeys.responses_world as world_of
from gateway.agents import unfolding
from tests.journeys.responses_world import responses_world

NOTES = "NOTES: it is about relays"
WRITES = f"""    answers:
      - when: {{contains: Write the notes}}
        say: "{NOTES}"
        usage: {{input: 50, output: 7}}
"""
LONG = "word " * 1200
WANTED = [{"type": "compaction", "compact_threshold": 1000}]
TALK = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": LONG}]


def back(items):
    """Items as a client sends them back: as it got them."""
    return [item.model_dump(exclude_unset=True, warnings=False) for item in items]


@pytest.fixture
async def world(tmp_path, monkeypatch):
    models = (
        "models: {talker: play/talker, small: {targets: [{provider: play, model: talker, abilities: {context: 1000}}]}}"
    )
    monkeypatch.setattr(world_of, "CONFIG", world_of.CONFIG.replace("models: {talker: play/talker}", models))
    monkeypatch.setattr(world_of, "SCRIPT", world_of.SCRIPT.replace("    answers:\n", WRITES, 1))
    async with responses_world(tmp_path) as world:
        # The client's own types have no word for a user's message in a compaction, which its documentation promises.
        world.lenient = openai.AsyncOpenAI(
            base_url=f"{world.gateway.url}/v1", api_key=world.keys["ours"], max_retries=0
        )
        yield world
        await world.lenient.close()


async def test_a_conversation_is_compacted_and_gone_on_from(world):
    made = await world.lenient.responses.compact(model="talker", input=TALK, instructions="Be kind.")
    for store in (True, False):
        went_on = await world.ours.responses.create(model="talker", input=back(made.output), store=store)
        assert went_on.output_text.endswith(NOTES), "the notes are what the model reads last"

    assert (made.object, [item.type for item in made.output]) == ("response.compaction", ["message", "compaction"])
    assert (made.usage.input_tokens, made.usage.output_tokens) == (50, 7)
    assert LONG not in made.output[-1].encrypted_content


async def test_it_goes_on_from_a_kept_response(world):
    kept = await world.ours.responses.create(model="talker", input="What is a relay?")
    made = await world.lenient.responses.compact(model="talker", previous_response_id=kept.id)

    assert made.output[0].content[0].text == "What is a relay?"
    with pytest.raises(openai.NotFoundError):
        await world.theirs.responses.compact(model="talker", previous_response_id=kept.id)
    with pytest.raises(openai.NotFoundError):
        await world.ours.responses.retrieve(made.id)


async def test_only_who_compacted_can_go_on_and_only_with_what_he_got(world):
    made = await world.lenient.responses.compact(model="talker", input=TALK)
    damaged = {"type": "compaction", "encrypted_content": made.output[-1].encrypted_content[:-5]}

    for client, input_ in ((world.theirs, back(made.output)), (world.ours, [TALK[0], damaged])):
        for store in (True, False):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model="talker", input=input_, store=store)
            assert refused.value.body["param"] == "input[1].encrypted_content"


@pytest.mark.parametrize("store", [True, False])
async def test_a_stream_says_when_it_is_compacted(world, store):
    stream = await world.ours.responses.create(
        model="talker",
        input=[*TALK, {"role": "user", "content": "now"}],
        context_management=WANTED,
        stream=True,
        store=store,
    )
    events = [event async for event in stream]
    response = events[-1].response

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.item.type for event in events if event.type == "response.output_item.done"] == [
        "compaction",
        "message",
    ]
    assert (response.output_text, response.usage.input_tokens) == ("You said: now", 56)
    pruned = [response.output[0], {"role": "user", "content": "What did I ask first?"}]
    again = await world.ours.responses.create(model="talker", input=pruned, store=store)
    assert again.output_text == "You said: What did I ask first?"


@pytest.mark.parametrize("store", [True, False])
async def test_what_does_not_fit_is_left_out_where_that_is_wanted(world, store):
    given = [
        {"role": "user", "content": "count " + LONG},
        {"role": "assistant", "content": "hm"},
        {"role": "user", "content": "count"},
    ]
    for truncation, answer in (("auto", "first"), ("disabled", "second")):
        said = await world.ours.responses.create(model="small", input=given, truncation=truncation, store=store)
        assert (said.output_text, said.truncation, said.store) == (answer, truncation, store)


async def test_each_of_its_calls_is_in_the_ledger(world):
    made = await world.raw("POST", "/v1/responses/compact", json={"model": "talker", "input": TALK})
    call = made.headers["x-switchgear-call-id"]
    world.gateway.application.recorder.flush()
    found = await world.raw("GET", f"/admin/calls/{call}", key="owner")

    assert (found.status_code, made.status_code) == (200, 200)
    assert (found.json()["input"], found.json()["output"]) == (50, 7)


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "none", "input": "x"}, 404, "model"),
        ({"input": "x"}, 400, "model"),
        ({"model": "talker"}, 400, "input"),
        ({"model": "talker", "input": []}, 400, "input"),
        ({"model": "talker", "input": "x", "stream": True}, 400, "stream"),
        ({"model": "talker", "input": [{"type": "message"}]}, 400, "input[0].role"),
        ({"model": "talker", "previous_response_id": "resp_none"}, 404, "previous_response_id"),
    ],
)
async def test_what_cannot_be_compacted_is_refused_by_name(world, fields, status, param):
    refused = await world.raw("POST", "/v1/responses/compact", json=fields)

    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)


async def test_the_same_body_is_never_taken_for_a_request_of_the_other_kind(world):
    body = json.dumps({"model": "talker", "input": "hello", "store": False}).encode()
    headers = {"content-type": "application/json"}

    answers = [
        (await world.raw("POST", path, content=body, headers=headers)).json()["object"]
        for path in ("/v1/responses", "/v1/responses/compact") * 2
    ]

    assert answers == ["response", "response.compaction"] * 2


async def test_many_small_items_that_hold_much_are_not_opened(world, monkeypatch):
    """What is sealed is packed: a body of some megabytes must not hold the server up for minutes."""
    monkeypatch.setattr(unfolding, "MOST_OPENED", 50_000)
    talk = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": LONG},
        {"role": "user", "content": "now"},
    ]
    made = await world.raw(
        "POST", "/v1/responses", json={"model": "talker", "input": talk, "context_management": WANTED, "store": False}
    )
    [compacted] = [item for item in made.json()["output"] if item["type"] == "compaction"]
    for count, status in ((5, 200), (20, 400)):
        for path, more in (("", {"store": True}), ("", {"store": False}), ("/input_tokens", {})):
            told = await world.raw(
                "POST", f"/v1/responses{path}", json={"model": "talker", "input": [compacted] * count, **more}
            )
            assert (told.status_code, told.json().get("error") and told.json()["error"]["code"]) == (
                status,
                "context_length_exceeded" if status == 400 else None,
            )

    assert len(compacted["encrypted_content"]) < 1000
