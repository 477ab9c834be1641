"""Events to streams for Anthropic clients; the `anthropic` package's stream accumulator is the oracle."""

import json
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.core.answer import Answer, AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import RateLimited
from gateway.core.events import (
    ArgumentsDelta,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    Started,
    TextDelta,
)
from gateway.core.items import Foreign, Message, Reasoning, Refusal, Text, ToolCall
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.sse import SseParser

STREAMS = sorted((Path(__file__).parents[1] / "fixtures/anthropic_messages/streams").glob("*.sse"))
WHOLE = [path for path in STREAMS if path.stem not in ("overloaded", "cut_tool_call")]
EVENT = TypeAdapter(RawMessageStreamEvent)
CALL = Call(
    id="c1",
    operation="generate",
    dialect="anthropic_messages",
    model="asked",
    stream=True,
    caller=ANONYMOUS,
    received=0.0,
    body=b"",
    fields={},
)
STARTED = Started(id="msg_1", model="served", created=0, target="a/b")
USAGE = Usage(input=3, cache_read=2, cache_write=1, output=5, reasoning=4)


def encode(events):
    encoder = ANTHROPIC_MESSAGES.event_encoder(CALL)
    return b"".join(encoder.encode(event) for event in events)


def parse(stream):
    events = list(SseParser().feed(stream))
    for name, data in events:
        assert json.loads(data)["type"] == name
    return [json.loads(data) for _, data in events]


def accumulate(stream):
    """Read the stream as the official client does."""

    def handler(_):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    transport = httpx2.MockTransport(handler)
    with (
        httpx2.Client(transport=transport) as http,
        anthropic.Anthropic(api_key="k", http_client=http, max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "a"}]) as reply,
    ):
        return reply.get_final_message()


def check(stream):
    """One message_start, blocks that never overlap and are numbered without gaps, one message_delta, one message_stop."""
    events = parse(stream)
    for event in events:
        EVENT.validate_json(json.dumps(event), strict=True)
    assert [event["type"] for event in events[:1] + events[-2:]] == ["message_start", "message_delta", "message_stop"]
    opened, is_open = -1, False
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            opened, is_open = opened + 1, True
        else:
            assert event["type"] in ("content_block_delta", "content_block_stop")
            assert is_open
            is_open = event["type"] == "content_block_delta"
        assert event["index"] == opened
    assert not is_open
    return events


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_stream_of_this_api_comes_out_with_the_same_content(path):
    decoder, parser = ANTHROPIC_MESSAGES.event_decoder(), SseParser()
    events = [event for name, data in parser.feed(path.read_bytes()) for event in decoder.feed(name, data)]

    stream = encode(events)

    check(stream)
    ours, theirs = accumulate(stream), accumulate(path.read_bytes())
    ours_text, theirs_text = ours.to_json(), theirs.to_json()
    keep = ("content", "stop_reason", "stop_sequence", "container", "id", "model")
    assert {k: json.loads(ours_text).get(k) for k in keep} == {k: json.loads(theirs_text).get(k) for k in keep}
    assert ours.usage.output_tokens == theirs.usage.output_tokens
    assert ours.usage.input_tokens == theirs.usage.input_tokens
    assert (ours.usage.cache_read_input_tokens or 0) == (theirs.usage.cache_read_input_tokens or 0)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
objects = st.dictionaries(st.sampled_from("abc"), texts | st.integers(-9, 9) | st.none(), max_size=2)
messages = st.builds(
    lambda parts: Message(role="assistant", parts=tuple(parts)),
    st.lists(texts.map(lambda text: Text(text=text)) | texts.map(lambda text: Refusal(text=text)), max_size=3),
)
calls = st.builds(
    lambda value, name: ToolCall(call_id=name, name=name, arguments=json.dumps(value)),
    objects,
    st.uuids().map(lambda u: u.hex),
)
reasonings = st.builds(
    Reasoning,
    text=texts | st.just(""),
    summary=st.lists(texts, max_size=2).map(tuple),
    encrypted=st.none() | texts,
    id=st.none() | st.just("rs_1"),
    origin=st.sampled_from(["openai_responses", "openai_chat"]),
) | st.builds(Reasoning, text=texts, signature=texts, origin=st.just("anthropic_messages"))
foreign = st.just(Foreign(dialect="anthropic_messages", raw={"type": "container_upload", "file_id": "f"})) | st.just(
    Foreign(dialect="openai_responses", raw={"type": "computer_call"})
)
items = st.lists(messages | calls | reasonings | foreign, max_size=5)


def unfolded(item):
    """The events of one item, its deltas split in two."""
    answer = Answer(started=STARTED, items=(item,), finished=Finished())
    events = list(replay(answer))[1:-1]
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta) and len(event.text) > 1:
            yield replaced(event, text=event.text[:1])
            yield replaced(event, text=event.text[1:])
        else:
            yield event


def replaced(event, **changes):
    return type(event)(**{**{name: getattr(event, name) for name in event.__struct_fields__}, **changes})


@given(items)
@settings(max_examples=60, deadline=None)
def test_a_stream_adds_up_to_the_whole_answer(found):
    answer = Answer(started=STARTED, items=tuple(found), finished=Finished(usage=USAGE))
    stream = encode(replay(answer))

    check(stream)
    whole = json.loads(ANTHROPIC_MESSAGES.encode_answer(answer, CALL))
    got = json.loads(accumulate(stream).to_json())
    assert got["content"] == whole["content"]
    assert got["stop_reason"] == whole["stop_reason"]
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
        assert got["usage"][name] == whole["usage"][name]


@given(items, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_items_that_overlap_never_make_blocks_overlap_and_nothing_is_lost(found, random):
    queues = [[replaced(event, index=index) for event in unfolded(item)] for index, item in enumerate(found)]
    events = []
    started = 0
    while any(queues):
        # Items start in the order of their numbers; after that anything may come in between.
        ready = [queue for index, queue in enumerate(queues) if queue and (index < started or index == started)]
        queue = random.choice(ready)
        started += isinstance(queue[0], ItemStarted)
        events.append(queue.pop(0))

    out = check(encode([STARTED, *events, Finished(usage=USAGE)]))

    blocks = folded(out)
    calls_out = {b["id"]: json.loads(b["json"] or "{}") for b in blocks if b["type"] == "tool_use"}
    assert calls_out == {i.call_id: json.loads(i.arguments) for i in found if isinstance(i, ToolCall)}
    said = "".join(b["text"] for b in blocks if b["type"] == "text")
    meant = "".join(part.text for i in found if isinstance(i, Message) for part in i.parts)
    assert sorted(said) == sorted(meant)
    thought = [b for b in blocks if b["type"] in ("thinking", "redacted_thinking")]
    shown = [i for i in found if isinstance(i, Reasoning) and (i.text or i.summary or i.encrypted or i.id)]
    assert restored(thought) == shown


def folded(events):
    blocks = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            field = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}.get(
                delta["type"]
            )
            if field:
                blocks[-1][field] += delta[field]
            elif delta["type"] == "input_json_delta":
                blocks[-1]["json"] += delta["partial_json"]
    return blocks


def restored(blocks):
    if not blocks:
        return []
    content = [{k: v for k, v in block.items() if k != "json"} for block in blocks]
    turn = [{"role": "assistant", "content": content}]
    return list(ANTHROPIC_MESSAGES.decode_call({"model": "m", "max_tokens": 1, "messages": turn}).items)


def test_parallel_calls_that_arrive_mixed_are_written_one_after_the_other():
    stream = encode(
        [
            STARTED,
            ItemStarted(index=0, item=ToolCall(call_id="a", name="f", arguments="")),
            ItemStarted(index=1, item=ToolCall(call_id="b", name="g", arguments="")),
            ArgumentsDelta(index=1, text='{"y":'),
            ArgumentsDelta(index=0, text='{"x":1}'),
            ArgumentsDelta(index=1, text="2}"),
            ItemFinished(index=1, item=ToolCall(call_id="b", name="g", arguments='{"y":2}')),
            ItemFinished(index=0, item=ToolCall(call_id="a", name="f", arguments='{"x":1}')),
            Finished(reason="tool_calls", usage=USAGE),
        ]
    )

    check(stream)
    message = accumulate(stream)
    assert [(block.id, block.input) for block in message.content] == [("a", {"x": 1}), ("b", {"y": 2})]
    assert message.stop_reason == "tool_use"


def test_text_goes_out_at_once_although_another_item_is_still_open():
    encoder = ANTHROPIC_MESSAGES.event_encoder(CALL)
    encoder.encode(STARTED)
    encoder.encode(ItemStarted(index=0, item=Message(role="assistant", parts=())))
    encoder.encode(TextDelta(index=0, text="I'll call."))
    encoder.encode(ItemStarted(index=1, item=ToolCall(call_id="a", name="f", arguments="")))

    assert b"input_json_delta" in encoder.encode(ArgumentsDelta(index=1, text="{}"))


def test_every_text_delta_is_one_event_with_the_text_escaped():
    encoder = ANTHROPIC_MESSAGES.event_encoder(CALL)
    encoder.encode(STARTED)
    encoder.encode(ItemStarted(index=0, item=Message(role="assistant", parts=())))
    encoder.encode(TextDelta(index=0, text="first"))

    data = encoder.encode(TextDelta(index=0, text='a"\n\u2028\\'))

    (event,) = parse(data)
    assert event == {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": 'a"\n\u2028\\'},
    }


def test_a_custom_tools_free_text_becomes_an_input_that_is_an_object():
    item = ToolCall(call_id="a", name="patch", arguments="*** Begin", kind="custom")

    message = accumulate(encode(replay(Answer(started=STARTED, items=(item,), finished=Finished()))))

    assert message.content[0].input == {"unparsed_arguments": "*** Begin"}


def test_an_item_that_was_never_finished_leaves_the_stream_well_formed():
    stream = encode(
        [
            STARTED,
            ItemStarted(index=0, item=ToolCall(call_id="a", name="f", arguments="")),
            ItemStarted(index=1, item=Message(role="assistant", parts=())),
            TextDelta(index=1, text="waiting"),
            Finished(reason="length"),
        ]
    )

    check(stream)
    assert accumulate(stream).stop_reason == "max_tokens"


def test_an_error_in_the_stream_is_an_event_that_the_client_raises():
    encoder = ANTHROPIC_MESSAGES.event_encoder(CALL)
    stream = encoder.encode(STARTED) + encoder.error(RateLimited("too fast"))

    with pytest.raises(anthropic.APIStatusError, match="too fast"):
        accumulate(stream)
    assert stream.split(b"\n\n")[-2].startswith(
        b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error"'
    )


def test_what_was_streamed_reads_back_as_the_same_answer():
    answer = Answer(
        started=replaced(STARTED, target=""),
        items=(
            Reasoning(text="Hm", signature="Er8=", origin="anthropic_messages"),
            Message(role="assistant", parts=(Text(text="Hi"),)),
            ToolCall(call_id="a", name="f", arguments='{"x":1}'),
        ),
        finished=Finished(reason="tool_calls", usage=USAGE),
    )
    decoder, builder = ANTHROPIC_MESSAGES.event_decoder(), AnswerBuilder()

    for name, data in SseParser().feed(encode(replay(answer))):
        for event in decoder.feed(name, data):
            builder.add(event)

    assert builder.answer() == answer
