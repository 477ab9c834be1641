"""How far a call is gets into the run's stream, as seldom as is enough, and in nobody's way."""

import anyio
import msgspec
import pytest

from gateway.agents.advancing import MANY, PAUSE, Advance
from gateway.api.mcp.following import Following
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.dialects.openai_responses import mcp_items
from gateway.dialects.openai_responses.response_object import ResponseDocument, Stored
from gateway.dialects.openai_responses.stored_encode import ADVANCED, StoredEventEncoder
from gateway.stores.runs import RunEvent

pytestmark = pytest.mark.anyio
CALL = Call(
    id="resp_1",
    operation="generate",
    dialect="openai_responses",
    model="tool/desk/echo",
    stream=True,
    caller=Caller(id="ada"),
    received=0.0,
    body=b"",
    fields={},
)
STORED = Stored(id="resp_1", created=7, model="tool/desk/echo", background=True)


class Written:
    """What a run's Writing is to this: a stream in which a call is under way, and whose turn it is."""

    def __init__(self):
        self.encoder = StoredEventEncoder(CALL, ResponseDocument(CALL.fields, CALL.id, STORED, lambda: 7.0))
        self.body = mcp_items.call("mcp_1", "desk", "echo", "{}", request="")
        self.said = [*self.encoder.begin(), *self.encoder.begin_call(self.body)]
        self.before = len(self.said)
        self.turn = anyio.Lock()

    async def put(self, said):
        self.said += said

    @property
    def events(self):
        return [RunEvent(seq=seq, name=name, data=data) for seq, name, data in self.said]

    @property
    def advanced(self):
        return [msgspec.json.decode(data) for _, _, data in self.said[self.before :]]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def world():
    written, clock = Written(), Clock()
    return written, clock, Advance(written, written.body["id"], clock)


async def test_it_is_an_event_of_the_call_with_a_number_of_its_own(world):
    written, _, advance = world
    await advance(1.0, 3.0, "one")

    [said] = written.advanced
    assert said["type"] == ADVANCED
    assert (said["item_id"], said["progress"], said["total"], said["message"]) == (written.body["id"], 1.0, 3.0, "one")
    assert [seq for seq, _, _ in written.said] == list(range(len(written.said)))


async def test_what_comes_too_soon_is_left_out_but_for_the_last(world):
    written, clock, advance = world
    for step in (1.0, 2.0, 3.0):
        await advance(step, 3.0)
    clock.now += PAUSE
    await advance(4.0)

    assert [said["progress"] for said in written.advanced] == [1.0, 3.0, 4.0]


async def test_who_says_much_is_written_ever_more_seldom(world):
    written, clock, advance = world
    for step in range(20 * MANY):
        clock.now += PAUSE
        await advance(float(step))

    assert 2 * MANY < len(written.advanced) < 6 * MANY


async def test_a_run_that_writes_something_else_is_not_waited_for(world):
    written, _, advance = world
    async with written.turn:
        with anyio.fail_after(1):
            await advance(1.0)

    assert written.advanced == []


async def test_a_call_that_has_ended_tells_nothing_any_more(world):
    written, _, advance = world
    written.encoder.end_call(mcp_items.completed(written.body, "done"))
    await advance(1.0)

    assert written.advanced == []


async def test_a_run_that_is_taken_over_goes_on_after_what_was_told(world):
    written, _, advance = world
    await advance(1.0)
    other = Written().encoder
    other.restore([(name, data) for _, name, data in written.said], None)

    assert set(other.calls) == {written.body["id"]}
    assert [seq for seq, _, _ in other.advance_call(written.body["id"], {"progress": 2.0})] == [len(written.said)]


async def test_a_client_hears_what_grows_and_nothing_twice(world):
    written, clock, advance = world
    heard = []

    async def tell(progress, total, message):
        heard.append((progress, total, message))

    for step in (1.0, 2.0, 1.0, 2.0, 3.0):
        clock.now += PAUSE
        await advance(step, 9.0, "on")
    following = Following(tell)
    for event in written.events:
        await following.take(event)

    assert heard == [(1.0, 9.0, "on"), (2.0, 9.0, "on"), (3.0, 9.0, "on")]
