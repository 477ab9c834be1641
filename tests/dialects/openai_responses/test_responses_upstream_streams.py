"""Streams of upstreams that speak the Responses API: whatever they leave out, the items come out whole."""

from __future__ import annotations

import json

import pytest

from gateway.core.answer import AnswerBuilder, skeleton
from gateway.core.errors import ContextLengthExceeded, SwitchgearError, UpstreamBroken, UpstreamRefused
from gateway.core.events import ArgumentsDelta, Finished, ItemFinished, ItemStarted, ReasoningDelta, Started, TextDelta
from gateway.core.items import Foreign, Message, Reasoning, Refusal, Text, ToolCall
from gateway.core.usage import Usage
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.sse import SseParser

NAMES = ["openai_text", "openai_tools", "vllm_reasoning", "without_deltas", "incomplete", "refusal"]


def sse(*events) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def framed(*pieces: bytes) -> list[tuple[str, bytes]]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)] + list(parser.finish())


def folded(events):
    builder = AnswerBuilder()
    for event in events:
        builder.add(event)
    return builder.answer()


@pytest.fixture
def stream(fixtures):
    return lambda name: (fixtures / "streams" / f"{name}.sse").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_split_at_any_byte_gives_the_same_events(decoded, stream, name):
    data = stream(name)
    whole = decoded(data)

    assert decoded(*(data[n : n + 1] for n in range(len(data)))) == whole
    for cut in range(len(data)):  # the decoder sees only what the parser gives: cheaper to compare at every place
        assert framed(data[:cut], data[cut:]) == framed(data)


@pytest.mark.parametrize("name", NAMES)
def test_deltas_add_up_to_the_items_and_every_item_begins_and_ends_once(decoded, stream, name):
    events = decoded(stream(name))

    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    started = [event.index for event in events if isinstance(event, ItemStarted)]
    ended = {event.index: event.item for event in events if isinstance(event, ItemFinished)}
    assert started == list(range(len(started)))
    assert sorted(ended) == started
    for index, item in ended.items():
        mine = [event for event in events if getattr(event, "index", None) == index]
        assert type(mine[0].item) is type(skeleton(item))
        if isinstance(item, Message):
            text = "".join(part.text for part in item.parts if isinstance(part, Text))
            assert "".join(event.text for event in mine if isinstance(event, TextDelta)) == text
        if isinstance(item, ToolCall):
            assert "".join(event.text for event in mine if isinstance(event, ArgumentsDelta)) == item.arguments
        if isinstance(item, Reasoning):
            deltas = [event for event in mine if isinstance(event, ReasoningDelta)]
            assert "".join(event.text for event in deltas if event.kind == "text") == item.text
            assert "".join(event.text for event in deltas if event.kind == "summary") == "".join(item.summary)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_and_its_final_document_say_the_same(decoded, stream, name):
    data = stream(name)
    final = json.loads(data.replace(b"\r", b"").strip().rpartition(b"\ndata: ")[2])["response"]

    streamed, whole = folded(decoded(data)), OPENAI_RESPONSES.decode_answer(final)

    assert streamed.finished == whole.finished
    assert [type(item) for item in streamed.items] == [type(item) for item in whole.items]
    assert streamed.started == whole.started


def test_text_tools_and_reasoning_arrive_whole(decoded, stream):
    answer = folded(decoded(stream("openai_tools")))

    reasoning, search, call, custom = answer.items
    assert isinstance(reasoning, Reasoning)
    assert (reasoning.summary, reasoning.encrypted) == (("**Plan** it", "Then do it"), "gAAAAABo1==")
    assert reasoning.origin == "openai_responses"
    assert isinstance(search, Foreign)
    assert search.raw["status"] == "completed"
    assert isinstance(call, ToolCall)
    assert (call.name, call.call_id, call.arguments) == ("weather", "call_1", '{"city":"Paris"}')
    assert isinstance(custom, ToolCall)
    assert (custom.kind, custom.arguments) == ("custom", "*** Begin")
    assert answer.finished.reason == "tool_calls"
    assert answer.finished.usage == Usage(input=56, cache_read=64, output=30, reasoning=20)


def test_the_plain_text_of_a_vllm_model_and_its_thinking_arrive(decoded, stream):
    answer = folded(decoded(stream("vllm_reasoning")))

    reasoning, message = answer.items
    assert isinstance(reasoning, Reasoning)
    assert reasoning.text == "Let me think."
    assert isinstance(message, Message)
    assert [part.text for part in message.parts] == ["42"]
    assert answer.finished.usage == Usage(input=9, output=3, reasoning=4)


def test_what_was_not_streamed_is_taken_from_the_ends(decoded, stream):
    events = decoded(stream("without_deltas"))

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["All at once."]
    assert [event.text for event in events if isinstance(event, ArgumentsDelta)] == ['{"city":"Paris"}']
    assert events[-1].reason == "tool_calls"


def test_a_cut_off_answer_is_finished_by_length_and_keeps_its_text(decoded, stream):
    answer = folded(decoded(stream("incomplete")))

    assert answer.finished.reason == "length"
    assert [part.text for part in answer.items[0].parts] == ["Once upon"]


def test_a_refusal_is_a_refusal(decoded, stream):
    answer = folded(decoded(stream("refusal")))

    assert answer.finished.reason == "refusal"
    assert isinstance(answer.items[0].parts[0], Refusal)
    assert answer.items[0].parts[0].text == "I cannot."


def test_a_content_filter_is_named(decoded):
    end = {
        "type": "response.incomplete",
        "response": {"incomplete_details": {"reason": "content_filter"}, "output": []},
    }

    assert decoded(sse(end))[-1].reason == "content_filter"


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_ends_early_is_broken(decoded, stream, name):
    data = stream(name)
    cut = data.rfind(b"data:")

    with pytest.raises(UpstreamBroken):
        decoded(data[:cut])


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}, 429, "rate_limit_exceeded"),
        ({"type": "error", "error": {"type": "server_error", "message": "slow down"}}, 502, "server_error"),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "slow down"}}}, 502, "server_error"),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": "slow down"}}}, 400, "invalid_prompt"),
        ({"error": {"message": "slow down", "code": 400, "type": "BadRequestError"}}, 400, "BadRequestError"),
    ],
)  # fmt: skip
def test_an_error_in_the_stream_is_raised_with_its_message(decoded, event, status, code):
    with pytest.raises(UpstreamRefused, match="slow down") as caught:
        decoded(sse({"type": "response.created", "response": {}}, event))

    assert caught.value.status == status
    assert caught.value.code in (code, "upstream_error")


def test_a_prompt_that_is_too_long_is_told_apart(decoded):
    error = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}

    with pytest.raises(ContextLengthExceeded):
        decoded(sse({"type": "response.failed", "response": {"error": error}}))


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"null", b"\xff", b'{"type":"response.output_item.done","item":7}', b"[" * 5000]
)
def test_garbage_is_a_broken_upstream(decoded, data):
    with pytest.raises(UpstreamBroken):
        decoded(b"data: " + data + b"\n\n")


def test_events_of_the_wrong_shape_never_raise_anything_but_our_errors(decoded, stream):
    bad = (None, 7, "x", [], {}, [7])
    refused = 0
    for line in stream("openai_tools").splitlines():
        event = json.loads(line[6:]) if line.startswith(b"data: ") else {}
        for key in event.keys() - {"type"}:
            for value in bad:
                try:
                    decoded(sse({**event, key: value}))
                except SwitchgearError:
                    refused += 1

    assert refused > 100


def test_an_answer_that_is_none_is_a_broken_upstream():
    for fields in (
        {},
        {"output": 7},
        {"output": [7]},
        {"output": [{"type": "message"}]},
        {"status": "cancelled", "output": []},
    ):
        with pytest.raises(UpstreamBroken):
            OPENAI_RESPONSES.decode_answer(fields)


def test_a_failed_answer_is_refused_with_its_message():
    with pytest.raises(UpstreamRefused, match="overloaded"):
        OPENAI_RESPONSES.decode_answer({"status": "failed", "error": {"code": "server_error", "message": "overloaded"}})


@pytest.mark.parametrize(
    ("name", "reason", "usage"),
    [
        ("openai_text", "stop", Usage(input=56, cache_read=64, output=30, reasoning=20)),
        ("openai_tools", "tool_calls", Usage(input=56, cache_read=64, output=30, reasoning=20)),
        ("vllm_reasoning", "stop", Usage(input=9, output=3, reasoning=4)),
        ("incomplete", "length", Usage(input=56, cache_read=64, output=30, reasoning=20)),
    ],
)
def test_usage_is_read_off_the_last_bytes_of_a_stream(stream, name, reason, usage):
    data = stream(name)
    outcome = OPENAI_RESPONSES.read_stream(data[:4096], data)
    assert (outcome.usage, outcome.finish_reason, outcome.complete, outcome.error) == (usage, reason, True, None)

    tail = data[data.rfind(b"data:") + 40 :]
    outcome = OPENAI_RESPONSES.read_stream(data[:4096], tail)
    assert (outcome.usage, outcome.complete) == (usage, True)


def test_the_end_of_a_vllm_stream_names_its_event_last():
    response = {"status": "incomplete", "output": [], "usage": {"input_tokens": 1, "output_tokens": 2}, "user": None}
    tail = json.dumps({"response": response, "sequence_number": 9, "type": "response.incomplete"})[20:].encode()

    outcome = OPENAI_RESPONSES.read_stream(b"", tail + b"\n\n")

    assert (outcome.usage, outcome.finish_reason, outcome.complete) == (Usage(input=1, output=2), "length", True)


def test_an_end_mark_or_a_comment_after_the_answer_hides_nothing(stream):
    for more in (b"data: [DONE]\n\n", b": keep-alive\n\n"):
        outcome = OPENAI_RESPONSES.read_stream(b"", stream("openai_text") + more)

        assert (outcome.finish_reason, outcome.complete) == ("stop", True)


def test_a_part_that_is_repeated_after_its_item_ended_says_nothing_new(decoded, stream):
    data = stream("openai_text")
    event = {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hello"}
    cut = data.rfind(b"event:")

    assert decoded(data[:cut], sse(event), data[cut:]) == decoded(data)


def test_an_item_that_begins_where_another_is_open_ends_that_one(decoded):
    """Seen with early vLLM, which numbered everything 0."""
    events = decoded(
        sse(
            {"type": "response.created", "response": {}},
            {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "hm"},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "yes"},
            {"type": "response.completed", "response": {"status": "completed", "output": []}},
        )
    )

    reasoning, message = folded(events).items
    assert reasoning.text == "hm"
    assert message.parts == (Text(text="yes"),)


def test_token_buckets_do_not_overlap():
    details = {"cached_tokens": 30, "cache_write_tokens": 20}
    body = {"status": "completed", "usage": {"input_tokens": 100, "input_tokens_details": details, "output_tokens": 1}}

    usage = OPENAI_RESPONSES.read_answer(json.dumps(body).encode()).usage

    assert usage == Usage(input=50, cache_read=30, cache_write=20, output=1)


def test_a_stream_cut_off_or_failed_is_known_by_its_tail(stream):
    data = stream("openai_text")
    cut = data[: data.rfind(b"event:")]
    assert OPENAI_RESPONSES.read_stream(b"", cut).complete is False
    assert OPENAI_RESPONSES.read_stream(b"", data[:-20]).complete is False
    assert OPENAI_RESPONSES.read_stream(b"", b"").complete is False

    failed = sse(
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "x"}}}
    )
    assert OPENAI_RESPONSES.read_stream(b"", failed).error == "server_error"
    assert (
        OPENAI_RESPONSES.read_stream(b"", sse({"type": "error", "code": "invalid_prompt", "message": "x"})).error
        == "invalid_prompt"
    )


def test_usage_is_read_off_a_whole_answer_and_from_a_broken_one():
    body = json.dumps(
        {
            "status": "completed",
            "tools": [{"type": "function", "name": "f", "parameters": {"usage": {"input_tokens": "x"}}}],
            "output": [
                {"type": "message", "content": [{"type": "output_text", "text": 'the "usage":{"input_tokens":1}'}]}
            ],
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
            "metadata": {"usage": "none"},
        },
        indent=1,
    ).encode()

    for data in (body, body[40:]):
        assert OPENAI_RESPONSES.read_answer(data).usage == Usage(input=5, output=2)
    for garbage in (b"", b"<html>", b"[]", b"\xff\xfe", b'{"usage":7}', b'"usage"'):
        assert OPENAI_RESPONSES.read_answer(garbage).usage is None
