"""Streams: whatever upstreams send and however it is cut, the client sees one well-formed answer."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.core.answer import AnswerBuilder, replay
from gateway.core.errors import ContextLengthExceeded, RateLimited, UpstreamBroken, UpstreamRefused
from gateway.core.events import Finished, ItemFinished, Started, TextDelta
from gateway.core.items import Message, Refusal, Text, ToolCall
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.sse import SseParser

FIXTURES = Path(__file__).parents[1] / "fixtures" / "openai_chat" / "streams"
STREAMS = sorted(path.stem for path in FIXTURES.glob("*.sse"))
ODD = {"custom_tool"}  # the package's chunk types know function tools only
WELL_FORMED = {"text", "text_crlf", "tools_parallel", "tools_interleaved", "refusal", "logprobs", "two_choices"}


def chunks_of(data):
    parser = SseParser()
    return [json.loads(each) for _, each in [*parser.feed(data), *parser.finish()] if each != b"[DONE]"]


def accumulate(chunks):
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot


def essence(completion):
    """What a client reads off an answer."""
    return [
        (
            choice.index,
            choice.finish_reason,
            choice.message.content or None,
            choice.message.refusal or None,
            [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()],
        )
        for choice in completion.choices
    ]


def answer_of(events):
    builder = AnswerBuilder()
    for event in events:
        builder.add(event)
    return builder.answer()


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_split_at_every_byte_gives_the_same_events(name, wire):
    data = wire.fixture(name)
    whole = SseParser()
    expected = [*whole.feed(data), *whole.finish()]

    for cut in range(len(data)):
        parser = SseParser()
        assert [*parser.feed(data[:cut]), *parser.feed(data[cut:]), *parser.finish()] == expected
    assert wire.decode(*(data[at : at + 1] for at in range(len(data)))) == wire.decode(data)


@pytest.mark.parametrize("name", STREAMS)
def test_events_keep_the_order_that_the_hub_promises(name, wire):
    wire.check_order(wire.decode(wire.fixture(name)))


@pytest.mark.parametrize("name", sorted(set(STREAMS) - ODD))
def test_our_chunks_are_what_the_official_client_expects(name, wire):
    data = wire.encode(wire.decode(wire.fixture(name)), stream_options={"include_usage": True})

    assert data.endswith(b"data: [DONE]\n\n")
    for chunk in chunks_of(data):
        ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)
        assert chunk["id"] == "chatcmpl-abc"


@pytest.mark.parametrize("name", sorted(set(STREAMS) - ODD))
def test_the_official_accumulator_reads_from_the_stream_what_the_whole_answer_says(name, wire):
    events = wire.decode(wire.fixture(name))

    streamed = accumulate(chunks_of(wire.encode(events)))
    document = OPENAI_CHAT.encode_answer(answer_of(events), wire.call())
    whole = ChatCompletion.model_validate_json(document, strict=True)

    assert essence(streamed) == essence(whole)


@pytest.mark.parametrize("name", sorted(WELL_FORMED))
def test_the_official_accumulator_reads_the_same_before_and_after_us(name, wire):
    data = wire.fixture(name)

    assert essence(accumulate(chunks_of(wire.encode(wire.decode(data))))) == essence(accumulate(chunks_of(data)))


@pytest.mark.parametrize("name", STREAMS)
def test_a_second_trip_changes_nothing(name, wire):
    once = wire.encode(wire.decode(wire.fixture(name)), stream_options={"include_usage": True})
    twice = wire.encode(wire.decode(once), stream_options={"include_usage": True})

    assert chunks_of(twice) == chunks_of(once)


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_answer_says_what_its_stream_said(name, wire):
    answer = answer_of(wire.decode(wire.fixture(name)))

    document = msgspec.json.decode(OPENAI_CHAT.encode_answer(answer, wire.call()))
    again = OPENAI_CHAT.decode_answer(document)

    assert msgspec.json.decode(OPENAI_CHAT.encode_answer(again, wire.call())) == document
    wire.check_order(list(replay(again)))


CALLS = {
    "tools_parallel": [("a", "weather", '{"city":"Rome"}'), ("b", "weather", '{"city":"Oslo"}')],
    "tools_interleaved": [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')],
    "tools_without_index": [("a", "f", '{"x":1}'), ("b", "f", '{"x":2}')],
    "tools_without_index_or_id": [("call_abc_1", "f", '{"x":1}'), ("call_abc_2", "f", '{"x":2}')],
    "tools_shared_index": [("a", "f", '{"x":1}'), ("b", "g", '{"x":2}')],
    "tools_late_id_and_name": [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')],
    "tools_repeated_id_and_name": [("a", "f", '{"x":1}'), ("b", "f", '{"x":2}')],
    "tools_never_closed": [("a", "f", '{"x":')],
    "tools_no_arguments": [("a", "f", ""), ("b", "f", "{}")],
    "tools_object_arguments": [("a", "f", '{"x":1}')],
    "custom_tool": [("a", "sql", "SELECT 1")],
    "function_call": [("call_abc_1", "f", '{"x":1}')],
}


@pytest.mark.parametrize("name", CALLS)
def test_tool_calls_are_never_merged_or_lost(name, wire):
    events = wire.decode(wire.fixture(name))

    calls = [event.item for event in events if isinstance(event, ItemFinished) and isinstance(event.item, ToolCall)]
    assert [(call.call_id, call.name, call.arguments) for call in calls] == CALLS[name]
    assert events[-1].reason == "tool_calls"


def test_buckets_of_usage_are_disjoint(wire):
    assert wire.decode(wire.fixture("text"))[-1].usage == Usage(input=15, cache_read=5, output=5, reasoning=4)
    assert wire.decode(wire.fixture("usage_in_last_chunk"))[-1].usage == Usage(input=2, cache_read=6, output=2)
    assert wire.decode(wire.fixture("refusal"))[-1].usage is None


@pytest.mark.parametrize("asked", [True, False])
def test_the_usage_chunk_comes_only_when_asked_for(asked, wire):
    data = wire.encode(wire.decode(wire.fixture("text")), stream_options={"include_usage": asked})

    last = chunks_of(data)[-1]
    assert (last["choices"] == []) is asked
    if asked:
        assert last["usage"]["prompt_tokens"] == 20


def test_reasoning_and_its_signature_go_round(wire):
    first, message = wire.items("reasoning_details")
    assert (first.text, first.signature, first.origin) == ("I think", "sig==", "openai_chat")

    again = wire.decode(wire.encode(wire.decode(wire.fixture("reasoning_details"))))

    items = [event.item for event in again if isinstance(event, ItemFinished)]
    assert items == [first, message]
    assert wire.items("reasoning_content")[0].text == "I think"
    assert wire.items("reasoning_vllm")[0].text == "I think"


def test_finish_reasons_are_the_hubs(wire):
    reasons = {name: wire.decode(wire.fixture(name))[-1].reason for name in STREAMS}

    assert reasons["text_crlf"] == "length"
    assert reasons["azure"] == "content_filter"
    assert reasons["refusal"] == "refusal"
    assert reasons["odd"] == "stop"
    finished = wire.decode(wire.fixture("stop_sequence"))[-1]
    assert (finished.reason, finished.stop_sequence) == ("stop_sequence", "END")


def test_refusals_audio_annotations_and_logprobs_are_kept(wire):
    assert wire.items("refusal")[0].parts == (Refusal(text="I cannot."),)
    assert wire.items("audio")[0].parts[0].raw["audio"] == {
        "id": "audio_1",
        "transcript": "Hey",
        "data": "AAAABBBB",
        "expires_at": 1,
    }
    assert wire.items("annotations")[0].parts[0].annotations[0]["url_citation"]["title"] == "t"
    assert [mark["token"] for mark in wire.items("logprobs")[0].parts[0].logprobs] == ["He", "y"]


def test_odd_characters_do_not_kill_a_stream(wire):
    assert wire.items("odd")[0].parts[0].text == "a�bc"


def test_a_stream_that_was_cut_off_is_broken(wire):
    whole = wire.fixture("text")

    with pytest.raises(UpstreamBroken):
        wire.decode(whole[: whole.index(b'"finish_reason":"stop"') - 40])
    with pytest.raises(UpstreamBroken):
        wire.decode(b"")
    with pytest.raises(UpstreamBroken):
        wire.decode(b"data: <html>\n\n")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ('{"error":{"message":"Slow down","type":"rate_limit_error","code":null}}', 429, UpstreamRefused),
        ('{"error":{"message":"boom","code":500}}', 502, UpstreamRefused),
        ('{"object":"error","message":"boom","code":400,"type":"BadRequestError"}', 400, UpstreamRefused),
        ('{"error":"boom"}', 502, UpstreamRefused),
        ('{"error":{"message":"maximum context length is 5 tokens","code":400}}', 400, ContextLengthExceeded),
        ('{"id":"x","choices":[{"index":0,"error":{"message":"boom","code":502}}]}', 502, UpstreamRefused),
    ],
)
def test_an_error_in_the_stream_is_raised(body, status, kind, wire):
    with pytest.raises(kind) as caught:
        wire.decode(f"data: {body}\n\n".encode())

    assert caught.value.status == status


def test_our_own_error_ends_the_stream_in_openais_form(wire):
    encoder = OPENAI_CHAT.event_encoder(wire.call())

    data = encoder.error(RateLimited("Too fast.", param="model"))

    assert data.startswith(b"data: ")
    assert b"[DONE]" not in data
    error = json.loads(data[6:])["error"]
    assert error == {
        "message": "Too fast.",
        "type": "rate_limit_error",
        "param": "model",
        "code": "rate_limit_exceeded",
    }


def test_an_item_that_came_without_deltas_is_not_lost(wire):
    message = Message(role="assistant", parts=(Text(text="A"),))
    call = ToolCall(call_id="a", name="f", arguments="{}")
    started = Started(id="chatcmpl-abc", model="m", created=1, target="")
    events = [
        event
        for event in replay(
            answer_of([started, ItemFinished(index=0, item=message), ItemFinished(index=1, item=call), Finished()])
        )
        if not isinstance(event, TextDelta)
    ]

    assert essence(accumulate(chunks_of(wire.encode(events)))) == [(0, "stop", "A", None, [("a", "f", "{}")])]


# Fuzz: any number of calls, cut anywhere, in any interleaving that keeps the order within a call.


@st.composite
def disordered_calls(draw):
    names = draw(st.lists(st.sampled_from(["f", "g"]), min_size=1, max_size=4))
    calls = [
        (f"id{number}", name, json.dumps({"n": number, "t": draw(st.text(max_size=6))}))
        for number, name in enumerate(names)
    ]
    queues = []
    for number, (identity, name, text) in enumerate(calls):
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        late = draw(st.integers(0, len(pieces) - 1))
        queue = [{"index": number, "function": {"arguments": piece}} for piece in pieces]
        queue[0]["function"]["name"] = name
        queue[late]["id"] = identity
        queues.append(queue)
    deltas = []
    while any(queues):
        queue = draw(st.sampled_from([each for each in queues if each]))
        deltas.append(queue.pop(0))
    sizes = draw(st.lists(st.integers(1, 3), min_size=len(deltas), max_size=len(deltas)))
    grouped = []
    while deltas:
        size = sizes.pop()
        grouped.append(deltas[:size])
        deltas = deltas[size:]
    return calls, grouped


@settings(max_examples=150, deadline=None)
@given(disordered_calls(), st.data())
def test_calls_in_any_disorder_come_out_whole(drawn, data):
    calls, grouped = drawn
    decoder = OPENAI_CHAT.event_decoder()
    events = []
    for deltas in grouped:
        chunk = {
            "id": "chatcmpl-abc",
            "model": "m",
            "created": 1,
            "choices": [{"index": 0, "delta": {"tool_calls": deltas}}],
        }
        events += decoder.feed("", json.dumps(chunk).encode())
    events += decoder.feed("", b"[DONE]")
    events += decoder.finish()

    found = [event.item for event in events if isinstance(event, ItemFinished)]
    assert sorted((call.call_id, call.name, call.arguments) for call in found) == sorted(calls)
