"""Leaving out the oldest: whole pieces only, never the instructions, never the last words of the user, never what was said last."""

import random

import msgspec
import pytest

from gateway.agents.truncating import MOST_TRIES, pieces_of, without_oldest
from gateway.core.errors import ContextLengthExceeded, UpstreamUnreachable
from gateway.dialects.openai_responses.compaction import notes_message
from tests.unit.agents.runs_world import check_stream, speak, world_in
from tests.unit.agents.test_context import texts
from tests.unit.agents.tools_world import tool_world, want

LONG = "word " * 400
SYSTEM = {"role": "system", "content": "Be brief."}


def user(text="u"):
    return {"type": "message", "role": "user", "content": text}


def said(text="a"):
    return {"type": "message", "role": "assistant", "content": text}


def call(name):
    return {"type": "function_call", "call_id": name, "name": "look", "arguments": "{}"}


def result(name):
    return {"type": "function_call_output", "call_id": name, "output": "r"}


THINKING = {"type": "reasoning", "summary": []}


@pytest.mark.parametrize(
    ("items", "pieces"),
    [
        ([], []),
        ([user(), said(), user()], [1, 1, 1]),
        ([user(), call("a"), result("a"), said()], [1, 2, 1]),
        ([call("a"), call("b"), result("b"), result("a"), user()], [4, 1]),
        ([THINKING, call("a"), result("a"), THINKING, said()], [3, 2]),
        ([THINKING, said(), call("a"), result("a"), said()], [4, 1]),
        ([call("a"), result("a"), call("b"), result("b")], [2, 2]),
        ([user(), call("open")], [1, 1]),
    ],
)
def test_what_belongs_together_is_one_piece(items, pieces):
    assert [len(piece) for piece in pieces_of(items)] == pieces


@pytest.mark.parametrize(
    ("items", "size", "left"),
    [
        ([user("1"), said("2"), user("3"), said("4"), user("5")], 1, ["3", "4", "5"]),
        ([SYSTEM, user("1"), said("2"), user("3")], 10**6, ["Be brief.", "3"]),
        ([user("1"), said("2"), user("3"), said("4")], 10**6, ["3", "4"]),
        ([user("1")], 10**6, ["1"]),
        ([notes_message("n"), said("2"), user("3")], 10**6, [notes_message("n")["content"], "3"]),
    ],
    ids=["oldest", "instructions", "last words", "nothing", "notes"],
)
def test_the_oldest_goes_first(items, size, left):
    assert [item["content"] for item in without_oldest(items, size)] == left


def test_within_a_run_old_calls_go_with_their_results():
    items = [user("do it"), call("a"), result("a"), call("b"), result("b"), call("c"), result("c")]

    left = without_oldest(items, 1)

    assert left == [items[0], *items[3:]]
    assert without_oldest(items, 10**6) == [items[0], *items[5:]]


@pytest.mark.parametrize("seed", range(200))
def test_no_call_is_ever_left_without_its_result_or_the_other_way_round(seed):
    chance = random.Random(seed)
    items, number = [SYSTEM] * chance.randrange(2), 0
    for _ in range(chance.randrange(1, 12)):
        kind = chance.choice(["user", "said", "calls", "think"])
        if kind == "calls":
            names = [f"c{number + each}" for each in range(chance.randrange(1, 4))]
            number += len(names)
            results = [result(name) for name in names]
            chance.shuffle(results)
            items += [*map(call, names), *results]
        else:
            items += {"user": [user(str(number))], "said": [said()], "think": [THINKING, said()]}[kind]

    left = without_oldest(items, chance.randrange(1, 2000))

    names = {kind: {item["call_id"] for item in left if item.get("type") == kind} for kind in ("function_call", "function_call_output")}  # fmt: skip
    assert names["function_call"] == names["function_call_output"]
    remaining = iter(items)
    assert all(any(each is item for item in remaining) for each in left), "in their order"
    assert left[-1] is items[-1]
    assert (SYSTEM in left) == (SYSTEM in items)
    spoken = [item for item in items if item.get("role") == "user"]
    assert not spoken or spoken[-1] in left


TALK = [
    {"role": "user", "content": "first " + LONG},
    {"role": "assistant", "content": "second"},
    {"role": "user", "content": "third"},
]


async def test_what_does_not_fit_is_left_out_where_the_context_is_known(tmp_path):
    async with world_in(tmp_path) as world:
        world.means.current().routes["talker"].context = 600
        run, events = await world.answer(TALK, truncation="auto", instructions="Be brief.")
        kept = await world.runs.items(run.id, "input")

    [asked] = world.model.calls
    assert texts(asked) == [("system", "Be brief."), ("user", "third")]
    assert "truncation" not in asked.fields
    assert len(asked.body) < 1000
    assert check_stream(events)["truncation"] == "auto"
    assert len(kept) == 3, "it is kept all the same"


@pytest.mark.parametrize("truncation", ["disabled", None])
async def test_nothing_is_left_out_of_its_own_accord(tmp_path, truncation):
    async with world_in(tmp_path) as world:
        world.means.current().routes["talker"].context = 600
        await world.answer(TALK, truncation=truncation)

    assert len(texts(world.model.calls[0])) == 3


async def test_a_model_that_says_that_it_is_too_much_is_given_less(tmp_path):
    async with world_in(tmp_path) as world:

        async def say(call, send):
            if len(call.body) > 1500:
                raise ContextLengthExceeded("Too long.")
            await speak(call, send, ["Done."])

        world.model.say = say
        run, _ = await world.answer(TALK, truncation="auto")

    assert run.status == "completed"
    assert [len(texts(each)) for each in world.model.calls] == [3, 1]
    assert len({each.id for each in world.model.calls}) == 2


async def test_where_nothing_may_go_the_error_is_the_models(tmp_path):
    async with world_in(tmp_path) as world:

        async def say(call, send):
            del call, send
            raise ContextLengthExceeded("Too long.")

        world.model.say = say
        with pytest.raises(ContextLengthExceeded):
            await world.answer("one", truncation="auto")
        assert len(world.model.calls) == 1
        many = [{"role": "user", "content": str(number) * 50} for number in range(400)]
        with pytest.raises(ContextLengthExceeded):
            await world.answer(many, truncation="auto")

    assert len(world.model.calls) == 1 + MOST_TRIES


async def test_an_answer_that_has_begun_is_not_asked_for_again(tmp_path):
    async with world_in(tmp_path) as world:

        async def say(call, send):
            await speak(call, send, ["Half"], end=False)
            raise ContextLengthExceeded("Too long after all.")

        world.model.say = say
        run, _ = await world.answer(TALK, truncation="auto")

    assert (run.status, len(world.model.calls)) == ("failed", 1)


async def test_another_error_is_no_reason_to_leave_anything_out(tmp_path):
    async with world_in(tmp_path) as world:

        async def say(call, send):
            del call, send
            raise UpstreamUnreachable("The line is dead.")

        world.model.say = say
        with pytest.raises(UpstreamUnreachable):
            await world.answer(TALK, truncation="auto")

    assert len(world.model.calls) == 1


async def test_a_run_with_tools_goes_on_without_its_oldest_calls(tmp_path):
    from_tools = [[want("look", msgspec.json.encode({"n": number}).decode())] for number in range(6)]
    async with tool_world(tmp_path, *from_tools, "Done.") as world:
        world.means.current().routes["talker"].context = 900
        run, _ = await world.ask("do it", truncation="auto")

    assert run.status == "completed"
    last = [kind for kind, _ in world.model.told()]
    assert last[0] == "user"
    assert last[1:] == ["call", "result"] * (len(last) // 2)
    assert 2 <= len(last[1:]) < 12
