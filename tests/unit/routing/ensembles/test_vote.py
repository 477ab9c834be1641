"""A vote asks several targets at once; the answer goes out that most give, or that a judge finds best, and all others are accounted for."""

import anyio
import pytest

from gateway.config.ensemble_settings import JudgeSettings
from gateway.core.content import FunctionTool
from gateway.core.errors import InvalidRequest, Unavailable, UpstreamBroken, UpstreamTimeout
from gateway.core.events import CutShort, Started
from gateway.core.items import Foreign
from tests.unit.routing.ensembles.ensemble_doubles import (
    Heard,
    JudgeDouble,
    Waiting,
    ask,
    calls,
    question,
    refuses,
    says,
    vote,
)
from tests.unit.routing.routing_doubles import Upstream, World

WEATHER = FunctionTool(name="weather")
BY_JUDGE = {"decide": "judge", "judge": JudgeSettings(model="judge")}


def voters(*answers):
    return [Upstream(f"{name}/m", answer) for name, answer in zip("abcdefg", answers, strict=False)]


async def test_the_answer_that_most_give_goes_out():
    heard = await ask(vote(World(), *voters(says("41"), says("42"), says("42"))))

    assert (heard.text, heard.target) == ("42", "b/m")
    assert heard.verdicts == {
        "a/m": ("lost", "another answer won"),
        "b/m": ("won", "2 of 3 votes"),
        "c/m": ("lost", "another answer won"),
    }
    assert heard.spent == [("a/m", "vote", 12), ("c/m", "vote", 12)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Paris", " paris.\n"), ("**Paris**", "Paris"), ("It is Paris!", "it is  paris"), ("ﬁve", "five"), ("“Yes”", "yes"),
        ('{"a": 1, "b": [2.0]}', '```json\n{ "b": [2], "a": 1.0 }\n```'), ("[1, 2]", "[1,2]"),
    ],
)  # fmt: skip
async def test_answers_that_say_the_same_are_counted_together(first, second):
    heard = await ask(vote(World(), *voters(says("something else"), says(first), says(second))))

    assert heard.target == "b/m"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("-5", "5"), (".5", "5"), ("3.14", "314"), ("5%", "5"), ("[1, 2]", "[2, 1]"), ('{"a": 1}', '{"a": "1"}'),
        ("x" * 300, "X" * 300), ("not Paris", "Paris"),
    ],
)  # fmt: skip
async def test_answers_that_differ_are_counted_apart(first, second):
    heard = await ask(vote(World(), *voters(says(first), says(second))))

    assert heard.verdicts["a/m"] == ("won", "1 of 2 votes")


async def test_tool_calls_are_compared_by_name_and_arguments():
    same = calls("weather", '{"city": "Paris", "days": 2}'), calls("weather", '{"days":2,"city":"Paris"}')
    other = calls("weather", '{"city": "Rome", "days": 2}')
    heard = await ask(vote(World(), *voters(other, *same)), question(tools=(WEATHER,)))

    assert heard.target == "b/m"
    assert heard.verdicts["b/m"] == ("won", "2 of 3 votes")


async def test_refusals_agree_with_each_other():
    heard = await ask(vote(World(), *voters(says("41"), refuses(), refuses())))

    assert heard.target == "b/m"


async def test_where_json_is_compared_what_is_none_does_not_count():
    heard = await ask(vote(World(), *voters(says("so"), says("so"), says('{"n": 1}')), normalize="json", quorum=1))

    assert heard.target == "c/m"
    assert heard.verdicts["a/m"][0] == "failed"


async def test_a_tie_goes_by_weight():
    heard = await ask(vote(World(), *voters(says("41"), says("42")), weights=(1, 2)))

    assert heard.target == "b/m"


async def test_a_tie_of_equal_weights_goes_by_order():
    heard = await ask(vote(World(), *voters(says("42"), says("41"))))

    assert heard.target == "a/m"


async def test_targets_are_asked_at_once():
    waiting = [Waiting(f"{name}/m") for name in "abc"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vote(World(), *waiting), question(), Heard().send)
        with anyio.fail_after(5):
            for one in waiting:
                await one.reached.wait()
        tasks.cancel_scope.cancel()

    assert all(one.cancelled for one in waiting)


async def test_no_more_are_asked_than_the_setting_says():
    asked = voters(says("42"), says("42"), says("42"))
    heard = await ask(vote(World(), *asked, targets=2))

    assert [len(one.asked) for one in asked] == [1, 1, 0]
    assert heard.verdicts["c/m"][0] == "next"


async def test_one_in_reserve_votes_where_another_is_spared():
    world = World()
    world.condition("a/m").cool(world.now + 60)
    asked = voters(says("41"), says("42"), says("42"))
    heard = await ask(vote(world, *asked, targets=2))

    assert [len(one.asked) for one in asked] == [0, 1, 1]
    assert heard.target == "b/m"


async def test_nobody_is_waited_for_when_the_result_is_certain():
    slow = Waiting("c/m", says("41")[:2])
    with anyio.fail_after(5):
        heard = await ask(vote(World(), *voters(says("42"), says("42")), slow))

    assert slow.cancelled
    assert heard.target == "a/m"
    assert heard.verdicts["c/m"] == ("lost", "it was not waited for")
    assert ("c/m", "vote", 8) in heard.spent


async def test_others_decide_where_one_fails():
    heard = await ask(vote(World(), *voters(UpstreamBroken("x"), says("42"), says("42"))))

    assert heard.target == "b/m"
    assert heard.verdicts["a/m"] == ("failed", "upstream_broken")
    assert [target for target, _, _ in heard.spent] == ["c/m"]


async def test_too_few_answers_are_the_error_of_who_failed():
    heard = Heard()
    with pytest.raises(UpstreamBroken):
        await vote(World(), *voters(UpstreamBroken("x"), UpstreamBroken("y"), says("42")))(question(), heard.send)

    assert heard.of(Started) == []
    assert heard.spent == [("c/m", "vote", 12)]
    assert heard.verdicts["c/m"] == ("lost", "there was no result")


async def test_what_no_target_can_serve_is_told_as_such():
    with pytest.raises(InvalidRequest):
        await ask(vote(World(), *voters(InvalidRequest("x"), InvalidRequest("x"))))


async def test_answers_that_say_nothing_do_not_count():
    with pytest.raises(Unavailable, match="2 answers"):
        await ask(vote(World(), *voters(says(""), says(" "), says("42"))))


async def test_a_quorum_can_be_one():
    heard = await ask(vote(World(), *voters(UpstreamBroken("x"), UpstreamBroken("y"), says("42")), quorum=1))

    assert heard.target == "c/m"


async def test_too_few_targets_to_ask_are_told_before_any_is_asked():
    world, asked = World(), voters(says("42"), says("42"), says("42"))
    for name in "abc":
        for _ in range(5):
            world.condition(f"{name}/m").begin()
            world.condition(f"{name}/m").fail(world.now, probe=False)
    with pytest.raises(Unavailable):
        await ask(vote(world, *asked, quorum=3))

    assert not any(one.asked for one in asked)


async def test_time_is_over_for_who_is_late_and_the_others_decide():
    slow = Waiting("b/m", tells=False)
    with anyio.fail_after(5):
        heard = await ask(vote(World(), Upstream("a/m", says("42")), slow, timeout=0.01, quorum=1))

    assert slow.cancelled
    assert heard.target == "a/m"
    assert heard.spent == [("b/m", "vote", 10)]


async def test_where_too_few_are_in_time_it_is_a_timeout():
    heard = Heard()
    with anyio.fail_after(5), pytest.raises(UpstreamTimeout):
        await vote(World(), Waiting("a/m"), Waiting("b/m"), timeout=0.01)(question(), heard.send)

    assert [target for target, _, _ in heard.spent] == ["a/m", "b/m"]


async def test_an_answer_longer_than_may_be_held_does_not_count():
    heard = await ask(vote(World(), *voters(says("x" * 2000), says("42"), says("42")), held_bytes=1024))

    assert heard.target == "b/m"
    assert heard.verdicts["a/m"][0] == "failed"


async def test_a_fault_of_ours_in_one_does_not_take_the_others_with_it():
    heard = await ask(vote(World(), *voters(ValueError("x"), says("42"), says("42"))))

    assert heard.target == "b/m"
    assert heard.verdicts["a/m"] == ("failed", "internal_error")


async def test_a_judge_names_the_best():
    judge = JudgeDouble('{"best": 2}')
    heard = await ask(vote(World(), *voters(says("41"), says("42"), says("43")), asks=judge, **BY_JUDGE))

    assert heard.text == "42"
    assert heard.verdicts["b/m"] == ("won", "the judge found it the best of 3")
    assert sorted(heard.spent) == [("a/m", "vote", 12), ("c/m", "vote", 12), ("j/judge", "judge", 105)]


async def test_a_judge_sees_answers_in_an_order_by_chance():
    world, chances = World(), [0.9, 0.5, 0.1]
    judge = JudgeDouble('{"best": 1}')
    responder = vote(world, *voters(says("41"), says("42"), says("43")), asks=judge, **BY_JUDGE)
    responder._judge._chance = lambda: chances.pop(0)
    heard = await ask(responder)

    assert heard.text == "43"
    first, second, third = (judge.shown.index(f'\\"text\\":\\"{number}\\"') for number in (43, 42, 41))
    assert first < second < third


@pytest.mark.parametrize("said", ["second", '{"best": 4}', '{"best": 0}', '{"best": true}', UpstreamBroken("x")])
async def test_without_a_verdict_the_majority_decides(said):
    heard = await ask(vote(World(), *voters(says("41"), says("42"), says("42")), asks=JudgeDouble(said), **BY_JUDGE))

    assert heard.target == "b/m"
    assert heard.verdicts["b/m"][1].startswith("2 of 3 votes; by majority, because of the judge")


async def test_one_answer_alone_is_not_judged():
    judge = JudgeDouble('{"best": 1}')
    heard = await ask(vote(World(), *voters(UpstreamBroken("x"), says("42")), asks=judge, quorum=1, **BY_JUDGE))

    assert judge.asked == []
    assert heard.target == "b/m"


async def test_a_client_that_leaves_ends_them_all_and_what_they_used_is_told():
    first, second, heard = Waiting("a/m", says("42")[:2]), Waiting("b/m", says("42")[:2]), Heard()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vote(World(), first, second), question(), heard.send)
        with anyio.fail_after(5):
            await first.reached.wait()
            await second.reached.wait()
        tasks.cancel_scope.cancel()

    assert first.cancelled
    assert second.cancelled
    assert heard.spent == [("a/m", "vote", 8), ("b/m", "vote", 8)]


async def test_a_client_that_leaves_while_the_winner_goes_out_has_used_all_of_it():
    heard = Heard()

    async def send(event):
        await heard.send(event)
        if isinstance(event, Started):
            raise UpstreamTimeout("stands for a client that is gone")

    with pytest.raises(UpstreamTimeout):
        await vote(World(), *voters(says("42"), says("42")))(question(), send)

    assert [cut.usage.total for cut in heard.of(CutShort)] == [12]
    assert heard.spent == [("b/m", "vote", 12)]


async def test_a_call_with_tools_that_the_provider_runs_goes_to_the_first_alone():
    asked = voters(says("42"), says("42"))
    tools = (Foreign(dialect="openai_responses", raw={"type": "code_interpreter"}),)
    heard = await ask(vote(World(), *asked), question(tools=tools))

    assert [len(one.asked) for one in asked] == [1, 0]
    assert heard.verdicts["a/m"][1] == "asked alone: it has tools that the provider runs"
