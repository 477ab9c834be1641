"""The stage in front of a model: nothing goes further than its limits allow, and the answer says what is left."""

import anyio.lowlevel
import pytest

from gateway.core.call import Call
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import LimitExceeded
from gateway.core.events import Event, Finished, Started, Verbatim
from gateway.core.responder import Lane, Responder, Send, lane_of
from gateway.pipeline.limited import Limited
from gateway.pipeline.recorded import Recorded
from tests.unit.accounting.limits.limit_doubles import call_of

LEFT = ((b"x-ratelimit-remaining-requests", b"9"),)
FROM_UPSTREAM = ((b"x-ratelimit-remaining-requests", b"4000"),)
ITS_ID = ((b"x-request-id", b"abc"),)


class Limits:
    """Admits, or refuses, and says what is left."""

    def __init__(self, *, headers=LEFT, refuses: bool = False) -> None:
        self._headers = headers
        self._refuses = refuses

    def admit(self, call: Call, count_input):
        assert call.id == "call_1"
        if self._refuses:
            raise LimitExceeded("no room", limit="rpm", window="per minute", retry_after=3)
        return self._headers


class DistantLimits(Limits):
    """The same, after a while."""

    async def admit(self, call: Call, count_input):
        await anyio.lowlevel.checkpoint()
        return super().admit(call, count_input)


class Receiver:
    """A Send with a short way."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.taken: list[bytes] = []

    async def __call__(self, event: Event) -> None:
        self.events.append(event)

    def lane(self) -> Lane:
        return lambda data: not self.taken.append(data)


async def upstream(call: Call, send: Send) -> None:
    await send(
        Started(
            id=call.id,
            model="m",
            created=0,
            target="p/m",
            headers=ITS_ID,
            limits=FROM_UPSTREAM,
            content_type="text/plain",
        )
    )
    await send(Verbatim(b"a"))
    lane = lane_of(send)
    assert lane is not None
    assert lane(b"b")
    await send(Finished())


async def answered(limits: Limits, *, recorded: bool = False) -> Receiver:
    receiver = Receiver()
    limited: Responder = Limited(upstream, limits)
    if recorded:
        limited = Recorded(
            limited, targets=(), take=lambda record: None, cost=lambda target, usage: None, clock=SYSTEM_CLOCK
        )
    await limited(call_of("call_1"), receiver)
    return receiver


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("limits", [Limits(), DistantLimits()])
async def test_the_answer_says_what_is_left_of_our_limits_and_not_of_the_upstreams(limits, recorded):
    receiver = await answered(limits, recorded=recorded)

    started = receiver.events[0]
    assert isinstance(started, Started)
    assert (started.headers, started.limits) == (ITS_ID, LEFT)
    assert receiver.taken == [b"b"]
    assert receiver.events[1:] == [Verbatim(b"a"), Finished()]


@pytest.mark.parametrize("limits", [Limits(headers=()), DistantLimits(headers=())])
async def test_an_answer_without_limits_passes_as_it_is(limits):
    receiver = await answered(limits)

    started = receiver.events[0]
    assert isinstance(started, Started)
    assert (started.headers, started.limits) == (ITS_ID, FROM_UPSTREAM)


@pytest.mark.parametrize("limits", [Limits(refuses=True), DistantLimits(refuses=True)])
async def test_a_refused_call_reaches_no_upstream(limits):
    async def never(call: Call, send: Send) -> None:
        raise AssertionError

    with pytest.raises(LimitExceeded):
        await Limited(never, limits)(call_of("call_1"), Receiver())
