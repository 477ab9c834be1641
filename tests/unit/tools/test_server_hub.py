"""What the hub does around a call, with a server that is none: checks, keys, second tries, and what is counted."""

import time
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from gateway.config.tool_settings import StdioServerSettings, ToolHubSettings, ToolSettings
from gateway.core.caller import ANONYMOUS
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import NotFound
from gateway.core.tools import ToolOutput
from gateway.providers.supervisor import RestartPolicy
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.connection import CannotConnect, Signals
from gateway.tools.definitions import Listed
from gateway.tools.hub import ToolAsked, ToolLost, ToolNotReached
from gateway.tools.server_hub import ServerHub

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


class Scripted:
    """A server that gives what it is told to, call by call; an exception is raised. It is its own connector and connection."""

    kind = "stdio"

    def __init__(self, *answers, listed=("pay",)):
        self.answers = list(answers)
        self.listed = [Listed(name=name, schema=SCHEMA) for name in listed]
        self.asked = []
        self.opened = 0

    @asynccontextmanager
    async def open(self):
        self.opened += 1
        if not self.listed:
            raise CannotConnect("it is shut")
        self.signals = Signals()
        yield self

    async def list(self):
        return self.listed

    async def call(self, asked):
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def hub_over(server, **about):
    hub = ServerHub(
        pins=PinsInMemory(),
        judging=Judging(),
        clock=SYSTEM_CLOCK,
        environment={},
        connect=lambda name, settings, environment: server,
        policy=RestartPolicy(first_delay=0.01, crash_limit=2, slow=60),
    )
    settings = StdioServerSettings(command="x", tools={"pay": ToolSettings(**about)})
    hub.configure(ToolHubSettings(servers={"bank": settings}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        yield hub
        tasks.cancel_scope.cancel()


async def pay(hub, arguments=None):
    (tool,) = await hub.tools("bank")
    return await hub.call(ToolAsked(tool=tool, arguments=arguments or {}, key="key-1", caller=ANONYMOUS))


DONE = ToolOutput(text="done")
UNSENT, GONE = ToolNotReached("not sent"), ToolLost("gone")


async def test_what_was_not_sent_is_sent_again_with_its_key():
    server = Scripted(UNSENT, DONE)
    async with hub_over(server) as hub:
        assert await pay(hub) == DONE

        assert [asked.key for asked in server.asked] == ["key-1", "key-1"]
        assert hub.counts.calls.values() == {("bank", "pay", "ok"): 1}


async def test_it_is_sent_twice_at_most():
    server = Scripted(UNSENT, UNSENT, DONE)
    async with hub_over(server) as hub:
        with pytest.raises(ToolNotReached):
            await pay(hub)

        assert hub.counts.calls.values() == {("bank", "pay", "not_reached"): 1}


@pytest.mark.parametrize(("effect", "calls"), [("once", 1), ("idempotent", 2), ("read", 2)])
async def test_what_may_have_been_done_is_done_again_only_where_that_is_nothing_more(effect, calls):
    server = Scripted(GONE, GONE)
    async with hub_over(server, effect=effect) as hub:
        with pytest.raises(ToolLost):
            await pay(hub)

    assert len(server.asked) == calls


async def test_a_second_try_that_did_nothing_does_not_undo_the_first():
    """The first may have been done: that is what the caller must know."""
    async with hub_over(Scripted(GONE, UNSENT), effect="idempotent") as hub:
        with pytest.raises(ToolLost):
            await pay(hub)


async def test_a_call_that_is_out_is_never_said_to_have_found_no_place():
    """However late this process notices that its time is up: the loop is held up over the deadline."""

    class Slow(Scripted):
        async def call(self, asked):
            end = time.monotonic() + asked.seconds + 0.05
            while time.monotonic() < end:
                """Hold up the loop: that is what is tried."""
            await anyio.lowlevel.checkpoint()
            raise ToolLost("no answer came")

    async with hub_over(Slow(), timeout=0.1) as hub:
        with pytest.raises(ToolLost):
            await pay(hub)


async def test_arguments_that_do_not_fit_are_not_sent():
    server = Scripted(DONE)
    async with hub_over(server) as hub:
        output = await pay(hub, {"n": "one"})

        assert output.is_error
        assert "$.n" in output.text
        assert hub.counts.calls.values() == {("bank", "pay", "invalid"): 1}
    assert server.asked == []


async def test_a_server_that_failed_says_why_and_one_that_is_unknown_is_not_found():
    async with hub_over(Scripted(listed=())) as hub:
        with anyio.fail_after(5):
            while hub.server("bank").state != "failed":
                await anyio.sleep(0.001)

        with pytest.raises(ToolNotReached, match="it is shut"):
            await hub.tools("bank")
        with pytest.raises(NotFound):
            await hub.tools("shop")
        shown = "\n".join(line for metric in hub.counts.metrics for line in metric.render())
        assert 'switchgear_tool_server_up{server="bank"} 0' in shown


async def test_what_waits_for_a_place_longer_than_its_time_was_not_sent():
    server = Scripted()
    async with hub_over(server, timeout=0.05) as hub:
        (tool,) = await hub.tools("bank")
        upstream = hub._upstreams["bank"]
        for place in range(32):
            await upstream._slots.acquire_on_behalf_of(place)

        with pytest.raises(ToolNotReached, match="no place"):
            await hub.call(ToolAsked(tool=tool, arguments={}, key="k", caller=ANONYMOUS))
    assert server.asked == []


class Restless(Scripted):
    """A server that tells of a change with each list."""

    looks = 0

    async def list(self):
        self.looks += 1
        self.signals.look_again()
        return self.listed


async def test_a_server_that_tells_of_changes_without_pause_is_looked_at_with_one():
    server = Restless(DONE)
    async with hub_over(server) as hub:
        assert await pay(hub) == DONE
        with anyio.move_on_after(0.6):
            await anyio.sleep_forever()

    assert 2 <= server.looks <= 5
