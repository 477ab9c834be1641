"""Whole answers, errors and outcomes; the `anthropic` package's types judge what our clients get."""

import json
from pathlib import Path

import msgspec
import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types import MessageTokensCount
from anthropic.types.beta import BetaMessage
from anthropic.types.shared import ErrorResponse

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import (
    ContextLengthExceeded,
    InternalError,
    InvalidRequest,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedParameter,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.events import Finished, Started, TokenCount
from gateway.core.items import Foreign, Message, Reasoning, Refusal, Text, ToolCall
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES

ANSWERS = sorted((Path(__file__).parents[1] / "fixtures/anthropic_messages/answers").glob("*.json"))
CALL = Call(
    id="c1",
    operation="generate",
    dialect="anthropic_messages",
    model="asked",
    stream=False,
    caller=ANONYMOUS,
    received=0.0,
    body=b"",
    fields={},
)
STARTED = Started(id="", model="", created=0, target="a/b")


def wire(*items, **end):
    answer = Answer(started=STARTED, items=items, finished=Finished(**end))
    fields = json.loads(ANTHROPIC_MESSAGES.encode_answer(answer, CALL))
    SdkMessage.model_validate(fields, strict=True)
    return fields


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_golden_answer_goes_round_and_comes_back_equal(path):
    fields = json.loads(path.read_text())

    answer = ANTHROPIC_MESSAGES.decode_answer(fields)
    encoded = ANTHROPIC_MESSAGES.encode_answer(answer, CALL)

    assert json.loads(encoded) == fields
    BetaMessage.model_validate_json(encoded, strict=True)
    SdkMessage.model_validate_json(encoded, strict=True)


def test_token_buckets_are_disjoint():
    fields = json.loads((ANSWERS[-2]).read_text())
    assert ANSWERS[-2].stem == "tools_and_thinking"

    usage = ANTHROPIC_MESSAGES.decode_answer(fields).finished.usage

    assert usage == Usage(input=12, cache_read=100, cache_write=3, cache_write_1h=4, output=30, reasoning=20)
    assert usage.total == 12 + 7 + 100 + 50


def test_an_answer_of_another_api_reads_like_one_of_this():
    fields = wire(
        Message(role="assistant", parts=(Text(text="a", annotations=({"type": "url_citation"},)), Text(text="b"))),
        ToolCall(call_id="call_1", name="f", arguments='{"x": 1}', id="fc_1"),
        Foreign(dialect="openai_responses", raw={"type": "computer_call"}),
        usage=Usage(input=1, output=2),
    )

    assert fields["id"] == "msg_c1"
    assert fields["model"] == "asked"
    assert fields["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
    ]
    assert fields["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
        ("stop_sequence", "stop_sequence"),
    ],
)
def test_every_reason_to_finish_has_its_stop_reason(reason, expected):
    assert wire(reason=reason)["stop_reason"] == expected


def test_a_refusal_in_words_is_text_and_the_stop_reason_says_refusal():
    fields = wire(Message(role="assistant", parts=(Refusal(text="I won't."),)))

    assert fields["content"] == [{"type": "text", "text": "I won't."}]
    assert fields["stop_reason"] == "refusal"


REASONINGS = [
    Reasoning(summary=("one", "two\n\nthree"), encrypted="gAAA+/==", origin="openai_responses", id="rs_1"),
    Reasoning(encrypted="gAAA", origin="openai_responses", id="rs_1"),
    Reasoning(text="thinking aloud", origin="openai_chat"),
    Reasoning(text="aloud", summary=("digest",), encrypted="x", origin="openai_responses"),
    Reasoning(text="t", signature="Er8=", origin="anthropic_messages"),
    Reasoning(encrypted="Ew==", redacted=True, origin="anthropic_messages"),
    Reasoning(text="via another gateway", signature="sgr1.abc", origin="anthropic_messages"),
    Reasoning(encrypted="sgr1.abc", redacted=True, origin="anthropic_messages"),
]


@pytest.mark.parametrize("item", REASONINGS, ids=range(len(REASONINGS)))
def test_reasoning_of_any_origin_survives_the_way_through_a_client(item):
    content = wire(item)["content"]

    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": content}]
    prompt = ANTHROPIC_MESSAGES.decode_call({"model": "m", "max_tokens": 1, "messages": turn})

    assert prompt.items[1] == item


def test_a_damaged_seal_is_a_400_that_names_its_place():
    block = wire(REASONINGS[0])["content"][0]
    block["signature"] = block["signature"][:-5] + "!!"
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [block]}]

    with pytest.raises(InvalidRequest) as caught:
        ANTHROPIC_MESSAGES.decode_call({"model": "m", "max_tokens": 1, "messages": turn})

    assert caught.value.param == "messages[1].content[0].signature"


@pytest.mark.parametrize("fields", [{}, {"type": "message"}, {"content": "x"}, {"content": [5]}, {"content": [{}]}])
def test_what_is_no_message_is_a_broken_upstream(fields):
    with pytest.raises(UpstreamBroken):
        ANTHROPIC_MESSAGES.decode_answer(fields)


def test_an_error_document_in_place_of_a_message_is_that_error():
    with pytest.raises(UpstreamRefused, match="busy"):
        ANTHROPIC_MESSAGES.decode_answer({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x", param="messages[0].role"), "invalid_request_error"),
        (UnsupportedParameter("`seed` cannot be expressed", param="seed"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (RateLimited("x"), "rate_limit_error"),
        (Unavailable("x"), "overloaded_error"),
        (UpstreamTimeout("x"), "timeout_error"),
        (UpstreamBroken("x"), "api_error"),
        (InternalError(), "api_error"),
    ],
)
def test_every_error_has_the_form_and_a_type_that_clients_know(error, kind):
    document = json.loads(ANTHROPIC_MESSAGES.encode_error(error))

    ErrorResponse.model_validate({"request_id": None, **document})
    assert document["type"] == "error"
    assert document["error"]["type"] == kind
    assert document["error"]["code"] == error.code
    assert (error.param or "") in document["error"]["message"]


def test_a_prompt_that_does_not_fit_says_so_in_the_words_that_clients_look_for():
    document = json.loads(ANTHROPIC_MESSAGES.encode_error(ContextLengthExceeded("This model's limit is 10 tokens.")))

    assert document["error"]["message"].startswith("prompt is too long: ")


def test_an_upstreams_error_keeps_its_message_and_is_bounded():
    body = msgspec.json.encode({"type": "error", "error": {"type": "rate_limit_error", "message": "slow" * 2000}})

    error = ANTHROPIC_MESSAGES.read_error(429, body)

    assert isinstance(error, UpstreamRefused)
    assert error.upstream_status == 429
    assert error.message.startswith("slowslow")
    assert len(error.message) <= 2048


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"", "no body"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "no reason"),
        (b'{"error": "text"}', "text"),
        (b'{"message": "flat"}', "flat"),
        (b'{"error": {"message": 5}}', "no reason"),
        (b"[" * 100000, "not JSON"),
    ],
)
def test_garbage_in_place_of_an_error_is_said_to_be_garbage(body, words):
    error = ANTHROPIC_MESSAGES.read_error(500, body)

    assert isinstance(error, UpstreamRefused)
    assert words in error.message


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
    ],
)
def test_a_prompt_too_long_for_the_upstream_is_recognised(message):
    body = msgspec.json.encode({"type": "error", "error": {"type": "invalid_request_error", "message": message}})

    assert isinstance(ANTHROPIC_MESSAGES.read_error(400, body), ContextLengthExceeded)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_usage_and_reason_are_read_off_the_bytes_as_decoding_would_find_them(path):
    body = path.read_bytes()

    outcome = ANTHROPIC_MESSAGES.read_answer(body)

    decoded = ANTHROPIC_MESSAGES.decode_answer(json.loads(body)).finished
    assert (outcome.usage, outcome.finish_reason) == (decoded.usage, decoded.reason)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"usage": 5}', b"\xff"])
def test_an_unreadable_body_gives_an_empty_outcome(body):
    outcome = ANTHROPIC_MESSAGES.read_answer(body)

    assert (outcome.usage, outcome.finish_reason) == (None, None)


def test_a_count_is_one_number_both_ways():
    answer = ANTHROPIC_COUNT_TOKENS.decode_answer({"input_tokens": 2095})

    assert answer.result == TokenCount(input_tokens=2095)
    encoded = ANTHROPIC_COUNT_TOKENS.encode_answer(answer, CALL)
    assert MessageTokensCount.model_validate_json(encoded, strict=True).input_tokens == 2095


@pytest.mark.parametrize("fields", [{}, {"input_tokens": "1"}, {"input_tokens": True}, {"input_tokens": -1}])
def test_a_count_that_is_no_number_is_a_broken_upstream(fields):
    with pytest.raises(UpstreamBroken):
        ANTHROPIC_COUNT_TOKENS.decode_answer(fields)


def test_counting_has_no_stream_and_says_so():
    with pytest.raises(UnsupportedParameter) as caught:
        ANTHROPIC_COUNT_TOKENS.decode_call({"model": "m", "messages": [], "stream": True})

    assert caught.value.param == "stream"
