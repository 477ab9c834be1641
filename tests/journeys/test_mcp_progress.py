"""A client of /mcp hears how far its call is, wherever the call is made: here, in another replica, and after people have agreed to it."""

import sys
from pathlib import Path

import anyio
import pytest
from mcp_types import ElicitResult

from tests.journeys.mcp_world import MODES, answer, client_of, gateway_with, waiting, wire

pytestmark = pytest.mark.anyio
OFFERING = Path(__file__).resolve().parents[1] / "mcp_offering_double.py"
MCP = '{servers: {memos: [advance]}, prefixes: {memos: ""}, clients: trusted, approval: {memos/advance: always}}'
STEPS = [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@pytest.fixture
def servers(tmp_path):
    (tmp_path / "memos").mkdir()
    return f"""
    memos:
      kind: stdio
      command: "{sys.executable}"
      args: ["{OFFERING}", stdio, "{tmp_path}/memos"]
      tools: {{advance: {{effect: once, gives: {{integrity: trusted}}}}}}
"""


class Heard(list):
    """What a client was told of how far a call is."""

    async def take(self, progress, total, message):
        self.append((progress, total, message))

    async def all(self):
        with anyio.fail_after(10):
            while len(self) < len(STEPS):
                await anyio.sleep(0.01)
        return self


async def test_a_call_that_people_have_agreed_to_tells_how_far_it_is(tmp_path, servers):
    heard = Heard()

    async def visit(context, params):
        await answer(tmp_path, gateway.url, params.url.rsplit("/", 1)[1])
        return ElicitResult(action="accept")

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("memos",)) as gateway,
        client_of(gateway.url, elicitation_callback=visit) as client,
    ):
        done = wire(await client.call_tool("advance", {"word": "on"}, progress_callback=heard.take))
        await heard.all()

    assert done["content"] == [{"type": "text", "text": "advance"}]
    assert heard == STEPS


@pytest.mark.parametrize("mode", MODES)
async def test_who_asks_how_a_call_stands_hears_how_far_it_is(tmp_path, servers, mode):
    heard = Heard()
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("memos",)) as gateway,
        client_of(gateway.url, mode) as client,
    ):
        told = wire(await client.call_tool("advance", {"word": "on"}, progress_callback=heard.take))
        [asked] = await waiting(tmp_path, gateway.url)
        await answer(tmp_path, gateway.url, asked["id"])
        question = {"id": told["structuredContent"]["run_id"], "wait": 20}
        done = wire(await client.call_tool("approval_status", question, progress_callback=heard.take))
        await heard.all()

    assert done["structuredContent"]["status"] == "completed"
    assert heard == STEPS
