"""The official openai client has its responses kept as with OpenAI: stored, gone on from, in the background, resumed, cancelled, deleted."""

import json

import anyio
import openai
import pytest

from tests.journeys.responses_world import ENDED, PATIENCE, responses_world

STRICT = (
    "background", "created_at", "frequency_penalty", "id", "metadata", "model", "object", "output", "parallel_tool_calls", "presence_penalty",
    "service_tier", "status", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation",
)  # fmt: skip
"""What strict clients want non-null in every response, whatever was asked and however far it is."""
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
async def world(tmp_path):
    async with responses_world(tmp_path) as world:
        yield world


def strictly(document):
    """A document in which no strict field is null."""
    assert [name for name in STRICT if document.get(name) is None] == []
    for item in document["output"]:
        assert item["id"]
        if item["type"] in ("message", "function_call"):
            assert item["status"]
    for tool in document["tools"]:
        assert {"strict", "description"} <= tool.keys()
    return document


async def document_of(world, response_id):
    return strictly((await world.raw("GET", f"/v1/responses/{response_id}")).json())


async def test_a_response_is_kept_and_found_again(world):
    made = await world.ours.responses.create(
        model="talker", input="hello", metadata={"job": "nightly"}, temperature=0.5
    )

    found = await world.ours.responses.retrieve(made.id)

    assert made.id.startswith("resp_")
    assert (made.status, made.output_text, made.store, made.background) == ("completed", "You said: hello", True, False)
    assert found.model_dump() == made.model_dump()
    assert (found.metadata, found.temperature, found.usage.input_tokens, found.usage.output_tokens) == (
        {"job": "nightly"},
        0.5,
        6,
        4,
    )
    await document_of(world, made.id)


async def test_what_is_not_to_be_kept_is_not(world):
    made = await world.ours.responses.create(model="talker", input="hello", store=False)
    kept = await world.ours.responses.create(model="talker", input="count one")
    going_on = await world.ours.responses.create(
        model="talker", input="count two", store=False, previous_response_id=kept.id
    )

    assert (made.store, going_on.store, going_on.output_text) == (False, False, "second")
    for response in (made, going_on):
        with pytest.raises(openai.NotFoundError):
            await world.ours.responses.retrieve(response.id)


async def test_a_response_goes_on_from_another(world):
    first = await world.ours.responses.create(model="talker", input="count one")
    second = await world.ours.responses.create(model="talker", input="count two", previous_response_id=first.id)
    third = await world.ours.responses.create(model="talker", input="count three", previous_response_id=second.id)
    beside = await world.ours.responses.create(model="talker", input="count again", previous_response_id=first.id)

    said = [response.output_text for response in (first, second, third, beside)]
    assert said == ["first", "second", "third", "second"]
    assert (first.previous_response_id, third.previous_response_id) == (None, second.id)


async def test_a_tools_result_is_enough_to_go_on(world):
    asked = await world.ours.responses.create(
        model="talker", input="the weather?", tools=[TOOL], include=["reasoning.encrypted_content"]
    )
    call = next(item for item in asked.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Delft"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}

    answered = await world.ours.responses.create(
        model="talker", input=[result], tools=[TOOL], previous_response_id=asked.id
    )

    assert answered.output_text == "It says: rain."
    await document_of(world, asked.id)


async def test_instructions_are_not_inherited(world):
    first = await world.ours.responses.create(model="talker", input="hello", instructions="Be brief.")
    second = await world.ours.responses.create(model="talker", input="hello", previous_response_id=first.id)

    assert (first.instructions, second.instructions) == ("Be brief.", None)


async def test_a_background_response_is_asked_for_until_it_has_ended(world):
    queued = await world.ours.responses.create(model="talker", input="slow please", background=True)
    assert (queued.status, queued.background, queued.output) == ("queued", True, [])
    seen = {(await document_of(world, queued.id))["status"]}

    with anyio.fail_after(PATIENCE):
        while seen.isdisjoint(ENDED):
            seen.add((await document_of(world, queued.id))["status"])
            await anyio.sleep(0.02)

    assert seen <= {"queued", "in_progress", "completed"}
    response = await world.ours.responses.retrieve(queued.id)
    assert response.output_text == "one two three four five six seven eight"


@pytest.mark.parametrize("background", [False, True])
async def test_a_stream_is_kept_event_by_event(world, background):
    stream = await world.ours.responses.create(
        model="talker",
        input="the weather?",
        tools=[TOOL],
        stream=True,
        background=background,
        stream_options={"include_obfuscation": False},
    )
    events = [event async for event in stream]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    name = events[0].response.id
    again = [event async for event in await world.ours.responses.retrieve(name, stream=True)]
    assert [event.model_dump() for event in again] == [event.model_dump() for event in events]
    assert (await world.ours.responses.retrieve(name)).model_dump() == events[-1].response.model_dump()
    for event in events:
        if hasattr(event, "response"):
            strictly(event.response.model_dump())


async def test_a_background_stream_cut_off_anywhere_is_resumed_without_a_gap(world):
    body = {"model": "talker", "input": "the weather?", "tools": [TOOL], "background": True, "stream": True}
    whole = await world.stream("POST", "/v1/responses", json=body)
    names = [name for name, _ in whole]
    assert len(whole) > 8

    for cut in range(len(whole) + 1):
        start = await world.stream("POST", "/v1/responses", json=body, most=max(cut, 1))
        name, last = start[0][1]["response"]["id"], start[cut - 1][1]["sequence_number"] if cut else -1
        after = f"&starting_after={last}" if cut else ""
        with anyio.fail_after(PATIENCE):
            rest = await world.stream("GET", f"/v1/responses/{name}?stream=true{after}")

        joined = start[:cut] + rest
        assert [data["sequence_number"] for _, data in joined] == list(range(len(whole)))
        assert [kind for kind, _ in joined] == names
        assert joined == await world.stream("GET", f"/v1/responses/{name}?stream=true")


async def test_who_leaves_before_the_first_event_leaves_no_response_behind_that_waits_for_ever(world):
    body = {"model": "talker", "input": "slow", "background": True, "stream": True}
    async with world.http.stream(
        "POST", "/v1/responses", json=body, headers={"authorization": f"Bearer {world.keys['ours']}"}
    ):
        pass
    found = await world.gateway.application.governance.kept.runs.list(None)

    assert [run.background for run in found] == [True]
    assert (await world.ended(found[0].id)).status == "completed"


async def test_who_leaves_what_they_wait_for_cancels_it(world):
    start = await world.stream(
        "POST", "/v1/responses", json={"model": "talker", "input": "endless", "stream": True}, most=3
    )

    response = await world.ended(start[0][1]["response"]["id"])

    assert response.status == "cancelled"
    await document_of(world, response.id)


async def test_who_looks_on_and_leaves_changes_nothing(world):
    made = await world.ours.responses.create(model="talker", input="endless", background=True)

    seen = await world.stream("GET", f"/v1/responses/{made.id}?stream=true", most=3)

    assert [data["sequence_number"] for _, data in seen] == [0, 1, 2]
    with anyio.fail_after(PATIENCE):
        while world.gateway.application.edge.in_progress:
            await anyio.sleep(0.01)
    assert (await world.ours.responses.retrieve(made.id)).status == "in_progress"
    await world.ours.responses.cancel(made.id)


async def test_several_look_on_at_once_and_read_the_same(world):
    made = await world.ours.responses.create(model="talker", input="slow", background=True)
    read = {}

    async def look_on(number):
        read[number] = await world.stream("GET", f"/v1/responses/{made.id}?stream=true")

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(look_on, number)

    assert len(read[0]) > 10
    assert [events == read[0] for events in read.values()] == [True] * 5


async def test_a_background_response_is_cancelled(world):
    made = await world.ours.responses.create(model="talker", input="endless", background=True)
    with anyio.fail_after(PATIENCE):
        while (await world.ours.responses.retrieve(made.id)).status != "in_progress":
            await anyio.sleep(0.02)

    cancelled = await world.ours.responses.cancel(made.id)

    assert (cancelled.status, cancelled.id) == ("cancelled", made.id)
    assert (await world.ours.responses.cancel(made.id)).status == "cancelled"
    await document_of(world, made.id)
    events = [event async for event in await world.ours.responses.retrieve(made.id, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.incomplete"


async def test_only_what_nobody_waits_for_can_be_cancelled(world):
    made = await world.ours.responses.create(model="talker", input="hello")

    with pytest.raises(openai.ConflictError):
        await world.ours.responses.cancel(made.id)


@pytest.mark.parametrize("text", ["hello", "endless"])
async def test_a_response_is_deleted_be_it_at_work(world, text):
    made = await world.ours.responses.create(model="talker", input=text, background=True)
    kept = await world.ended(made.id) if text == "hello" else made

    assert (await world.raw("DELETE", f"/v1/responses/{kept.id}")).json() == {
        "id": made.id,
        "object": "response",
        "deleted": True,
    }

    for attempt in (world.ours.responses.retrieve, world.ours.responses.delete, world.ours.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            await attempt(made.id)
    with pytest.raises(openai.NotFoundError) as lost:
        await world.ours.responses.create(model="talker", input="go on", previous_response_id=made.id)
    assert lost.value.param == "previous_response_id"


async def test_what_was_asked_is_listed_in_pages(world):
    asked = [{"role": "user", "content": str(number)} for number in range(25)]
    made = await world.ours.responses.create(model="talker", input=asked)

    listed = [
        item
        async for item in world.ours.responses.input_items.list(
            made.id, order="asc", limit=10, include=["message.output_text.logprobs"]
        )
    ]
    latest = await world.ours.responses.input_items.list(made.id)

    assert [item.content[0].text for item in listed] == [str(number) for number in range(25)]
    assert len({item.id for item in listed}) == 25
    assert [item.content[0].text for item in latest.data] == [str(number) for number in range(24, 4, -1)]
    assert (latest.has_more, latest.first_id, latest.last_id) == (True, listed[24].id, listed[5].id)


async def test_a_plain_text_is_one_item(world):
    made = await world.ours.responses.create(model="talker", input="hello")

    (item,) = (await world.ours.responses.input_items.list(made.id)).data

    assert (item.type, item.role, item.status, item.content[0].type, item.content[0].text) == (
        "message",
        "user",
        "completed",
        "input_text",
        "hello",
    )


async def test_what_fails_before_it_begins_is_an_error_and_not_kept(world):
    with pytest.raises(openai.BadRequestError, match=r"Too odd\."):
        await world.ours.responses.create(model="talker", input="status400")

    assert await world.gateway.application.governance.kept.runs.list(None) == []


async def test_what_fails_in_the_background_says_so_in_its_document(world):
    made = await world.ours.responses.create(model="talker", input="status400", background=True)

    response = await world.ended(made.id)

    assert (response.status, response.error.message) == ("failed", "Too odd.")
    await document_of(world, made.id)


async def test_what_breaks_off_ends_as_failed_and_can_be_gone_on_from(world):
    made = await world.ours.responses.create(model="talker", input="breaks", background=True)
    response = await world.ended(made.id)
    events = [event async for event in await world.ours.responses.retrieve(made.id, stream=True)]

    assert (response.status, events[-1].type) == ("failed", "response.failed")
    assert (
        await world.ours.responses.create(model="talker", input="hello", previous_response_id=made.id)
    ).output_text == "You said: hello"


async def test_a_response_that_has_not_ended_cannot_be_gone_on_from(world):
    made = await world.ours.responses.create(model="talker", input="endless", background=True)

    with pytest.raises(openai.ConflictError) as early:
        await world.ours.responses.create(model="talker", input="go on", previous_response_id=made.id)

    assert early.value.param == "previous_response_id"
    await world.ours.responses.cancel(made.id)


async def test_every_answer_says_which_call_it_was_and_who_answered(world):
    answered = await world.raw("POST", "/v1/responses", json={"model": "talker", "input": "hello"})

    assert answered.headers["x-switchgear-target"] == "play/talker"
    (record,) = [record for record in world.gateway.records if record.model == "talker"]
    assert (record.id, record.run) == (answered.headers["x-switchgear-call-id"], answered.json()["id"])


async def test_the_time_that_a_model_takes_is_no_overhead(world):
    answered = await world.raw("POST", "/v1/responses", json={"model": "talker", "input": "slow"})

    (record,) = [record for record in world.gateway.records if record.model == "talker"]
    assert record.duration > 1.0
    assert float(answered.headers["x-switchgear-overhead-ms"]) < 1000


async def test_who_deletes_and_cancels_is_in_the_audit_log(world):
    made = await world.ours.responses.create(model="talker", input="endless", background=True)
    await world.ours.responses.cancel(made.id)
    await world.ours.responses.delete(made.id)
    conversation = await world.ours.conversations.create()
    await world.ours.conversations.delete(conversation.id)

    with anyio.fail_after(PATIENCE):
        while True:
            log = (await world.raw("GET", "/admin/audit", key="owner", params={"limit": 100})).json()
            noted = {(entry["action"], entry["about"]["id"]) for entry in log["data"]}
            if ("conversation.deleted", conversation.id) in noted:
                break
            await anyio.sleep(0.02)

    assert {("response.cancelled", made.id), ("response.deleted", made.id)} <= noted


async def test_without_the_setting_nothing_is_kept(tmp_path):
    async with responses_world(tmp_path, runs="") as world:
        made = await world.ours.responses.create(model="talker", input="hello")

        assert made.store is False
        with pytest.raises(openai.BadRequestError, match="`runs`"):
            await world.ours.responses.create(model="talker", input="hello", previous_response_id=made.id)
        for lost in (world.ours.responses.retrieve(made.id), world.ours.conversations.create()):
            with pytest.raises(openai.NotFoundError, match="`runs`"):
                await lost
        assert (await world.ours.responses.input_tokens.count(model="talker", input="hello")).input_tokens > 0
