"""One record for each call, whatever happens to it: success, error, crash, or a client that leaves at any moment."""

import asyncio

import anyio
import pytest

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.decision import Considered, Decision
from gateway.core.errors import ClientLeft, RateLimited, Unavailable, UpstreamTimeout
from gateway.core.events import CutShort, Decided, Degraded, Finished, Spent, Started, TextDelta, Tried, Verbatim
from gateway.core.record import Beside
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.pipeline.recorded import NANO, Recorded

USAGE = Usage(input=10, output=5)
STARTED = Started(id="1", model="m", created=0, target="up/big", waited=0.25, dropped=("seed",))
PROMPT_ALONE = Usage(input=10, output=0, estimated=True)
FINISHED = Finished(reason="stop", usage=USAGE)
ANSWER = (STARTED, TextDelta(index=0, text="a"), TextDelta(index=0, text="b"), FINISHED)
TARGETS = (Target(provider="gpu", model="small"), Target(provider="up", model="big"))


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 100.0

    @property
    def clock(self):
        return Clock(monotonic=lambda: self.now, wall=lambda: 1_700_000_000.0 + self.now)


class Prices:
    """Gives a cost of one dollar a token at one target, and keeps what it was asked."""

    def __init__(self, priced="up/big"):
        self.priced = priced
        self.asked = []

    def nano(self, target, usage):
        self.asked.append((target, usage))
        return usage.total * NANO if target == self.priced else None


class Stage:
    """The stage under test around a scripted answer, with everything it hands over kept."""

    def __init__(self, answer):
        self.time = Time()
        self.prices = Prices()
        self.records = []
        self.sent = []
        self._stage = Recorded(
            answer, targets=TARGETS, take=self.records.append, cost=self.prices.nano, clock=self.time.clock
        )

    async def send(self, event):
        self.sent.append(event)

    async def run(self, operation="generate", run="", **fields):
        call = Call(
            id="call_1", operation=operation, dialect="openai_chat", model="chat", stream=True, caller=Caller(id="key_7"),
            received=99.0, body=b"x" * 40, fields=fields, run=run,
        )  # fmt: skip
        await self._stage(call, self.send)

    @property
    def record(self):
        (record,) = self.records
        return record


def playing(*events, error=None):
    """A responder that sends these events, and raises the error at the end."""

    async def respond(call, send):
        for event in events:
            await send(event)
        if error is not None:
            raise error

    return respond


async def test_a_call_that_succeeded_is_recorded_whole():
    stage = Stage(playing(*ANSWER))
    await stage.run()
    record = stage.record

    assert stage.sent == list(ANSWER)
    assert (record.id, record.caller, record.model, record.dialect, record.stream) == (
        "call_1", "key_7", "chat", "openai_chat", True,
    )  # fmt: skip
    assert (record.provider, record.served, record.route) == ("up", "big", ("up/big",))
    assert (record.status, record.error, record.finish_reason) == (200, None, "stop")
    assert (record.usage, record.cost) == (USAGE, 15.0)
    assert record.dropped == ("seed",)


@pytest.mark.parametrize("run", ["", "resp_1"])
async def test_the_run_that_made_a_call_stands_in_its_record(run):
    stage = Stage(playing(*ANSWER))
    await stage.run(run=run)

    assert stage.record.run == run


async def test_times_run_from_the_arrival_of_the_call():
    async def respond(call, send):
        await send(STARTED)
        stage.time.now += 2
        await send(TextDelta(index=0, text="a"))
        stage.time.now += 3
        await send(TextDelta(index=0, text="b"))
        await send(FINISHED)

    stage = Stage(respond)
    await stage.run()

    # It arrived at 99, a second before the clock's first reading.
    assert stage.record.first_token == pytest.approx(3)
    assert stage.record.duration == pytest.approx(6)
    assert stage.record.upstream == 0.25
    assert stage.record.started_at == pytest.approx(1_700_000_099.0)


async def test_a_verbatim_piece_is_the_first_content():
    stage = Stage(playing(STARTED, Verbatim(b"data"), FINISHED))
    await stage.run()

    assert stage.record.first_token == pytest.approx(1)


@pytest.mark.parametrize("piece", [b'data: {"a": 1}\n\n', b': ping\n\ndata: {"a": 1}\n\n', b"event: ping\n\n", b"{}"])
async def test_a_comment_of_a_verbatim_stream_is_no_content(piece):
    """llama.cpp's kin write `: prompt 0/1` while they read a prompt: the first token is still to come."""

    async def respond(call, send):
        await send(STARTED)
        await send(Verbatim(b": prompt 0/1\n\n"))
        stage.time.now += 30
        await send(Verbatim(b": prompt 1/2\n\n: prompt 2/2\n\n"))
        await send(Verbatim(piece))
        stage.time.now += 5
        await send(FINISHED)

    stage = Stage(respond)
    await stage.run()

    assert stage.record.first_token == pytest.approx(31)


async def test_a_stream_of_comments_alone_has_no_first_token():
    stage = Stage(playing(STARTED, Verbatim(b": prompt 0/1\n\n"), error=UpstreamTimeout("idle")))
    with pytest.raises(UpstreamTimeout):
        await stage.run()

    assert stage.record.first_token is None


async def test_an_error_is_recorded_and_still_raised():
    stage = Stage(playing(error=RateLimited("slow down")))
    with pytest.raises(RateLimited):
        await stage.run()

    assert (stage.record.status, stage.record.error) == (429, "rate_limit_exceeded")
    assert (stage.record.usage, stage.record.cost, stage.record.first_token) == (None, None, None)


async def test_an_error_before_any_answer_names_the_target_that_failed():
    stage = Stage(
        playing(Tried(target="gpu/small", error="upstream_broken", following="up/big"), error=UpstreamTimeout("late"))
    )
    with pytest.raises(UpstreamTimeout):
        await stage.run()

    assert stage.record.route == ("gpu/small", "up/big")
    assert (stage.record.provider, stage.record.served) == ("up", "big")


async def test_targets_that_were_tried_stand_in_the_route():
    stage = Stage(playing(Tried(target="gpu/small", error="upstream_broken", following="up/big"), *ANSWER))
    await stage.run()

    assert stage.record.route == ("gpu/small", "up/big")
    assert stage.record.error is None


async def test_a_crash_is_recorded_as_ours_and_not_hidden():
    stage = Stage(playing(STARTED, error=ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        await stage.run()

    assert (stage.record.status, stage.record.error) == (500, "internal_error")


async def test_a_sink_for_the_answer_that_fails_is_a_crash_too():
    stage = Stage(playing(*ANSWER))

    async def send(event):
        raise OSError("the connection is gone")

    stage.send = send
    with pytest.raises(OSError, match="gone"):
        await stage.run()

    assert (stage.record.status, stage.record.error) == (500, "internal_error")


@pytest.mark.parametrize("passed", range(len(ANSWER) + 1))
async def test_a_client_that_leaves_at_any_event_is_recorded_once(passed):
    """Billed wrong elsewhere: an answer that was cut off at event 0, 1 or n. Exactly one record, with what is known."""
    reached = asyncio.Event()

    async def respond(call, send):
        for event in ANSWER[:passed]:
            await send(event)
        reached.set()
        await asyncio.Event().wait()

    stage = Stage(respond)
    task = asyncio.ensure_future(stage.run())
    with anyio.fail_after(5):
        await reached.wait()
        task.cancel(ClientLeft("gone"))
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (stage.record.status, stage.record.error) == (499, "client_left")
    assert (stage.record.first_token is None) == (passed < 2)
    assert stage.record.usage == (USAGE if passed == len(ANSWER) else PROMPT_ALONE)


@pytest.mark.parametrize("reason", [Unavailable("the drain took too long"), "Cancelled by cancel scope 7f", None])
async def test_a_call_that_the_server_cut_is_no_client_that_left(reason):
    """docs/observe.md: 499 is for clients that left. Who was cut off by the drain's deadline saw a 503."""
    reached = asyncio.Event()

    async def respond(call, send):
        reached.set()
        await asyncio.Event().wait()

    stage = Stage(respond)
    task = asyncio.ensure_future(stage.run())
    with anyio.fail_after(5):
        await reached.wait()
        task.cancel(reason)
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (stage.record.status, stage.record.error) == (503, "unavailable")


async def test_what_is_known_of_an_answer_that_was_left_goes_before_an_estimate():
    used = Usage(input=7, output=2, estimated=True)
    stage = Stage(playing(*ANSWER[:2], CutShort(usage=used), error=asyncio.CancelledError(ClientLeft("gone"))))
    with pytest.raises(asyncio.CancelledError):
        await stage.run()

    assert stage.record.usage == used


async def test_a_token_count_that_was_left_used_nothing():
    stage = Stage(playing(error=asyncio.CancelledError(ClientLeft("gone"))))
    with pytest.raises(asyncio.CancelledError):
        await stage.run(operation="count_tokens")

    assert stage.record.usage is None


async def test_what_a_cut_short_answer_used_is_billed():
    used = Usage(input=10, output=2, estimated=True)
    stage = Stage(playing(*ANSWER[:2], CutShort(usage=used), error=UpstreamTimeout("idle")))
    with pytest.raises(UpstreamTimeout):
        await stage.run()

    assert (stage.record.usage, stage.record.cost) == (used, 12.0)


async def test_an_error_inside_a_verbatim_answer_is_the_records_error():
    stage = Stage(playing(STARTED, Verbatim(b"x"), Finished(error="overloaded_error")))
    await stage.run()

    assert stage.record.error == "overloaded_error"


async def test_the_cost_is_that_of_the_target_that_answered():
    stage = Stage(playing(Tried(target="gpu/small", error="upstream_broken", following="up/big"), *ANSWER))
    await stage.run()

    assert stage.prices.asked == [("up/big", USAGE)]


async def test_what_others_used_stands_beside_the_answer_with_its_own_cost():
    early, late = Spent(target="up/big", usage=PROMPT_ALONE, why="hedge"), Spent(target="a/b", usage=USAGE, why="judge")
    stage = Stage(playing(early, *ANSWER[:-1], late, FINISHED))
    await stage.run()

    assert stage.record.beside == (
        Beside("up/big", "hedge", PROMPT_ALONE, 10 * NANO),
        Beside("a/b", "judge", USAGE, None),
    )
    assert (stage.record.usage, stage.record.cost_nano) == (USAGE, 15 * NANO)
    assert stage.sent == list(ANSWER)


async def test_no_usage_is_no_cost_and_not_zero():
    stage = Stage(playing(STARTED, Verbatim(b"x"), Finished()))
    await stage.run()

    assert (stage.record.usage, stage.record.cost, stage.prices.asked) == (None, None, [])


async def test_an_unknown_price_is_null_and_not_zero():
    stage = Stage(playing(*ANSWER))
    stage.prices.priced = "other/model"
    await stage.run()

    assert (stage.record.usage, stage.record.cost) == (USAGE, None)


async def test_parameters_are_recorded_and_content_is_not():
    stage = Stage(playing(*ANSWER))
    await stage.run(
        temperature=0.5, max_tokens=7, parallel_tool_calls=False, service_tier="x" * 1000, messages=[{"content": "secret"}],
        seed=[1], user="me",
    )  # fmt: skip

    assert stage.record.parameters == {"temperature": 0.5, "max_tokens": 7, "parallel_tool_calls": False}


async def test_how_a_call_was_degraded_is_told_and_recorded():
    stage = Stage(playing(Degraded("queue", "overloaded"), *ANSWER))
    await stage.run()

    assert stage.sent[0].headers == (*STARTED.headers, (b"x-switchgear-degraded", b"queue"))
    assert (stage.record.degraded, stage.record.error, stage.record.status) == ("queue", None, 200)


async def test_a_static_answer_does_not_hide_why_there_was_none_and_costs_nothing():
    stage = Stage(playing(Degraded("static", "upstream_broken"), *ANSWER))
    await stage.run()

    assert (stage.record.degraded, stage.record.error, stage.record.status) == ("static", "upstream_broken", 200)
    assert (stage.record.cost_nano, stage.record.cost) == (0, 0)


async def test_a_step_that_did_not_answer_is_not_recorded():
    stage = Stage(playing(Degraded("queue", "overloaded"), error=UpstreamTimeout("late")))
    with pytest.raises(UpstreamTimeout):
        await stage.run()

    assert (stage.record.degraded, stage.record.error) == ("", "upstream_timeout")


async def test_who_left_while_waiting_for_a_place_has_used_nothing():
    full = Decision("fallback", (Considered("up/big", "full"),))
    stage = Stage(playing(Decided(full), error=asyncio.CancelledError(ClientLeft("gone"))))
    with pytest.raises(asyncio.CancelledError):
        await stage.run()

    assert (stage.record.usage, stage.record.provider, stage.record.error) == (None, None, "client_left")
