"""kill -9 in every state of a tool call, with a real server of tools that notes its calls: never more than one of what must be done once."""

import signal
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest

from tests.faults.killed_runs import PATIENCE, TERMINAL, events_of, until_listed
from tests.journeys.running_gateway import served_process
from tests.journeys.tool_runs_world import ALWAYS, ENVIRON, NEVER, calls, configuration


class World:
    """A database, and one gateway after the other on it."""

    def __init__(self, folder, database, environ):
        self.folder = folder
        self.config = configuration(folder, database=database)
        self.environ = {**ENVIRON, **environ}

    @asynccontextmanager
    async def gateway(self):
        """A gateway whose server of tools has started: what is asked before that is answered without it."""
        with anyio.fail_after(2 * PATIENCE):
            async with (
                served_process(self.folder, self.config, self.environ) as process,
                httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
            ):
                await until_listed(http)
                yield Gateway(process, http)

    def calls(self, tool):
        return calls(self.folder, tool)


class Gateway:
    """A gateway that runs, and what is asked of it."""

    def __init__(self, process, http):
        self.http = http
        self._process = process

    async def kill(self):
        self._process.signal(signal.SIGKILL)
        await self._process.exit_code(PATIENCE)

    async def begin(self, text, tools=NEVER, **fields):
        body = {"model": "clerk", "input": text, "tools": tools, "background": True, **fields}
        answer = await self.http.post("/v1/responses", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def answer(self, response, request, *, approve):
        """Begin the response that goes on with an approval, or without one."""
        said = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve}
        return await self.begin([said], ALWAYS, previous_response_id=response)

    async def show(self, response):
        return (await self.http.get(f"/v1/responses/{response}")).json()

    async def events(self, response, *, until=""):
        return await events_of(self.http, response, until=until)


@pytest.fixture(params=["sqlite", "postgres"])
def world(request, tmp_path):
    if request.param == "sqlite":
        return World(tmp_path, "", {})
    server = request.getfixturevalue("postgres_server")
    return World(tmp_path, "{kind: postgres, url: env:DATABASE_URL}", {"DATABASE_URL": server.new_database()})


def ended(events):
    """The response at the end of a stream that has no gap and one end."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]]
    return events[-1]["response"]


def asked(document):
    """What people are asked at the end of a response."""
    return [item for item in document["output"] if item["type"] == "mcp_approval_request"]


@pytest.mark.parametrize(
    ("text", "at", "tool"),
    [
        ("Please wait.", "response.mcp_call.in_progress", "hang"),
        ("Please do both.", "response.mcp_list_tools.completed", "count"),
        ("Please do both.", "response.mcp_call.completed", "count"),
    ],
    ids=["begun", "planned", "done"],
)
async def test_what_must_be_done_once_is_never_done_twice(world, text, at, tool):
    async with world.gateway() as first:
        made = await first.begin(text)
        await first.events(made, until=at)
        if tool == "hang":
            while not world.calls(tool):
                await anyio.sleep(0.01)
        await first.kill()
    async with world.gateway() as second:
        document = ended(await second.events(made))
        shown = await second.show(made)

    assert shown == document
    assert len(world.calls(tool)) <= 1
    if tool == "hang":
        assert [item["type"] for item in document["output"]][-2:] == ["mcp_call", "mcp_approval_request"]
    else:
        assert asked(document) or len(world.calls(tool)) == 1, document["output"]


async def test_what_waits_for_people_waits_on_when_its_server_was_killed_and_is_done_once(world):
    async with world.gateway() as first:
        made = await first.begin("Please change it.", ALWAYS)
        before = ended(await first.events(made))
        await first.kill()
    async with world.gateway() as second:
        assert await second.show(made) == before
        went_on = await second.answer(made, asked(before)[0], approve=True)
        document = ended(await second.events(went_on))

    assert document["output"][-1]["content"][0]["text"] == "Done: once"
    assert len(world.calls("count")) == 1


@pytest.mark.parametrize("at", ["", "response.created", "response.mcp_call.in_progress", "response.mcp_call.completed"])
async def test_what_was_approved_is_done_once_or_asked_about_when_its_server_is_killed(world, at):
    async with world.gateway() as first:
        made = await first.begin("Please change it.", ALWAYS)
        request = asked(ended(await first.events(made)))[0]
        went_on = await first.answer(made, request, approve=True)
        if at:
            await first.events(went_on, until=at)
        await first.kill()
    async with world.gateway() as second:
        document = ended(await second.events(went_on))

    done = len(world.calls("count"))
    assert done <= 1
    assert done == 1 or asked(document), document["output"]
    if not asked(document):
        assert document["output"][-1]["content"][0]["text"] == "Done: once"


async def test_a_call_of_which_nobody_knows_stays_a_question_through_another_kill(world):
    async with world.gateway() as first:
        made = await first.begin("Please wait.")
        while not world.calls("hang"):
            await anyio.sleep(0.01)
        await first.kill()
    async with world.gateway() as second:
        before = ended(await second.events(made))
        await second.kill()
    async with world.gateway() as third:
        assert await third.show(made) == before
        went_on = await third.answer(made, asked(before)[0], approve=False)
        document = ended(await third.events(went_on))

    assert document["status"] == "completed"
    assert document["output"][-1]["type"] == "message"
    assert len(world.calls("hang")) == 1
