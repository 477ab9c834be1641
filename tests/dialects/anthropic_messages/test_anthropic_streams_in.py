"""Streams of Anthropic upstreams to events."""

import json
from pathlib import Path

import pytest

from gateway.core.answer import AnswerBuilder
from gateway.core.errors import UpstreamBroken, UpstreamRefused
from gateway.core.events import ArgumentsDelta, Finished, ReasoningDelta, Started, TextDelta
from gateway.core.items import Reasoning, ToolCall
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.sse import SseParser

STREAMS = {
    path.stem: path for path in (Path(__file__).parents[1] / "fixtures/anthropic_messages/streams").glob("*.sse")
}
WHOLE = sorted(STREAMS.keys() - {"overloaded"})


def decode(*pieces: bytes):
    parser, decoder = SseParser(), ANTHROPIC_MESSAGES.event_decoder()
    events = []
    for piece in pieces:
        for name, data in parser.feed(piece):
            events += decoder.feed(name, data)
    for name, data in parser.finish():
        events += decoder.feed(name, data)
    return [*events, *decoder.finish()]


def answer_of(events):
    builder = AnswerBuilder()
    for event in events:
        builder.add(event)
    return builder.answer()


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_split_at_every_byte_gives_the_same_events(name):
    stream = STREAMS[name].read_bytes()
    whole = decode(stream)

    for at in range(len(stream)):
        assert decode(stream[:at], stream[at:]) == whole


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_a_stream_fed_byte_by_byte_with_any_line_ending_gives_the_same_events(name, ending):
    stream = STREAMS[name].read_bytes()
    odd = stream.replace(b"\n", ending)

    assert decode(*(odd[at : at + 1] for at in range(len(odd)))) == decode(stream)


@pytest.mark.parametrize("name", WHOLE)
def test_deltas_add_up_to_the_finished_items(name):
    events = decode(STREAMS[name].read_bytes())
    texts: dict[int, str] = {}
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta):
            texts[event.index] = texts.get(event.index, "") + event.text

    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    for index, item in enumerate(answer_of(events).items):
        said = item.arguments if isinstance(item, ToolCall) else ""
        said = (
            item.text
            if isinstance(item, Reasoning)
            else said or "".join(part.text for part in getattr(item, "parts", ()))
        )
        assert texts.get(index, "") == said


def test_thinking_tools_and_usage_arrive_whole():
    answer = answer_of(decode(STREAMS["thinking_and_tools"].read_bytes()))

    thinking, redacted, words, first, second = answer.items
    assert thinking == Reasoning(
        text="Two calls … at once. 🤔", signature="EqQBCkYIBxgC+/==", origin="anthropic_messages"
    )
    assert (redacted.encrypted, redacted.redacted) == ("EmwKAhgB", True)
    assert words.parts[0].text == "I'll look: \u2028 über\n"
    assert first.arguments == '{"command": "ls"}'
    assert (second.arguments, second.rest) == ("{}", {"anthropic_messages": {"caller": {"type": "direct"}}})
    assert answer.finished.reason == "tool_calls"
    assert answer.finished.usage == Usage(
        input=12, cache_read=100, cache_write=3, cache_write_1h=4, output=30, reasoning=20
    )


def test_later_counts_win_over_those_of_the_start():
    finished = answer_of(decode(STREAMS["search_with_citations"].read_bytes())).finished

    assert finished.usage == Usage(input=500, cache_read=2, output=9)


def test_a_count_that_is_null_in_the_end_leaves_that_of_the_start():
    finished = answer_of(decode(STREAMS["stop_sequence"].read_bytes())).finished

    assert finished.usage == Usage(input=5, output=2)


def test_a_tool_call_cut_off_by_the_limit_keeps_every_byte():
    answer = answer_of(decode(STREAMS["cut_tool_call"].read_bytes()))

    assert answer.items[0].arguments == '{"text": "half of'
    assert answer.finished.reason == "length"


def test_a_stop_sequence_is_named():
    finished = answer_of(decode(STREAMS["stop_sequence"].read_bytes())).finished

    assert (finished.reason, finished.stop_sequence) == ("stop_sequence", "###")


def test_an_error_event_is_the_upstreams_refusal_with_the_status_of_its_type():
    with pytest.raises(UpstreamRefused, match="Overloaded") as caught:
        decode(STREAMS["overloaded"].read_bytes())

    assert (caught.value.upstream_status, caught.value.status, caught.value.retryable) == (529, 503, True)


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_cut_off_anywhere_is_broken(name):
    stream = STREAMS[name].read_bytes()
    end = stream.rindex(b"event: message_stop")

    for at in range(0, end, 97):
        with pytest.raises(UpstreamBroken):
            decode(stream[:at])


def event(**fields):
    return fields["type"], json.dumps(fields).encode()


START = event(type="message_start", message={"id": "a", "model": "m"})


@pytest.mark.parametrize(
    "events",
    [
        [event(type="content_block_start", index=0, content_block={"type": "text", "text": ""})],
        [START, START],
        [START, event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "x"})],
        [START, event(type="content_block_start", index=0, content_block={})],
        [START, event(type="content_block_start", index="x", content_block={"type": "text", "text": ""})],
        [START, event(type="content_block_start", index=0, content_block={"type": "tool_use"})],
        [
            START,
            event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
            event(type="content_block_delta", index=0, delta={"type": "text_delta"}),
        ],
        [
            START,
            event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
            event(type="message_stop"),
        ],
        [("", b"not json")],
        [("", b"[]")],
    ],
)
def test_a_stream_that_breaks_the_protocol_is_a_broken_upstream(events):
    decoder = ANTHROPIC_MESSAGES.event_decoder()
    for name, data in events[:-1]:
        decoder.feed(name, data)

    with pytest.raises(UpstreamBroken):
        decoder.feed(*events[-1])


@pytest.mark.parametrize("name", WHOLE)
def test_usage_and_end_are_read_off_the_first_and_last_bytes(name):
    stream = STREAMS[name].read_bytes()
    finished = answer_of(decode(stream)).finished

    for head, tail in ((stream, stream), (stream[:700], stream[-700:]), (stream.replace(b"\n", b"\r\n"), stream)):
        outcome = ANTHROPIC_MESSAGES.read_stream(head, tail)
        assert outcome.complete
        assert (outcome.usage, outcome.finish_reason) == (finished.usage, finished.reason)


def test_a_stream_that_was_cut_off_is_not_complete_and_one_that_failed_says_why():
    cut = STREAMS["stop_sequence"].read_bytes()[:-60]
    failed = STREAMS["overloaded"].read_bytes()

    assert not ANTHROPIC_MESSAGES.read_stream(cut, cut).complete
    outcome = ANTHROPIC_MESSAGES.read_stream(failed, failed)
    assert (outcome.complete, outcome.error) == (False, "overloaded_error")
    assert outcome.usage == Usage(input=5, output=1)
    assert not ANTHROPIC_MESSAGES.read_stream(b"", b"\xff garbage").complete
