"""Runs that use tools of this server: what is called, in what order, what the model is told, and what the client sees."""

import anyio
import msgspec
import pytest

from gateway.core.errors import InvalidRequest
from gateway.core.tools import ToolOutput
from gateway.policies.tool_judgement import ToolJudgement
from gateway.tools.hub import ToolLost, ToolNotReached
from tests.unit.agents.runs_world import check_stream, draft
from tests.unit.agents.tools_world import SEND, kinds, results, tool_world, want

OURS = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]


@pytest.mark.parametrize("background", [False, True])
async def test_a_tool_is_called_and_the_model_answers_with_what_it_gave(tmp_path, background):
    async with tool_world(tmp_path, [want("search", '{"q": "tea"}')], "There is tea.") as world:
        run, events = await world.ask("Is there tea?", background=background)
        again = await world.follow(run)

    document = check_stream(events)
    assert again == events
    assert document == run.response
    assert run.status == "completed"
    assert kinds(run) == ["mcp_list_tools", "mcp_call", "message"]
    assert results(run) == [("search", 'search did {"q":"tea"}')]
    assert world.hub.made == ["search"]
    assert world.model.told() == [
        ("user", "Is there tea?"),
        ("call", "desk__search"),
        ("result", 'search did {"q":"tea"}'),
    ]
    assert (run.spent.steps, run.spent.tool_calls, run.spent.input_tokens) == (2, 1, 8)
    assert document["usage"]["input_tokens"] == 8


async def test_a_client_never_sees_a_function_call_that_is_not_for_it(tmp_path):
    async with tool_world(tmp_path, ["Wait. ", want("look")], "Done.") as world:
        _, events = await world.ask()

    assert not [event for event in events if "function_call" in event.name]
    assert [event.name for event in events if "mcp_call" in event.name] == [
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]


async def test_the_calls_of_the_client_are_handed_over_when_ours_are_done(tmp_path):
    own = {"type": "function", "name": "mine", "parameters": {"type": "object"}}
    ours = {"type": "mcp", "server_label": "desk", "require_approval": "never"}
    async with tool_world(tmp_path, [want("mine", server=""), want("look")]) as world:
        run, _ = await world.ask(tools=[own, ours])

        assert kinds(run) == ["mcp_list_tools", "function_call", "mcp_call"]
        assert (run.status, len(world.model.calls), world.hub.made) == ("completed", 1, ["look"])


async def test_reads_are_made_together_and_what_changes_something_one_after_the_other(tmp_path):
    at_once, most = 0, []

    async def act(asked):
        nonlocal at_once
        at_once += 1
        most.append((asked.tool.name, at_once))
        await anyio.sleep(0.01)
        at_once -= 1
        return ToolOutput(text="done")

    wanted = [want("look"), want("search", '{"q":"a"}'), want("send"), want("tidy"), want("look", '{"a":1}')]
    async with tool_world(tmp_path, wanted) as world:
        world.hub.act = act
        run, _ = await world.ask()

    assert most == [("look", 1), ("search", 2), ("send", 1), ("tidy", 1), ("look", 1)]
    assert [name for name, _ in results(run)] == ["look", "search", "send", "tidy", "look"]


async def test_no_more_reads_are_made_at_once_than_a_run_may(tmp_path):
    now, most = 0, 0

    async def act(asked):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(0.005)
        now -= 1
        return ToolOutput(text="done")

    async with tool_world(tmp_path, [want("look", f'{{"a":{n}}}') for n in range(9)], reads_at_once=3) as world:
        world.hub.act = act
        await world.ask()

    assert (most, len(world.hub.calls)) == (3, 9)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (want("dance"), "There is no tool 'desk__dance' here."),
        (want("search", '{"q": 1}'), "The arguments are not what the tool takes: $.q"),
        (want("search", '{"q": "never closed'), "The arguments are not what the tool takes"),
        (want("search", '["q"]'), "The arguments are not what the tool takes"),
        (want("search", '{"q": "a", "q": "b"}'), "The arguments are not what the tool takes"),
    ],
)
async def test_a_call_that_cannot_be_made_is_an_error_for_the_model_and_counts(tmp_path, wanted, told):
    async with tool_world(tmp_path, [wanted], "Sorry.") as world:
        run, _ = await world.ask()

        assert world.hub.calls == []
        assert told in world.model.told()[-1][1]
        assert (run.status, run.spent.tool_calls) == ("completed", 1)
        assert [item["status"] for item in run.response["output"] if item["type"] == "mcp_call"] == ["failed"]


async def test_what_a_policy_forbids_is_not_made_whatever_the_client_wishes(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Alas.") as world:
        world.judge.by_tool["send"] = ToolJudgement(effect="deny", reason="Not on Sundays.")
        await world.ask(approval="never")

        assert world.hub.calls == []
        assert "Not on Sundays." in world.model.told()[-1][1]


async def test_an_error_that_a_tool_reports_is_told_and_the_run_goes_on(tmp_path):
    async with tool_world(tmp_path, [want("look")], "I see.") as world:

        async def act(asked):
            return ToolOutput(text="It is dark.", is_error=True)

        world.hub.act = act
        run, events = await world.ask()

    assert world.model.told()[-1] == ("result", "It is dark.")
    assert results(run) == [("look", [{"type": "text", "text": "It is dark."}])]
    assert "response.mcp_call.failed" in [event.name for event in events]


async def test_half_of_a_character_in_a_result_is_replaced_and_ends_nothing(tmp_path):
    async with tool_world(tmp_path, [want("look")]) as world:

        async def half(asked):
            return ToolOutput(text="half: \ud83d")

        world.hub.act = half
        run, _ = await world.ask()

    assert (run.status, results(run)) == ("completed", [("look", "half: ?")])


async def test_a_server_that_is_down_is_said_and_nothing_else_is_hindered(tmp_path):
    async with tool_world(tmp_path, "I have no tools.") as world:
        world.hub.down["desk"] = ToolNotReached("It does not answer.")
        run, _ = await world.ask()

    assert run.status == "completed"
    assert run.response["output"][0]["error"] == "It does not answer."


async def test_a_read_whose_answer_is_lost_is_made_again_and_with_the_same_key(tmp_path):
    async with tool_world(tmp_path, [want("look")]) as world:

        async def act(asked):
            if len(world.hub.calls) == 1:
                raise ToolLost("Gone.")
            return ToolOutput(text="here")

        world.hub.act = act
        run, _ = await world.ask()

    assert results(run) == [("look", "here")]
    assert len({asked.key for asked in world.hub.calls}) == 1


async def test_a_long_result_is_kept_whole_and_read_on(tmp_path):
    text = "".join(f"line {n}\n" for n in range(600))
    async with tool_world(tmp_path, [want("look")], result_bytes=1024) as world:

        async def act(asked):
            return ToolOutput(text=text)

        async def read_on(call, send):
            shown = world.model.told()[-1][1]
            assert shown.startswith(text[:1000])
            ref = shown.split('ref="')[1].split('"')[0]
            await world.model.ask(call, send, [want("read_result", f'{{"ref":"{ref}","offset":1024}}', "switchgear")])

        world.hub.act = act
        world.model.answers.append(read_on)
        await world.ask()

        assert world.model.told()[-1][1] == text[1024:]
        assert world.hub.made == ["look"]


async def test_results_of_others_are_not_read(tmp_path):
    ref = "resp_" + "0" * 24 + ".mcp_" + "0" * 26
    async with tool_world(tmp_path, [want("read_result", f'{{"ref":"{ref}"}}', "switchgear")], "No.") as world:
        await world.ask()

        assert "No result of this conversation" in world.model.told()[-1][1]


async def test_a_model_that_goes_round_in_circles_is_told_and_then_stopped(tmp_path):
    async with tool_world(tmp_path, *[[want("look")] for _ in range(9)]) as world:
        run, events = await world.ask()

    assert run.status == "failed"
    assert "5 times in a row" in run.response["error"]["message"]
    assert len(world.hub.calls) == 4
    assert "You have this result already" in world.model.told(3)[-1][1]
    assert "You have this result already" not in world.model.told(2)[-1][1]
    check_stream(events)


async def test_a_response_calls_tools_so_many_times_at_most_also_within_one_answer(tmp_path):
    wanted = [want("look", f'{{"a":{n}}}') for n in range(3)]
    async with tool_world(tmp_path, wanted, "Enough.") as world:
        run, _ = await world.ask(max_tool_calls=2)

    assert len(world.hub.calls) == 2
    assert run.status == "completed"
    assert "may not call tools more than 2 times" in world.model.told()[-1][1]


async def test_a_run_asks_its_model_so_many_times_at_most(tmp_path):
    async with tool_world(tmp_path, *[[want("look", f'{{"a":{n}}}')] for n in range(9)], steps=3) as world:
        run, _ = await world.ask()

    assert (run.status, len(world.model.calls), len(world.hub.calls)) == ("failed", 3, 2)
    assert "3 answers of its model" in run.response["error"]["message"]


async def test_calls_of_an_answer_that_was_cut_off_are_not_made(tmp_path):
    async with tool_world(tmp_path, [want("send")]) as world:
        world.model.reason = "length"
        run, _ = await world.ask()

    assert (run.status, world.hub.calls) == ("incomplete", [])


async def test_a_cancelled_run_ends_its_call_at_once(tmp_path):
    ended = anyio.Event()

    async def hang(asked):
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with tool_world(tmp_path, [want("send")]) as world:
        world.hub.act = hang
        run = await world.desk.begin(draft("go", tools=OURS, background=True))
        with anyio.fail_after(5):
            while not world.hub.calls:
                await anyio.sleep(0.005)
        with anyio.fail_after(1):
            run = await world.desk.cancel("acme", run.id)
            await ended.wait()
        [call] = await world.tool_calls.calls(run.id)
        events = await world.follow(run)

    assert run.status == "cancelled"
    assert check_stream(events)["output"][-1]["status"] == "incomplete"
    assert call.state == "unknown"


async def test_a_tool_that_never_answers_is_given_up_after_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.agents.tool_asking._GRACE", 0.0)

    async def hang(asked):
        await anyio.sleep_forever()

    slow = msgspec.structs.replace(SEND, effect="read", timeout=0.02)
    async with tool_world(tmp_path, [want("send")], "Well.", tools=[slow]) as world:
        world.hub.act = hang
        run, _ = await world.ask()

    assert run.status == "completed"
    assert "did not answer within 0.02 seconds" in world.model.told()[-1][1]
    assert len(world.hub.calls) == 2


async def test_what_the_server_runs_is_kept_or_not_done(tmp_path):
    async with tool_world(tmp_path) as world:
        with pytest.raises(InvalidRequest) as refused:
            await world.ask(store=False)

        assert refused.value.param == "store"
        assert world.model.calls == []


async def test_a_follow_up_knows_what_was_called_and_does_not_list_the_tools_again(tmp_path):
    async with tool_world(tmp_path, [want("look")], "One.", "Two.") as world:
        first, _ = await world.ask("a")
        second, _ = await world.ask("b", previous_response_id=first.id)
        third, _ = await world.answer("c", previous_response_id=second.id)

    assert kinds(second) == ["message"]
    assert world.model.told() == [
        ("user", "a"),
        ("call", "desk__look"),
        ("result", "look did {}"),
        ("assistant", "One."),
        ("user", "b"),
        ("assistant", "Two."),
        ("user", "c"),
    ]
    assert third.status == "completed"
