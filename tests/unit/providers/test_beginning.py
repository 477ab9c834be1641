"""A stream that has said nothing yet is held back, so that another target can still answer; what it says goes out whole."""

import pytest

from gateway.core.errors import SwitchgearError, UpstreamBroken
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.providers.beginning import MOST_HELD, Beginning

FILTERS = b'data: {"id": "", "choices": [], "prompt_filter_results": []}\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0}}\n\n'
WORD = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"He said \\"choices\\":[]"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "pieces", [[FILTERS], [FILTERS, DONE], [USAGE, DONE], [FILTERS + USAGE + DONE], [b": hm\n\n" + DONE]]
)
def test_what_has_no_choice_is_held_back(pieces):
    beginning = Beginning(OPENAI_CHAT)

    assert [beginning.take(piece) for piece in (*pieces, b"")] == [b""] * (len(pieces) + 1)
    assert not beginning.over


@pytest.mark.parametrize("pieces", [[WORD], [FILTERS, WORD], [FILTERS + WORD], [FILTERS, USAGE, WORD], [b": hm\n\n"]])
def test_what_was_held_goes_out_with_the_first_word(pieces):
    beginning = Beginning(OPENAI_CHAT)
    given = [beginning.take(piece) for piece in pieces]

    assert given == [b""] * (len(pieces) - 1) + [b"".join(pieces)]
    assert beginning.over


@pytest.mark.parametrize("dialect", [OPENAI_RESPONSES, ANTHROPIC_MESSAGES])
def test_a_message_or_response_that_began_is_something(dialect):
    event = b'event: ping\ndata: {"type": "ping", "choices": []}\n\n'

    assert Beginning(dialect).take(event) == event


def test_an_error_before_the_first_word_is_raised():
    beginning = Beginning(OPENAI_CHAT)
    beginning.take(FILTERS)
    with pytest.raises(SwitchgearError) as raised:
        beginning.take(b'data: {"error": {"message": "Overloaded.", "code": 503}}\n\n')

    assert raised.value.message == "Overloaded."


def test_no_more_is_held_than_the_bound():
    beginning = Beginning(OPENAI_CHAT)
    pieces = [beginning.take(FILTERS) for _ in range(MOST_HELD // len(FILTERS) + 2)]

    assert beginning.over
    assert sum(map(len, pieces)) >= MOST_HELD


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES])
@pytest.mark.parametrize(
    "event",
    [
        b'data: {"id": "x", "choi\n\n',
        b"event: message_start\ndata: <html>\n\n",
        b'data: {"id": "x", "choi',
        b"data: {\ndata: [}\n\n",
    ],
)
def test_a_stream_that_begins_with_a_broken_event_is_an_error_that_another_target_can_mend(dialect, event):
    with pytest.raises(UpstreamBroken):
        Beginning(dialect).take(event)


def test_an_event_in_several_lines_is_whole():
    event = b'data: {"id": "c",\ndata: "choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\n'

    assert Beginning(OPENAI_CHAT).take(event) == event
