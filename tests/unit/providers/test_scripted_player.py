"""A script's delays stand for an upstream's time, so that a demonstration shows the gateway's own overhead as it is."""

import time

import pytest

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.content import Prompt
from gateway.core.events import Started, TextDelta
from gateway.core.items import Message, Text
from gateway.providers.scripted.choose import Situation, situation
from gateway.providers.scripted.document import ScriptedAnswer
from gateway.providers.scripted.player import play

NOW = Situation(user="hello", tool_result=None, tool=None, turn=0)
TIMER_TICK = 0.001  # uvloop counts in milliseconds: a sleep may end so much early
STARTED = Started(id="1", model="m", created=0, target="play/m")


async def events_of(answer, now):
    events = []

    async def send(event):
        events.append(event)

    call = Call(
        id="call_1", operation="generate", dialect="openai_chat", model="m", stream=True, caller=Caller(id="k"),
        received=0.0, body=b"{}", fields={},
    )  # fmt: skip
    await play(answer, now, call, STARTED, send)
    return events


async def started_of(answer):
    began = time.perf_counter()
    events = await events_of(answer, NOW)
    return events[0], time.perf_counter() - began


async def test_the_delay_before_an_answer_is_time_spent_waiting_for_the_upstream():
    """Seen: a delay of 200 ms was reported as 200 ms of x-switchgear-overhead-ms."""
    started, took = await started_of(ScriptedAnswer(say="hi", delay=0.02))

    assert 0.02 - TIMER_TICK <= started.waited <= took


async def test_an_answer_without_delay_has_waited_for_nothing():
    started, _ = await started_of(ScriptedAnswer(say="hi"))

    assert started.waited == 0


@pytest.mark.parametrize(("asked", "told"), [(True, [-0.5, -0.5]), (None, [])])
async def test_log_probabilities_are_told_to_who_asks(asked, told):
    marks = []

    async def send(event):
        marks.extend(getattr(event, "logprobs", None) or ())

    call = Call(
        id="call_1", operation="generate", dialect="openai_chat", model="m", stream=True, caller=Caller(id="k"),
        received=0.0, body=b"{}", fields={}, content=Prompt(items=(), logprobs=asked),
    )  # fmt: skip
    await play(ScriptedAnswer(say="hi there", logprob=-0.5), NOW, call, STARTED, send)

    assert [mark["logprob"] for mark in marks] == told
    assert "".join(mark["token"] for mark in marks) == ("hi there" if asked else "")


async def test_an_answer_whose_beginning_is_given_goes_on_from_there():
    asked = Message(role="user", parts=(Text(text="count"),))
    now = situation([asked, Message(role="assistant", parts=(Text(text="one two"),))])
    events = await events_of(ScriptedAnswer(say="one two three"), now)

    assert (now.user, now.turn, now.begun) == ("count", 0, "one two")
    assert [event.text for event in events if isinstance(event, TextDelta)] == [" three"]
