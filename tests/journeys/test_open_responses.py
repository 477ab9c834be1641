"""The Open Responses specification (2026-04-24) holds for every kind of upstream, whether answers are kept or not, streamed or not.

What its acceptance tests ask for, in words of our own, and the rules of the text around them. The upstream is a second gateway that
plays a script.
"""

import json

import httpx2
import pytest

from tests.journeys.open_responses import TEXT, ask, fits, listen
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    answers:
      - when: {contains: weather, turn: 0}
        say: Let me look.
        call: [{tool: get_weather, arguments: {location: "San Francisco, CA"}}]
      - {when: {after_tool: get_weather}, say: "It is {tool_result}."}
      - {when: {contains: in the picture}, say: A red square.}
      - {when: {contains: title of the file}, say: A title.}
      - {when: {contains: as JSON}, say: '{"city": "Paris"}'}
      - {when: {contains: shorten}, say: Not the whole, finish: length}
      - {when: {contains: breaks off}, say: one two three four, pace: 0.02, fail: {broken: true, after_deltas: 2}}
      - {when: {contains: refused, turn: 0}, fail: {status: 400, message: Too odd.}}
      - {when: {contains: code word, turn: 1}, say: You said papaya.}
      - {say: "You said: {input}", usage: {input: 5, cache_read: 6, output: 7}}
"""
BACK = """
providers: {play: {kind: scripted, document: script.yaml}}
routing: {retry: {attempts: 1}, breaker: {failures: 10000, least: 1000000}}
models: {talker: play/talker}
"""
FRONT = """
database: {{kind: sqlite, path: data/switchgear.db}}
access: {{pepper: env:PEPPER}}
runs: {{poll: 0.1}}
providers:
  play: {{kind: scripted, document: script.yaml}}
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 10000, least: 1000000}}}}
models:
  scripted: play/talker
  chat: {{targets: [{{provider: chat, model: talker}}], on_unsupported: drop}}
  responses: {{targets: [{{provider: responses, model: talker}}], on_unsupported: drop}}
  messages: {{targets: [{{provider: messages, model: talker}}], on_unsupported: drop}}
"""
ENVIRON = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough", "BACK_KEY": "a-key-for-the-back"}
KEPT, LOOSE = {}, {"store": False}

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather now",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FILE = "data:application/pdf;base64,JVBERi0xLjEKMSAwIG9iago8PCA+PgplbmRvYmoKJSVFT0Y="


def said(role, content):
    return {"type": "message", "role": role, "content": content}


ASKED = {
    "a message": {"input": [said("user", "Say hello in three words.")]},
    "a string": {"input": "Say hello."},
    "a system prompt": {"input": [said("system", "Talk like a sailor."), said("user", "Say hello.")]},
    "a developer's prompt": {"input": [said("developer", "Be brief."), said("user", "Say hello.")]},
    "several turns": {"input": [said("user", "I am Ann."), said("assistant", "Hello Ann!"), said("user", "Who am I?")]},
    "a picture": {
        "input": [
            said(
                "user",
                [
                    {"type": "input_text", "text": "What is in the picture?"},
                    {"type": "input_image", "image_url": PIXEL},
                ],
            )
        ]
    },
    "a file": {
        "input": [
            said(
                "user",
                [
                    {"type": "input_text", "text": "Give the title of the file."},
                    {"type": "input_file", "filename": "small.pdf", "file_data": FILE},
                ],
            )
        ]
    },
    "every setting": {
        "input": "The city, as JSON.",
        "instructions": "Be exact.",
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "max_output_tokens": 64,
        "max_tool_calls": 3,
        "parallel_tool_calls": False,
        "metadata": {"job": "nightly"},
        "reasoning": {"effort": "low"},
        "safety_identifier": "someone",
        "prompt_cache_key": "a-key",
        "service_tier": "auto",
        "truncation": "disabled",
        "text": {
            "format": {
                "type": "json_schema",
                "name": "city",
                "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
            "verbosity": "low",
        },
    },
}
models = pytest.mark.parametrize("model", ["scripted", "chat", "responses", "messages"])
keeping = pytest.mark.parametrize("keep", [KEPT, LOOSE], ids=["kept", "not kept"])


@pytest.fixture(scope="module")
async def http(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open_responses")
    places = [folder / name for name in ("back", "front")]
    for place in places:
        place.mkdir()
        (place / "script.yaml").write_text(SCRIPT)
    async with (
        running(places[0], BACK) as back,
        running(places[1], FRONT.format(url=back.url), environ=ENVIRON) as front,
        httpx2.AsyncClient(base_url=front.url, timeout=20) as http,
    ):
        yield http


@models
@keeping
@pytest.mark.parametrize("asked", ASKED)
async def test_every_form_of_a_question_is_answered_by_a_whole_response(http, model, keep, asked):
    response = await ask(http, model=model, **ASKED[asked], **keep)

    assert response["status"] == "completed"
    assert response["output"]
    assert response["store"] is (keep is KEPT)
    for name in ("temperature", "top_p", "metadata", "instructions", "max_output_tokens", "parallel_tool_calls"):
        if name in ASKED[asked]:
            assert response[name] == ASKED[asked][name]


@models
@keeping
@pytest.mark.parametrize("asked", ASKED)
async def test_every_form_of_a_question_is_answered_by_a_sound_stream(http, model, keep, asked):
    events = await listen(http, model=model, **ASKED[asked], **keep)

    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"]
    assert "response.output_text.delta" in {event["type"] for event in events}


@models
@keeping
async def test_a_function_is_called_and_its_result_taken_back(http, model, keep):
    question = said("user", "What is the weather in San Francisco?")
    first = await ask(http, model=model, input=[question], tools=[TOOL], **keep)
    call = first["output"][-1]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    assert json.loads(call["arguments"]) == {"location": "San Francisco, CA"}

    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "64 degrees"}
    second = await ask(http, model=model, input=[question, *first["output"], result], tools=[TOOL], **keep)

    assert second["status"] == "completed"
    assert second["output"][-1]["content"][0]["text"] == "It is 64 degrees."


@models
@keeping
async def test_a_streamed_call_of_a_function_is_opened_filled_and_closed(http, model, keep):
    events = await listen(http, model=model, input="weather?", tools=[TOOL], **keep)

    kinds = [
        event["type"] if "item" not in event else f"{event['type']} {event['item']['type']}"
        for event in events
        if event.get("output_index") == 1
    ]
    deltas = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    [done] = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert kinds[0] == "response.output_item.added function_call"
    assert kinds[-2:] == ["response.function_call_arguments.done", "response.output_item.done function_call"]
    assert "".join(deltas) == done["arguments"] == events[-1]["response"]["output"][1]["arguments"]


@models
@pytest.mark.parametrize(
    "choice",
    [
        "auto",
        {"type": "function", "name": "get_weather"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
    ],
    ids=["auto", "one function", "allowed tools"],
)
async def test_how_tools_are_to_be_chosen_is_said_back(http, model, choice):
    response = await ask(http, model=model, input="weather?", tools=[TOOL], tool_choice=choice)

    assert response["tool_choice"] == choice
    assert response["output"][-1]["type"] == "function_call"


@models
async def test_what_was_said_before_is_known_by_the_id_of_the_response(http, model):
    first = await ask(http, model=model, input="Remember the code word papaya.")

    second = await ask(http, model=model, input="What was the code word?", previous_response_id=first["id"])

    assert second["previous_response_id"] == first["id"]
    assert second["output"][0]["content"][0]["text"] == "You said papaya."


@models
@keeping
async def test_an_answer_that_was_cut_off_is_incomplete_and_so_is_its_item(http, model, keep):
    response = await ask(http, model=model, input="shorten", **keep)
    events = await listen(http, model=model, input="shorten", **keep)

    for each in (response, events[-1]["response"]):
        assert (each["status"], each["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert each["output"][-1]["status"] == "incomplete"
    assert events[-1]["type"] == "response.incomplete"


@models
@keeping
async def test_a_stream_that_breaks_ends_with_a_failed_response(http, model, keep):
    events = await listen(http, model=model, input="It breaks off.", **keep)

    response = events[-1]["response"]
    assert (events[-1]["type"], response["status"]) == ("response.failed", "failed")
    fits(response["error"], {"code": TEXT, "message": TEXT})


@models
@keeping
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_answer_has_its_status_and_says_why(http, model, keep, stream):
    answer = await http.post("/v1/responses", json={"model": model, "input": "refused", "stream": stream, **keep})

    assert answer.status_code == 400
    error = answer.json()["error"]
    fits(error, {"message": TEXT, "type": TEXT})
    assert {"code", "param"} <= error.keys()


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "nobody", "input": "hello"}, 404, "model"),
        ({"model": "scripted", "input": [{"type": "message", "role": "queen", "content": "x"}]}, 400, "input[0].role"),
        ({"model": "scripted", "input": "x", "temperature": "hot"}, 400, "temperature"),
        ({"model": "scripted", "input": "x", "previous_response_id": "resp_" + 24 * "0"}, 404, "previous_response_id"),
    ],
    ids=["model", "role", "temperature", "previous"],
)
async def test_what_is_wrong_with_a_request_is_named(http, body, status, param):
    answer = await http.post("/v1/responses", json=body)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    fits(error, {"message": TEXT, "type": TEXT, "code": TEXT})
