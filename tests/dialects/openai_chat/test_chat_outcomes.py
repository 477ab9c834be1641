"""What the record reads off bytes, the usage chunk that a client did not ask for, and errors of upstreams."""

import json

import msgspec
import pytest

from gateway.core.errors import ContextLengthExceeded, InternalError, ModelNotFound, UpstreamRefused
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import OPENAI_CHAT, strip_usage_chunk
from gateway.dialects.openai_chat.usage import decode_usage, encode_usage


def test_usage_and_finish_reason_are_read_off_an_answer():
    body = msgspec.json.encode(
        {
            "choices": [{"finish_reason": "length", "message": {"content": "x" * 900}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        }
    )

    outcome = OPENAI_CHAT.read_answer(body)

    assert (outcome.usage, outcome.finish_reason, outcome.complete) == (Usage(input=3, output=4), "length", True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"usage":{"prompt_tokens":', b'{"choices":5}', b"\xff" * 9])
def test_an_unreadable_answer_gives_an_empty_outcome(body):
    outcome = OPENAI_CHAT.read_answer(body)

    assert (outcome.usage, outcome.complete) == (None, False)


def test_an_error_in_an_answer_is_seen():
    assert OPENAI_CHAT.read_answer(b'{"error":{"code":"boom"}}').error == "boom"


@pytest.mark.parametrize("name", ["text", "tools_parallel", "reasoning_content", "usage_in_last_chunk", "text_crlf"])
def test_a_streams_end_says_what_its_events_say(name, wire):
    data = wire.fixture(name)

    outcome = OPENAI_CHAT.read_stream(data[:2048], data[-2048:])

    assert outcome.complete
    assert outcome.usage == wire.decode(data)[-1].usage
    assert outcome.finish_reason in {"stop", "tool_calls", "length"}


def test_a_cut_stream_is_not_complete(wire):
    data = wire.fixture("text")[:300]

    assert not OPENAI_CHAT.read_stream(data, data).complete


def test_an_error_inside_a_stream_is_seen(wire):
    data = wire.fixture("text")[:300].rsplit(b"\n\n", 1)[0] + b'\n\ndata: {"error":{"message":"x","code":"boom"}}\n\n'

    outcome = OPENAI_CHAT.read_stream(data, data)

    assert (outcome.error, outcome.complete) == ("boom", False)


def test_a_text_that_looks_like_usage_is_not_taken_for_it():
    text = json.dumps('"usage":{"prompt_tokens":1},"finish_reason":"stop","error": [DONE]')
    data = f'data: {{"choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}\n\n'.encode()

    outcome = OPENAI_CHAT.read_stream(data, data)

    assert (outcome.usage, outcome.finish_reason, outcome.error, outcome.complete) == (None, None, None, False)


@pytest.mark.parametrize("name", ["text", "tools_parallel", "azure", "text_crlf"])
def test_only_the_usage_chunk_is_taken_out(name, wire):
    data = wire.fixture(name)

    stripped = strip_usage_chunk(data)

    without = list(wire.decode(data)[:-1])
    assert wire.decode(stripped)[:-1] == without
    assert wire.decode(stripped)[-1].usage is None
    assert stripped.count(b"\n\n") == data.count(b"\n\n") - (name in {"text", "tools_parallel"})


def test_what_has_no_usage_chunk_is_not_touched(wire):
    data = wire.fixture("refusal")

    assert strip_usage_chunk(data) is data


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage()),
        ({}, None),
        (None, None),
        ({"prompt_tokens": None}, None),
        ({"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None}, Usage(input=5)),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 4},
            Usage(input=6, cache_read=4, output=1),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
            },
            Usage(input=1, cache_read=4, cache_write=5, output=1),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input=5, output=2, reasoning=3),
        ),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}}, Usage(cache_read=5)),
        ({"total_tokens": 7}, Usage(input=7)),
    ],
)
def test_usage_is_split_into_disjoint_buckets(raw, usage):
    assert decode_usage(raw) == usage
    if usage is not None:
        assert decode_usage(encode_usage(usage)) == usage


@pytest.mark.parametrize(
    ("status", "body", "shown", "message"),
    [
        (400, b'{"error":{"message":"Bad","type":"invalid_request_error","param":"top_k","code":null}}', 400, "Bad"),
        (400, b'{"object":"error","message":"Bad","type":"BadRequestError","param":null,"code":400}', 400, "Bad"),
        (400, b'[{"error":{"code":400,"message":"Bad","status":"INVALID_ARGUMENT"}}]', 400, "Bad"),
        (404, b'{"error":"model not found, try pulling it"}', 404, "model not found, try pulling it"),
        (401, b'{"error":{"message":"Incorrect key"}}', 502, "Incorrect key"),
        (422, b'{"detail":[{"loc":["body"],"msg":"x"}]}', 422, '[{"loc":["body"],"msg":"x"}]'),
        (503, b"<html><title>503 Service\n Unavailable</title></html>", 503, "web page: 503 Service Unavailable"),
        (500, b"", 502, "status 500 and an empty body"),
        (500, b"upstream connect error", 502, "upstream connect error"),
        (429, b'{"message":"Slow down"}', 429, "Slow down"),
        (400, b"\xff\xfe", 400, "status 400"),
    ],
)
def test_an_upstreams_error_keeps_its_message(status, body, shown, message):
    error = OPENAI_CHAT.read_error(status, body)

    assert isinstance(error, UpstreamRefused)
    assert error.status == shown
    assert message in error.message


def test_an_upstreams_message_is_bounded():
    assert len(OPENAI_CHAT.read_error(400, json.dumps({"error": {"message": "x" * 9999}}).encode()).message) == 2048


@pytest.mark.parametrize(
    "error",
    [
        {"message": "x", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 4096 tokens."},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error", "code": 400},
        {"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens)."},
    ],
)
def test_a_prompt_that_is_too_long_is_told_apart(error):
    assert isinstance(OPENAI_CHAT.read_error(400, json.dumps({"error": error}).encode()), ContextLengthExceeded)


def test_errors_are_written_in_openais_form():
    document = json.loads(OPENAI_CHAT.encode_error(ModelNotFound("No model 'x'.", param="model")))

    assert document == {
        "error": {
            "message": "No model 'x'.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert json.loads(OPENAI_CHAT.encode_error(InternalError()))["error"]["type"] == "server_error"
