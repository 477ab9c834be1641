"""The official openai client works over the WebSocket of /v1/responses as with OpenAI: turn by turn, kept or not, and with every error told."""

import json

import anyio
import openai
import pytest
import websockets
from websockets.asyncio.client import connect

from tests.journeys.responses_world import PATIENCE, responses_world
from tests.journeys.running_gateway import running

ENDS = ("response.completed", "response.failed", "response.incomplete", "response.steer.failed", "error")
QUESTION = {"model": "talker", "input": "hello"}
LOOSE = {**QUESTION, "store": False}
STATELESS = """
server: {websockets: {most: 1}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker}
"""


@pytest.fixture
async def world(tmp_path):
    async with responses_world(tmp_path) as world:
        yield world


@pytest.fixture
async def socket(world):
    async with world.ours.responses.connect() as socket:
        yield socket


async def heard(socket):
    """The events until an answer ends."""
    events = []
    with anyio.fail_after(PATIENCE):
        while not events or events[-1].type not in ENDS:
            events.append(await socket.recv())
    return events


async def turn(socket, **asked):
    await socket.response.create(**asked)
    return await heard(socket)


async def answer(socket, **asked):
    events = await turn(socket, **asked)
    assert events[-1].type == "response.completed", events[-1]
    return events[-1].response


async def refusal(socket, **asked):
    [event] = await turn(socket, **asked)
    return event.status, event.error.code, event.error.param


async def raw(world, **options):
    """A WebSocket without a client's help."""
    address = world.gateway.url.replace("http", "ws") + "/v1/responses"
    return connect(address, additional_headers={"authorization": f"Bearer {world.keys['ours']}"}, **options)


async def closing(socket, told=None):
    """Read until the server closes: the code that it gives."""
    with anyio.fail_after(PATIENCE):
        try:
            while True:
                message = json.loads(await socket.recv())
                if told is not None:
                    told.append(message)
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code


async def test_the_events_are_those_of_a_stream(world, socket):
    over_http = await world.ours.responses.create(**QUESTION, stream=True)
    wanted = [event.type async for event in over_http]

    events = await turn(socket, **QUESTION)

    assert [event.type for event in events] == wanted
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "You said: hello"


async def test_a_kept_response_is_gone_on_from_on_any_connection(world, socket):
    first = await answer(socket, model="talker", input="count")
    async with world.ours.responses.connect() as other:
        second = await answer(other, model="talker", input="count", previous_response_id=first.id)
    third = await world.ours.responses.create(model="talker", input="count", previous_response_id=second.id)

    assert [each.output_text for each in (first, second, third)] == ["first", "second", "third"]
    assert second.previous_response_id == first.id


async def test_what_is_not_kept_is_gone_on_from_on_its_own_connection_alone(world, socket):
    first = await answer(socket, model="talker", input="count", store=False)
    events = await turn(socket, model="talker", input="count", store=False, previous_response_id=first.id)
    second = events[-1].response
    assert (second.output_text, second.store, second.previous_response_id) == ("second", False, first.id)
    assert events[0].response.previous_response_id == first.id
    third = await answer(socket, model="talker", input="count", previous_response_id=second.id)
    assert (third.output_text, third.store) == ("third", True)

    async with world.ours.responses.connect() as other:
        lost = await refusal(other, **LOOSE, previous_response_id=second.id)

    assert lost == (400, "previous_response_not_found", "previous_response_id")
    with pytest.raises(openai.NotFoundError):
        await world.ours.responses.retrieve(second.id)


async def test_a_call_of_a_function_is_answered_without_anything_being_kept(socket):
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    asked = {"model": "talker", "store": False, "tools": [tool]}
    first = await answer(socket, **asked, input="weather?")
    call = first.output[-1]

    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    second = await answer(socket, **asked, input=[result], previous_response_id=first.id)

    assert second.output_text == "It says: rain."


async def test_what_could_not_be_gone_on_from_is_forgotten(socket):
    first = await answer(socket, **LOOSE)
    await refusal(socket, model="nobody", input="x", store=False, previous_response_id=first.id)

    assert (await refusal(socket, **LOOSE, previous_response_id=first.id))[1] == "previous_response_not_found"


async def test_a_request_that_generates_nothing_is_gone_on_from(world, socket):
    world.gateway.forget()
    warm = await turn(socket, model="talker", input="count", store=False, generate=False)
    response = warm[-1].response
    assert [event.type for event in warm] == ["response.created", "response.in_progress", "response.completed"]
    assert (response.output, response.usage.total_tokens, response.store) == ([], 0, False)
    assert world.gateway.records == []

    second = await answer(socket, model="talker", input="and count", store=False, previous_response_id=response.id)

    assert (second.output_text, second.previous_response_id) == ("first", response.id)


async def test_streams_share_a_connection_and_fork(socket):
    for lane in ("planner", "critic.1"):
        await socket.response.create(model="talker", input="count", store=False, stream_id=lane)
    planned, criticized = await heard(socket), await heard(socket)
    forked = await turn(
        socket,
        model="talker",
        input="count",
        store=False,
        stream_id="third",
        previous_response_id=planned[-1].response.id,
    )
    on = await turn(
        socket,
        model="talker",
        input="count",
        store=False,
        stream_id="planner",
        previous_response_id=planned[-1].response.id,
    )

    assert [{event.stream_id for event in events} for events in (planned, criticized, forked, on)] == [
        {"planner"},
        {"critic.1"},
        {"third"},
        {"planner"},
    ]
    assert [events[-1].response.output_text for events in (forked, on)] == ["second", "second"]


async def test_an_error_leaves_the_connection_as_it_was(world, socket):
    unknown = await refusal(socket, model="nobody", input="x")
    foreign = (await world.theirs.responses.create(**QUESTION)).id
    theirs = await refusal(socket, **QUESTION, previous_response_id=foreign)
    background = await refusal(socket, **QUESTION, background=True)
    odd = await refusal(socket, **QUESTION, stream_id="not one")
    broken = (await turn(socket, model="talker", input="It breaks."))[-1]
    steered = await socket.response.steer(input="no", previous_response_id=foreign) or (await heard(socket))[-1]

    assert unknown == (404, "model_not_found", "model")
    assert theirs == (400, "previous_response_not_found", "previous_response_id")
    assert background == (400, "invalid_request", "background")
    assert odd == (400, "invalid_stream_id", "stream_id")
    assert (broken.type, broken.response.status) == ("response.failed", "failed")
    assert steered.error.code == "steering_not_supported"
    assert (await answer(socket, **QUESTION)).output_text == "You said: hello"


@pytest.mark.parametrize("sent", ["no json", "[]", '{"type": "session.update"}', '{"model": "talker", "input": "x"}'])
async def test_what_is_no_request_is_answered_with_an_error(world, sent):
    async with await raw(world) as socket:
        await socket.send(sent)
        told = json.loads(await socket.recv())

    assert (told["type"], told["status"]) == ("error", 400)


async def test_more_stream_ids_than_a_connection_has_are_refused(socket):
    for number in range(32):
        await turn(socket, **LOOSE, stream_id=f"lane-{number}")

    [refused] = await turn(socket, **LOOSE, stream_id="one-more")

    assert refused.error.code == "websocket_stream_limit_reached"


async def test_a_caller_without_a_key_gets_no_web_socket(world):
    async with openai.AsyncOpenAI(base_url=f"{world.gateway.url}/v1", api_key="sk-wrong") as client:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await client.responses.connect().enter()

    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_api_key"


async def test_a_key_that_is_revoked_asks_nothing_more(world, socket):
    assert (await answer(socket, **QUESTION)).status == "completed"
    keys = (await world.raw("GET", "/admin/keys", "owner")).json()["data"]
    [ours] = [key["id"] for key in keys if key["name"] == "ours"]
    assert (await world.raw("DELETE", f"/admin/keys/{ours}", "owner")).status_code == 200

    with anyio.fail_after(PATIENCE):
        while (await turn(socket, **QUESTION))[-1].type != "error":
            await anyio.sleep(0.02)

    assert (await refusal(socket, **QUESTION))[0] == 401


async def test_each_turn_is_a_call_with_its_record(world, socket):
    world.gateway.forget()
    await answer(socket, **LOOSE)
    await refusal(socket, model="nobody", input="x")

    records = world.gateway.records
    assert [(record.status, record.model, record.stream) for record in records] == [
        (200, "talker", True),
        (404, "nobody", True),
    ]


async def test_whoever_leaves_ends_the_response(world):
    async with world.ours.responses.connect() as socket:
        await socket.response.create(model="talker", input="endless")
        created = await socket.recv()

    assert (await world.ended(created.response.id)).status == "cancelled"
    with anyio.fail_after(PATIENCE):
        while not world.gateway.idle:
            await anyio.sleep(0.02)


async def test_too_many_messages_at_once_end_the_connection(world):
    async with await raw(world) as socket:
        for _ in range(30):
            await socket.send(json.dumps({"type": "response.create", "model": "talker", "input": "endless"}))
        assert await closing(socket) == 1008


async def test_a_message_over_the_limit_of_bodies_ends_the_connection(world):
    async with await raw(world) as socket:
        await socket.send(json.dumps({"type": "response.create", "model": "talker", "input": "x" * 70_000}))

        assert await closing(socket) == 1009


async def test_what_a_server_without_storage_remembers_is_gone_on_from(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {talker: {answers: [{when: {turn: 1}, say: again}, {say: once}]}}")
    async with (
        running(tmp_path, STATELESS) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client,
        client.responses.connect() as socket,
    ):
        first = await answer(socket, **QUESTION)
        second = await answer(socket, **QUESTION, previous_response_id=first.id)
        lost = await refusal(socket, **QUESTION, previous_response_id=first.id)
        with pytest.raises(websockets.InvalidStatus) as one_too_many:
            await client.responses.connect().enter()

    assert [first.output_text, second.output_text] == ["once", "again"]
    assert lost == (400, "previous_response_not_found", "previous_response_id")
    assert one_too_many.value.response.status_code == 503


@pytest.mark.parametrize(
    ("setting", "code"), [("idle_timeout: 0.1", None), ("lifetime: 0.1", "websocket_connection_limit_reached")]
)
async def test_an_idle_and_an_old_connection_are_closed_politely(tmp_path, setting, code):
    (tmp_path / "script.yaml").write_text("models: {talker: {answers: [{say: once}]}}")
    async with (
        running(tmp_path, STATELESS.replace("most: 1", setting)) as gateway,
        connect(gateway.url.replace("http", "ws") + "/v1/responses") as socket,
    ):
        told = []
        ended = await closing(socket, told)

    assert ended == 1000
    assert [message["error"]["code"] for message in told] == ([] if code is None else [code])


async def test_metrics_say_how_many_are_open(world):
    async def open_now():
        text = (await world.raw("GET", "/metrics", key="owner")).text
        [line] = [line for line in text.splitlines() if line.startswith("switchgear_websockets_open ")]
        return float(line.split()[1])

    async with world.ours.responses.connect() as socket:
        await answer(socket, **QUESTION)
        assert await open_now() == 1

    with anyio.fail_after(PATIENCE):
        while await open_now():
            await anyio.sleep(0.02)


async def test_they_can_be_switched_off(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {talker: {answers: [{say: once}]}}")
    async with running(tmp_path, STATELESS.replace("most: 1", "most: 0")) as gateway:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(gateway.url.replace("http", "ws") + "/v1/responses")

    assert refused.value.response.status_code == 426


@pytest.mark.parametrize(("seconds", "end"), [(10, "response.completed"), (0.1, "response.failed")])
async def test_a_server_that_goes_down_ends_what_is_idle_at_once_and_the_rest_when_it_has_its_answer(
    tmp_path, seconds, end
):
    (tmp_path / "script.yaml").write_text("models: {talker: {answers: [{say: one two three four five, pace: 0.1}]}}")
    async with (
        running(tmp_path, STATELESS.replace("most: 1", "most: 2"), drain_timeout=seconds) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client,
        client.responses.connect() as busy,
        connect(gateway.url.replace("http", "ws") + "/v1/responses") as idle,
    ):
        await busy.response.create(**QUESTION)
        assert (await busy.recv()).type == "response.created"
        gateway.server.begin_drain()
        assert await closing(idle) == 1012

        assert (await heard(busy))[-1].type == end
        with anyio.fail_after(PATIENCE), pytest.raises(websockets.ConnectionClosedError) as closed:
            await busy.recv()
        assert closed.value.rcvd.code == 1012
