"""The stream of a stored response: one, however many processes and answers it takes, and wherever one of them breaks off."""

import msgspec
import pytest

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import UpstreamUnreachable
from gateway.core.events import (
    ArgumentsDelta,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
)
from gateway.core.items import Message, Reasoning, Refusal, Text, ToolCall
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.response_object import ResponseDocument, Stored
from gateway.dialects.openai_responses.stored_encode import TERMINAL, StoredEventEncoder
from gateway.dialects.openai_responses.stream_decode import ResponsesEventDecoder

STORED = Stored(id="resp_1", created=7, model="talker", background=True, previous="resp_0")
THOUGHT = Reasoning(text="Hm, well.", summary=("A digest",), origin="openai_responses", id="rs_1")
SAID = Message(role="assistant", parts=(Text(text="Hello you"), Refusal(text="No.")), id="msg_1")
CALLED = ToolCall(call_id="call_1", name="look", arguments='{"at":"it"}', id="fc_1")


CALL = Call(
    id="resp_1",
    operation="generate",
    dialect="openai_responses",
    model="talker",
    stream=True,
    caller=Caller(id="ada"),
    received=0.0,
    body=b"",
    fields={"model": "talker", "instructions": "Be brief."},
)


def encoder(stored=STORED, wall=lambda: 1234.9):
    return StoredEventEncoder(CALL, ResponseDocument(CALL.fields, CALL.id, stored, wall))


def answer():
    """What a model says that thinks, speaks, refuses and calls."""
    yield Started(id="up", model="upstream", created=1, target="up/model")
    yield ItemStarted(index=0, item=Reasoning(id="rs_1", origin="openai_responses"))
    yield ReasoningDelta(index=0, kind="summary", text="A digest")
    yield ReasoningDelta(index=0, text="Hm, ")
    yield ReasoningDelta(index=0, text="well.")
    yield ItemFinished(index=0, item=THOUGHT)
    yield ItemStarted(index=1, item=Message(role="assistant", parts=(), id="msg_1"))
    yield TextDelta(index=1, text="Hello ")
    yield TextDelta(index=1, text="you")
    yield RefusalDelta(index=1, part=1, text="No.")
    yield ItemFinished(index=1, item=SAID)
    yield ItemStarted(index=2, item=ToolCall(call_id="call_1", name="look", arguments="", id="fc_1"))
    yield ArgumentsDelta(index=2, text='{"at":')
    yield ArgumentsDelta(index=2, text='"it"}')
    yield ItemFinished(index=2, item=CALLED)
    yield Finished(reason="tool_calls", usage=Usage(input=10, output=5, reasoning=2))


def spoken(one):
    """The whole answer by one encoder, in groups of events that are written together."""
    return [said for said in (one.take(event) for event in answer()) if said]


def check(events):
    """Gapless, begun and ended once, each item closed; the last document."""
    assert [seq for seq, _, _ in events] == list(range(len(events)))
    assert [name for _, name, _ in events].count("response.created") == 1
    assert [name for _, name, _ in events if name in TERMINAL] == [events[-1][1]]
    fields = [msgspec.json.decode(data) for _, _, data in events]
    assert [one["sequence_number"] for one in fields] == list(range(len(events)))
    opened = [one["output_index"] for one in fields if one["type"] == "response.output_item.added"]
    closed = [one["output_index"] for one in fields if one["type"] == "response.output_item.done"]
    assert opened == closed == list(range(len(opened)))
    done = [one["item"] for one in fields if one["type"] == "response.output_item.done"]
    assert fields[-1]["response"]["output"] == done
    return fields[-1]["response"]


def test_several_answers_make_one_response():
    one = encoder()
    events = one.begin()
    first = [event for group in spoken(one) for event in group]
    items = one.end_step()
    second = [event for group in spoken(one) for event in group]
    one.end_step()
    response = check(events + first + second + one.finish())

    assert [item["id"] for _, item in items] == ["rs_1", "msg_1", "fc_1"]
    assert len(response["output"]) == 6
    assert response["usage"]["input_tokens"] == 20
    assert response["usage"]["output_tokens_details"] == {"reasoning_tokens": 4}
    assert (response["id"], response["created_at"], response["model"]) == ("resp_1", 7, "talker")
    assert (response["background"], response["store"], response["previous_response_id"]) == (True, True, "resp_0")


GROUPS = len(spoken(encoder()))


@pytest.mark.parametrize("cut", range(GROUPS + 1))
def test_another_process_goes_on_wherever_one_broke_off(cut):
    """What was open is closed with what was heard; clients see one stream, and read it as they read any."""
    one = encoder()
    written = one.begin()
    for group in spoken(one)[:cut]:
        written += group
    two = encoder()
    two.restore([(name, data) for _, name, data in written], None)
    after = two.break_off()
    items_before = two.end_step()
    for group in spoken(two):
        after += group
    settled = two.end_step()
    after += two.finish()
    response = check(written + after)

    assert items_before == []
    assert [item["id"] for _, item in settled] == ["rs_1", "msg_1", "fc_1"]
    assert response["output"][-3:] == [item for _, item in settled]
    assert response["status"] == "completed"
    for broken in response["output"][:-3]:
        assert broken["type"] == "reasoning" or broken["status"] in ("completed", "incomplete")
    decoder = ResponsesEventDecoder()
    heard = [event for _, name, data in written + after for event in decoder.feed(name, data)]
    assert isinstance(heard[-1], Finished)
    assert heard[-1].usage == Usage(input=10, output=5, reasoning=2)


@pytest.mark.parametrize("cut", range(GROUPS + 1))
@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_stream_that_is_ended_anywhere_keeps_what_was_heard(cut, end):
    one = encoder()
    events = one.begin()
    said = ""
    for event in list(answer())[:-1][: cut + 1]:
        events += one.take(event)
        said += event.text if isinstance(event, TextDelta) else ""
    events += one.cancel() if end == "cancel" else one.fail(UpstreamUnreachable("The line is dead."))
    response = check(events)

    assert response["status"] == {"cancel": "cancelled", "fail": "failed"}[end]
    assert (response["error"] is None) == (end == "cancel")
    heard = [item["content"][0]["text"] for item in response["output"] if item["type"] == "message" and item["content"]]
    assert "".join(heard) == said


def test_what_was_taken_over_twice_is_closed_twice():
    written = encoder().begin()
    for _ in range(3):
        one = encoder()
        one.restore([(name, data) for _, name, data in written], None)
        written += one.break_off()
        for event in list(answer())[:8]:
            written += one.take(event)
    last = encoder()
    last.restore([(name, data) for _, name, data in written], Usage(input=1, output=1, estimated=True))
    written += last.fail(UpstreamUnreachable("The line is dead."))
    response = check(written)

    texts = [(item["status"], item["content"][0]["text"]) for item in response["output"] if item["type"] == "message"]
    assert texts == [("incomplete", "Hello ")] * 3
    assert response["usage"]["input_tokens"] == 1


def test_what_cannot_be_read_is_passed_over():
    one = encoder()
    one.pass_over(17)
    [(seq, name, data)] = one.fail(UpstreamUnreachable("No."))

    assert (seq, name) == (17, "response.failed")
    assert msgspec.json.decode(data)["response"]["output"] == []


def test_one_that_works_in_the_background_is_queued_first():
    events = encoder().begin()

    assert [(name, msgspec.json.decode(data)["response"]["status"]) for _, name, data in events] == [
        ("response.created", "queued"),
        ("response.queued", "queued"),
        ("response.in_progress", "in_progress"),
    ]
    assert [number for number, _, _ in events] == [0, 1, 2]


def test_one_that_is_waited_for_is_not():
    begun = encoder(msgspec.structs.replace(STORED, background=False)).begin()

    assert [name for _, name, _ in begun] == ["response.created", "response.in_progress"]


@pytest.mark.parametrize(("reason", "at"), [("stop", 1234), ("length", None)])
def test_when_it_was_completed_is_said_of_one_that_is_complete(reason, at):
    one = encoder()
    one.begin()
    one.take(Finished(reason=reason))
    [*_, (_, _, last)] = one.finish()

    assert msgspec.json.decode(last)["response"]["completed_at"] == at


def test_one_that_ended_otherwise_was_not_completed():
    for end in (lambda one: one.cancel(), lambda one: one.fail(UpstreamUnreachable("It broke."))):
        one = encoder()
        one.begin()
        [*_, (_, _, last)] = end(one)
        assert msgspec.json.decode(last)["response"]["completed_at"] is None
