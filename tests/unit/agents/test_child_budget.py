"""What a run lends those below it: never more than it has, shared by those who work at the same time, and counted once."""

import msgspec
import pytest

from gateway.agents.child_budget import left, share, together, used_by, within
from gateway.config.agent_settings import AgentLimitSettings
from gateway.stores.runs import Below, Limits, Spent
from tests.contract.run_records import held
from tests.unit.accounting.memory_ledger import record
from tests.unit.agents.children_world import HELPER, agent, call_of, family
from tests.unit.agents.runs_world import speak
from tests.unit.agents.tools_world import results, want

SPENT = Spent(steps=2, tool_calls=1, input_tokens=30, output_tokens=10, nano=500, seconds=5.0)


def test_what_is_lent_is_what_is_left():
    limits = Limits(steps=10, tool_calls=5, tokens=100, nano=1000, seconds=8.0)

    assert left(limits, SPENT) == Limits(steps=7, tool_calls=4, tokens=60, nano=500, seconds=3.0)
    lent = Limits(steps=3, tool_calls=4, tokens=50, nano=100, seconds=3.0)
    assert left(limits, SPENT, [lent]) == Limits(steps=4, tool_calls=0, tokens=10, nano=400, seconds=3.0)
    below = Spent(steps=2, below=Below(steps=5, tool_calls=3, tokens=20, nano=999))
    assert left(limits, below) == Limits(steps=2, tool_calls=2, tokens=80, nano=1, seconds=8.0)


def test_nothing_is_less_than_nothing_and_no_limit_stays_none():
    assert left(Limits(steps=2, tokens=5, seconds=1.0), SPENT) == Limits(steps=0, tokens=0, seconds=0.0)
    assert left(Limits(), SPENT, [Limits(steps=3)]) == Limits()
    assert share(Limits(steps=7, nano=9), 2) == Limits(steps=3, nano=4)
    assert share(Limits(seconds=9.0), 2) == Limits(seconds=9.0)


@pytest.mark.parametrize(
    ("own", "most", "both"),
    [
        (Limits(steps=3), Limits(steps=5), Limits(steps=3)),
        (Limits(steps=3), Limits(), Limits(steps=3)),
        (Limits(), Limits(tokens=4, seconds=0.5), Limits(tokens=4, seconds=0.5)),
        (Limits(tool_calls=9, nano=0), Limits(tool_calls=0, nano=7), Limits(tool_calls=0, nano=0)),
    ],
)
def test_a_child_has_the_narrower_of_two_limits(own, most, both):
    assert within(own, most) == both


def test_what_those_below_used_is_counted_with_all_below_them():
    child = held(spent=Spent(steps=2, tool_calls=3, input_tokens=4, output_tokens=5, nano=6, below=Below(steps=10)))

    assert used_by([child, held("resp_2", spent=Spent(nano=1))]) == Below(steps=12, tool_calls=3, tokens=9, nano=7)
    assert together(Below(steps=1), Below(tokens=2)) == Below(steps=1, tokens=2)


def boss(**limits):
    return agent("boss", agents=("helper",), limits=AgentLimitSettings(**limits))


async def test_a_child_may_use_what_its_caller_has_left(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")], "Done."], "helper": [[want("look")], "There."]}
    limits = {"steps": 8, "tool_calls": 4, "tokens": 1000, "cost": 0.5, "seconds": 100}
    async with family(tmp_path, boss(**limits), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()
        [child] = await world.children(run)

        # One answer is given, one is kept; one call is made, of the helper; five tokens went in, and two out.
        assert (child.limits.steps, child.limits.tool_calls, child.limits.tokens) == (6, 3, 993)
        assert child.limits.nano == 500_000_000
        assert 90 < child.limits.seconds <= 100
        assert run.spent.below == Below(steps=2, tool_calls=1, tokens=11)
        assert (run.spent.steps, run.spent.tool_calls) == (2, 1)


async def test_children_of_one_answer_share(tmp_path):
    three = [call_of("helper", text) for text in ("one", "two", "three")]
    scripts = {"boss": [three, "Done."], "helper": ["1", "2", "3"]}
    async with family(tmp_path, boss(steps=12, tokens=1000), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()

        assert sorted(child.limits.steps for child in await world.children(run)) == [3, 3, 4]
        assert sum(child.limits.tokens for child in await world.children(run)) == 993


async def test_what_one_has_not_used_is_there_for_the_next(tmp_path):
    scripts = {"boss": [[call_of("helper", "one")], [call_of("helper", "two")], "Done."], "helper": ["1", "2"]}
    async with family(tmp_path, boss(steps=10), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()

        assert [child.limits.steps for child in await world.children(run)] == [8, 6]
        assert run.spent.below.steps == 2


async def test_a_budget_that_ends_in_the_middle_of_a_parallel_step_ends_no_more_than_what_it_is_for(tmp_path):
    both = [call_of("helper", "one"), call_of("helper", "two")]
    scripts = {"boss": [both, "Half."], "helper": ["Done.", [want("look")], "Never said."]}
    async with family(tmp_path, boss(steps=4), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()

        told = [text if isinstance(text, str) else text[0]["text"] for _, text in results(run)]
        assert "Done." in told
        assert any("The run has used the 1 answers" in text for text in told)
        assert (run.status, run.spent.steps, run.spent.below.steps) == ("completed", 2, 2)


async def test_where_nothing_is_left_nobody_is_asked(tmp_path):
    scripts = {"boss": [[call_of("helper", "one")], "Alone."], "helper": ["Never said."]}
    async with family(tmp_path, boss(steps=2), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()

        [(_, [told])] = results(run)
        assert "Nothing is left for it." in told["text"]
        assert (await world.children(run), world.models["helper"].calls) == ([], [])
        assert run.status == "completed"


async def test_what_those_below_have_used_ends_their_caller(tmp_path):
    calls = [[call_of("helper", text)] for text in ("one", "two", "three", "four")]
    scripts = {"boss": calls, "helper": [[want("look")], "1", [want("look")], "2", "3"]}
    async with family(tmp_path, boss(steps=7), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()

        assert run.status == "failed"
        assert run.response["error"]["message"] == "The run has used the 7 answers of its model that it may use."
        assert run.spent.steps + run.spent.below.steps == 7


async def test_the_cost_of_a_child_is_its_own_and_counts_for_its_caller(tmp_path):
    async def dear(call, send):
        world.means.costs.hear(msgspec.structs.replace(record(1), run=call.run, cost_nano=700))
        await speak(call, send, ["Dear."])

    scripts = {"boss": [[call_of("helper", "one")], "Done."], "helper": [dear]}
    async with family(tmp_path, boss(), HELPER, scripts=scripts) as world:
        run, _ = await world.ask_agent()
        [child] = await world.children(run)

        assert (child.spent.nano, run.spent.nano, run.spent.below.nano) == (700, 0, 700)
