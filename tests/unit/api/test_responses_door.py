"""What is to be kept goes to the desk, and everything else the way of all calls; what the client reads is the same in both."""

import json
from typing import get_args

import anyio
import pytest

from gateway.api import input_tokens, responses
from gateway.api.pages import Includable
from gateway.app import Application
from gateway.config import load
from gateway.core.errors import Conflict, Unavailable, UpstreamBroken
from gateway.dialects.openai_responses.decode_call import INCLUDABLE
from gateway.loading import Loader
from tests.unit.api.run_desk_double import Answered, DeskDouble, ask, events_of

PATH = "/v1/responses"
BODY = {"model": "demo", "input": "hello"}
STREAM = events_of("response.created", "response.in_progress", "response.completed")


@pytest.fixture
def application(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {demo: {answers: [{say: 'You said: {input}'}]}}")
    config = tmp_path / "c.yaml"
    config.write_text("providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {demo: s/demo}\n")

    return Application(load(config, {}), Loader(config, dict), config_path=config)


@pytest.fixture
def records(application):
    kept = []
    application.recorder._sinks = (kept.extend,)
    return lambda: (application.recorder.flush(), kept)[1]


async def post(application, desk, fields, **more):
    return await ask(responses.endpoint(application.edge, desk), "POST", PATH, {**BODY, **fields}, **more)


@pytest.mark.parametrize(
    "fields",
    [
        {"store": False},
        {"store": False, "previous_response_id": None, "background": False},
        {"store": False, "metadata": {str(number): "" for number in range(20)}},
    ],
)
async def test_what_is_not_kept_goes_the_way_of_all_calls(application, fields):
    desk = DeskDouble()

    answered = await post(application, desk, fields)

    assert (answered.status, answered.json()["store"], desk.drafts) == (200, False, [])
    assert answered.json()["output"][0]["content"][0]["text"] == "You said: hello"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"store": True},
        {"store": None},
        {"store": False, "previous_response_id": "resp_1"},
        {"store": False, "conversation": "conv_1"},
    ],
)
async def test_all_others_go_to_the_desk(application, fields):
    desk = DeskDouble(*STREAM)

    answered = await post(application, desk, fields)

    (draft,) = desk.drafts
    assert (answered.status, answered.json()) == (200, {"id": "resp_0", "object": "response", "status": "completed"})
    assert (draft.model, draft.fields, draft.caller.id) == ("demo", {**BODY, **fields}, "anonymous")
    assert answered.headers[b"x-switchgear-call-id"] == draft.call.encode()
    assert answered.headers[b"x-switchgear-target"] == b"play/demo"
    assert float(answered.headers[b"x-switchgear-overhead-ms"]) >= 0


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, 400, "previous_response_id"),
        ({"previous_response_id": 7}, 400, "previous_response_id"),
        ({"previous_response_id": ""}, 404, "previous_response_id"),
        ({"previous_response_id": "x" * 129}, 404, "previous_response_id"),
        ({"previous_response_id": "resp_1\n"}, 404, "previous_response_id"),
        ({"conversation": {"id": 7}}, 400, "conversation.id"),
        ({"conversation": {}}, 400, "conversation.id"),
        ({"conversation": []}, 400, "conversation"),
        ({"conversation": {"id": "../conv"}}, 404, "conversation"),
        ({"background": True, "store": False}, 400, "background"),
        ({"background": "yes"}, 400, "background"),
        ({"store": "no"}, 400, "store"),
        ({"stream": 1}, 400, "stream"),
        ({"stream_options": {"include_obfuscation": "no"}}, 400, "stream_options.include_obfuscation"),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
        ({"metadata": {"x" * 65: ""}}, 400, "metadata"),
        ({"metadata": {"x": "y" * 513}}, 400, "metadata.x"),
        ({"metadata": {"x": 1}}, 400, "metadata.x"),
        ({"model": "absent"}, 404, "model"),
        ({"cache": {"mode": "sometimes"}}, 400, "cache.mode"),
    ],
)
async def test_a_wrong_envelope_never_reaches_the_desk_and_is_on_record(application, records, fields, status, param):
    desk = DeskDouble(*STREAM)

    answered = await post(application, desk, fields)

    assert (answered.status, answered.json()["error"]["param"], desk.drafts) == (status, param, [])
    assert answered.headers[b"x-switchgear-call-id"].startswith(b"call_")
    assert [record.status for record in records()] == [status]


async def test_padding_may_be_asked_for(application):
    desk = DeskDouble(*STREAM)

    answered = await post(application, desk, {"stream": True, "stream_options": {"include_obfuscation": True}})

    assert answered.numbers == [0, 1, 2]


async def test_a_stream_is_the_events_of_the_run_and_an_end(application):
    answered = await post(application, DeskDouble(*STREAM), {"stream": True})

    assert (answered.status, answered.complete) == (200, True)
    assert answered.headers[b"content-type"].startswith(b"text/event-stream")
    assert answered.headers[b"x-switchgear-target"] == b"play/demo"
    assert answered.body == b"".join(b"event: %b\ndata: %b\n\n" % (one.name.encode(), one.data) for one in STREAM)


async def test_an_error_before_the_first_event_has_its_status(application):
    desk = DeskDouble(Conflict("That one runs.", param="previous_response_id"))

    answered = await post(application, desk, {"stream": True})

    assert (answered.status, answered.json()["error"]["param"]) == (409, "previous_response_id")


async def test_an_error_amid_a_stream_does_not_take_a_number_of_its_own(application):
    """Who goes on after its number misses nothing."""
    answered = await post(application, DeskDouble(*STREAM[:2], UpstreamBroken("It broke.")), {"stream": True})

    assert (answered.numbers, answered.complete) == ([0, 1, 1], True)
    said = json.loads(answered.body.strip().splitlines()[-1][6:])
    assert (said["type"], said["code"], said["message"]) == ("error", "server_error", "It broke.")


async def test_nothing_follows_the_end_of_a_response(application):
    """A server that goes down has the run end as failed; the stream then has its end already."""
    desk = DeskDouble(*events_of("response.created", "response.failed"), Unavailable("Shutting down."))

    answered = await post(application, desk, {"stream": True})

    assert (answered.numbers, answered.complete) == ([0, 1], True)
    assert b"event: error" not in answered.body


@pytest.mark.parametrize(("model_asked", "recorded"), [(True, 0), (False, 1)])
async def test_what_fails_before_a_model_is_asked_is_recorded_here(application, records, model_asked, recorded):
    desk = DeskDouble(Conflict("That one runs."), model_asked=model_asked)

    await post(application, desk, {})

    assert [record.error for record in records()] == ["conflict"] * recorded


async def test_a_background_response_is_answered_before_anything_happens(application):
    desk = DeskDouble(*STREAM)

    answered = await post(application, desk, {"background": True})

    assert answered.json() == {"id": "resp_0", "object": "response", "status": "queued"}


async def test_a_background_response_may_be_watched_from_its_first_event(application):
    answered = await post(application, DeskDouble(*STREAM), {"background": True, "stream": True})

    assert (answered.numbers, answered.complete) == ([0, 1, 2], True)


@pytest.mark.parametrize(("background", "cancelled"), [(True, 0), (False, 1)])
async def test_who_leaves_ends_only_what_they_wait_for(application, background, cancelled):
    desk = DeskDouble(*STREAM[:1])
    desk.follow_on = anyio.Event()
    answered = Answered()

    async with anyio.create_task_group() as tasks:

        async def leave():
            while not answered.numbers:
                await anyio.lowlevel.checkpoint()
            answered.departure.leave()

        tasks.start_soon(leave)
        with anyio.fail_after(5):
            await post(application, desk, {"background": background, "stream": True}, client=answered)

    assert len(desk.cancelled) == cancelled
    assert (answered.complete, application.edge.in_progress) == (False, {})


async def test_a_server_that_goes_down_tells_who_is_watching(application):
    desk = DeskDouble(*STREAM[:1])
    desk.follow_on = anyio.Event()
    answered = Answered()

    async with anyio.create_task_group() as tasks:

        async def go_down():
            while not answered.numbers:
                await anyio.lowlevel.checkpoint()
            application.end_streams()

        tasks.start_soon(go_down)
        with anyio.fail_after(5):
            await post(application, desk, {"background": True, "stream": True}, client=answered)

    assert (answered.numbers, answered.complete) == ([0, 0], True)
    assert b"event: error" in answered.body


async def test_what_is_asked_of_the_cache_is_kept_with_the_request(application):
    desk = DeskDouble(*STREAM)
    headers = [(b"cache-control", b"no-store"), (b"x-switchgear-cache-namespace", b"mine")]

    await post(application, desk, {"cache": {"ttl": 60}}, headers=headers)

    assert desk.drafts[0].fields["cache"] == {"mode": "off", "ttl": 60.0, "namespace": "mine"}


async def test_a_model_that_may_not_be_used_is_refused_before_it_is_queued(application, monkeypatch):
    desk = DeskDouble(*STREAM)
    generation = application.edge.current()
    identity = generation.identity
    caller = (await identity.identify([], ("127.0.0.1", 1))).__class__(id="narrow", models=("other",))
    monkeypatch.setattr(identity, "caller", lambda *_: caller)

    answered = await post(application, desk, {"background": True})

    assert (answered.status, answered.json()["error"]["param"], desk.drafts) == (403, "model", [])


@pytest.mark.parametrize("stored", [True, False])
async def test_input_is_counted_before_it_is_sent(application, stored):
    desk = DeskDouble() if stored else None

    answered = await ask(input_tokens.endpoint(application.edge, desk), "POST", input_tokens.PATH, BODY)

    assert answered.status == 200
    assert answered.json().keys() == {"object", "input_tokens"}
    assert answered.json()["object"] == "response.input_tokens"
    assert answered.json()["input_tokens"] > 0


async def test_what_a_request_goes_on_from_is_counted_too(application):
    endpoint = input_tokens.endpoint(application.edge, DeskDouble())

    alone = await ask(endpoint, "POST", input_tokens.PATH, {"model": "demo", "input": "five"})
    whole = await ask(
        endpoint, "POST", input_tokens.PATH, {"model": "demo", "input": "five", "previous_response_id": "resp_0"}
    )

    assert whole.json()["input_tokens"] > alone.json()["input_tokens"]


async def test_without_a_desk_there_is_nothing_to_go_on_from(application):
    endpoint = input_tokens.endpoint(application.edge)

    answered = await ask(endpoint, "POST", input_tokens.PATH, {**BODY, "previous_response_id": "resp_0"})

    assert (answered.status, answered.json()["error"]["param"]) == (400, "previous_response_id")
    assert "`runs`" in answered.json()["error"]["message"]


def test_what_may_be_included_is_the_same_in_requests_and_queries():
    assert get_args(Includable) == INCLUDABLE
