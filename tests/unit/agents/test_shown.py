"""What of a run is shown in dialects that know no tools of the server. Promised by docs/agents.md."""

import msgspec
import pytest

from gateway.agents.shown import MOST_SHOWN, Shown
from gateway.core.errors import SwitchgearError
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.stores.runs import RunEvent

RESPONSE = {"id": "resp_1", "model": "agent/clerk", "created_at": 1, "status": "in_progress", "output": []}


class Stream:
    """A run's events, as they are said."""

    def __init__(self):
        self.shown, self.events = Shown(), []
        self.say("response.created", response=RESPONSE)

    def say(self, name, **fields):
        data = msgspec.json.encode({"type": name, **fields})
        self.events += self.shown.take(RunEvent(seq=len(self.events), name=name, data=data))

    def item(self, place, **body):
        self.say("response.output_item.added", output_index=place, item=body)
        self.say("response.output_item.done", output_index=place, item=body)

    def message(self, place, text):
        part = {"type": "output_text", "text": text, "annotations": []}
        self.item(place, type="message", id=f"msg_{place}", role="assistant", status="completed", content=[part])

    def end(self, name="completed", **more):
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        self.say(f"response.{name}", response={**RESPONSE, "status": name, "usage": usage, **more})

    @property
    def text(self):
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


def call(place):
    return {
        "type": "mcp_call", "id": f"mcp_{place}", "server_label": "desk", "name": "look", "arguments": "{}",
        "output": "seen", "error": None, "status": "completed",
    }  # fmt: skip


def question(place, arguments='{"a":1}'):
    return {
        "type": "mcp_approval_request", "id": f"mcpr_{place}", "server_label": "desk", "name": "send", "arguments": arguments,
    }  # fmt: skip


def test_text_is_shown_and_calls_of_tools_are_not():
    stream = Stream()
    stream.item(0, type="mcp_list_tools", id="mcpl_1", server_label="desk", tools=[])
    stream.message(1, "I look. ")
    stream.item(2, **call(2))
    stream.message(3, "Seen.")
    stream.end()

    assert stream.text == "I look. Seen."
    assert [event.index for event in stream.events if isinstance(event, ItemStarted)] == [0, 1]
    assert [event.index for event in stream.events if isinstance(event, ItemFinished)] == [0, 1]
    assert isinstance(stream.events[0], Started)
    assert isinstance(stream.events[-1], Finished)
    assert stream.events[-1].reason == "stop"
    assert (stream.events[-1].usage.input_total, stream.events[-1].usage.output_total) == (3, 4)
    assert stream.shown.ended


def test_functions_of_the_client_are_handed_over():
    stream = Stream()
    stream.item(0, **call(0))
    stream.item(1, type="function_call", id="fc_1", call_id="call_1", name="mine", arguments="{}", status="completed")
    stream.end(output=[{"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "mine", "arguments": "{}"}])

    assert [event.item.name for event in stream.events if isinstance(event, ItemFinished)] == ["mine"]
    assert stream.events[-1].reason == "tool_calls"


def test_a_run_that_waits_says_what_for_and_how_it_is_found():
    stream = Stream()
    stream.item(0, **question(0))
    stream.item(1, **question(1))
    stream.end()

    for word in ("waits for a person", "these calls of tools", "resp_1", "mcpr_0", "mcpr_1", 'desk/send {"a":1}'):
        assert word in stream.text
    assert stream.events[-1].reason == "stop"


def test_a_run_that_waits_for_an_answer_says_what_is_asked():
    stream = Stream()
    stream.item(0, **question(0), question={"message": "Which colour?", "schema": None, "url": None})
    stream.end()

    assert "waits for a person's answer" in stream.text
    assert "Which colour? (approval mcpr_0)" in stream.text
    assert "approve" not in stream.text.replace("approval", "")


def test_a_note_is_bounded():
    stream = Stream()
    stream.item(0, **question(0, "x" * 100_000))
    stream.end()

    assert len(stream.text) < MOST_SHOWN + 500


def test_a_run_that_failed_is_an_error():
    stream = Stream()
    with pytest.raises(SwitchgearError):
        stream.end("failed", error={"code": "server_error", "message": "Oh no."})

    assert not stream.shown.ended
