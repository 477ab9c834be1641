"""Runs whose servers of tools are not there yet, or not any more. Promised by docs/tools.md."""

import anyio

from gateway.tools.hub import ToolNotReached
from tests.unit.agents.runs_world import check_stream, draft
from tests.unit.agents.tools_world import kinds, results, tool_world, want

PATIENCE = 20
LONG = 600.0


def away(world, state):
    """Have the server `desk` be so, and give no tools."""
    world.hub.states["desk"] = state
    world.hub.down["desk"] = ToolNotReached(f"The tools of the server 'desk' are not known: it is {state}.")


def back(world):
    world.hub.states.clear()
    world.hub.down.clear()


async def asked_of(world, times):
    """Wait until the hub was asked so often for what it has."""
    while world.hub.listings < times:
        await anyio.sleep(0.01)


async def test_a_run_waits_for_a_server_that_is_starting(tmp_path):
    with anyio.fail_after(PATIENCE):
        async with tool_world(tmp_path, [want("look")], "Seen.", tools_timeout=LONG) as world:
            away(world, "starting")
            ended = []

            async def ask():
                ended.append(await world.ask())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await asked_of(world, 1)
                assert world.model.calls == []
                back(world)

    [(run, events)] = ended
    check_stream(events)
    assert kinds(run) == ["mcp_list_tools", "mcp_call", "message"]
    assert [name for name, _ in results(run)] == ["look"]


async def test_a_run_in_the_background_waits_as_well_and_is_cancelled_at_once(tmp_path):
    with anyio.fail_after(PATIENCE):
        async with tool_world(tmp_path, "Never.", tools_timeout=LONG) as world:
            away(world, "starting")
            tools = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]
            run = await world.desk.begin(draft("hello", tools=tools, background=True))
            await asked_of(world, 2)
            ended = await world.desk.cancel("acme", run.id)

    assert ended.status == "cancelled"
    assert world.model.calls == []


async def test_a_server_that_starts_for_too_long_is_left_out_and_named(tmp_path):
    with anyio.fail_after(PATIENCE):
        async with tool_world(tmp_path, "I have no tools.", tools_timeout=0.1) as world:
            away(world, "starting")
            run, events = await world.ask()

    check_stream(events)
    [listing, _] = run.response["output"]
    assert (run.status, listing["tools"]) == ("completed", [])
    assert listing["error"] == "The tools of the server 'desk' are not known: it is starting."
    assert "response.mcp_list_tools.failed" in [event.name for event in events]


async def test_a_server_that_is_down_is_not_waited_for_and_named(tmp_path):
    with anyio.fail_after(PATIENCE):
        async with tool_world(tmp_path, "I have no tools.", tools_timeout=LONG) as world:
            away(world, "down")
            run, events = await world.ask()

    assert run.response["output"][0]["error"] == "The tools of the server 'desk' are not known: it is down."
    assert "response.mcp_list_tools.failed" in [event.name for event in events]


async def test_a_server_that_went_away_between_two_turns_or_came_back_is_shown_anew(tmp_path):
    """Else whoever reads the second response takes the tools of the first for those that the model had."""
    async with tool_world(tmp_path, "one", "two", "three", "four") as world:
        first, _ = await world.ask()
        away(world, "down")
        second, _ = await world.ask(previous_response_id=first.id)
        third, _ = await world.ask(previous_response_id=second.id)
        back(world)
        fourth, _ = await world.ask(previous_response_id=third.id)

    shown = [
        [item for item in run.response["output"] if item["type"] == "mcp_list_tools"]
        for run in (first, second, third, fourth)
    ]
    assert [[bool(item["error"]) for item in some] for some in shown] == [[False], [True], [], [False]]
    assert shown[3][0]["tools"] == shown[0][0]["tools"] != []
