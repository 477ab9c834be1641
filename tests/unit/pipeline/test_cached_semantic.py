"""The stage and the layer of similar questions: when it is asked, what it is told, and what is not served whatever it says."""

import msgspec
import pytest

from gateway.cache.semantic import Found
from gateway.config.cache_settings import SemanticSettings
from gateway.core.cached import CacheWish
from gateway.core.events import Cached as Told
from tests.unit.pipeline.caching_doubles import World


class Layer:
    """Takes every question of a partition for the same, or says what it is told to say."""

    def __init__(self):
        self.asked = []
        self.kept = []
        self.told = []
        self.found = None
        self.change = lambda entry: entry

    async def find(self, question, call):
        self.asked.append(question)
        if self.found is not None:
            return self.found
        near = [entry for known, entry in self.kept if known.partition == question.partition]
        if not near:
            return Found(why="no_neighbour")
        return Found(entry=self.change(near[-1]), similarity=0.93)

    def keep(self, question, entry):
        self.kept.append((question, entry))

    def served(self, question, entry, similarity, call):
        self.told.append((question.text, entry.id, similarity, call.id))


@pytest.fixture
def layer():
    return Layer()


@pytest.fixture
def world(layer):
    return World(semantic=layer, mode="semantic", jitter=0.0)


async def test_a_question_that_asks_the_same_has_the_same_answer(world, layer):
    first = await world.ask("How high is K2?")
    second = await world.ask("What is the height of K2?")
    third = await world.ask("How high is K2?")

    assert [heard.told for heard in (first, second, third)] == ["miss; no_neighbour", "semantic", "exact"]
    assert second.text == "answer 1"
    assert second.of(Told)[0].similarity == 0.93
    assert layer.told == [("What is the height of K2?", layer.kept[0][1].id, 0.93, f"call_{3:024x}")]
    assert len(layer.asked) == 2, "an exact hit asks nobody"
    assert len(layer.kept) == 1, "an answer that was served for another question is not kept for it"


async def test_what_is_told_of_a_question_is_what_makes_it_comparable(world, layer):
    await world.ask("How high is K2?", cache=CacheWish(threshold=0.9))
    (question, entry) = layer.kept[0]

    assert (question.text, question.tenant, question.model, question.threshold) == ("How high is K2?", "acme", "m", 0.9)
    assert (entry.question, entry.partition) == (question.text, question.partition)
    for other in ({"temperature": 0.5}, {"cache": CacheWish(namespace="n")}, {"seed": 1}):
        await world.ask("How high is K2, then?", **other)
        assert layer.asked[-1].partition != question.partition


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda entry: msgspec.structs.replace(entry, tenant="globex"), "foreign"),
        (lambda entry: msgspec.structs.replace(entry, model="other"), "foreign"),
        (lambda entry: msgspec.structs.replace(entry, partition="other"), "foreign"),
        (lambda entry: msgspec.structs.replace(entry, fresh_until=0.0), "stale"),
        (lambda entry: msgspec.structs.replace(entry, answer=b"garbage"), ""),
    ],
    ids=["tenant", "model", "partition", "age", "garbage"],
)
async def test_what_is_not_the_callers_or_not_fresh_is_not_served_whatever_the_layer_says(world, layer, change, why):
    await world.ask("How high is K2?")
    layer.change = change
    heard = await world.ask("What is the height of K2?")

    assert heard.told == (f"miss; {why}" if why else "miss")
    assert heard.text == "answer 2"
    assert not layer.told


async def test_a_refusal_says_why(world, layer):
    layer.found = Found(similarity=0.91, why="numbers")
    heard = await world.ask("How high is K3?")

    assert heard.told == "miss; numbers"
    assert heard.of(Told)[-1].similarity == 0.91


TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "K2?"},
]
WITH_A_TOOL = [
    {"role": "user", "content": "K2?"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "8611"},
    {"role": "user", "content": "In feet?"},
]


@pytest.mark.parametrize("talk", [TALK, WITH_A_TOOL])
async def test_conversations_ask_nobody_and_say_so(world, layer, talk):
    heard = await world.ask("unused", messages=talk)

    assert heard.told == "miss; conversation"
    assert not layer.asked
    assert not layer.kept


async def test_what_is_no_question_asks_nobody(world, layer):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    heard = await world.ask("unused", messages=[{"role": "user", "content": [picture]}])

    assert heard.told == "miss"
    assert not layer.asked


async def test_a_conversation_of_a_model_with_exact_answers_says_nothing_of_it():
    assert (await World().ask("unused", messages=TALK)).told == "miss"


async def test_a_conversation_that_may_be_looked_for_is(layer):
    world = World(semantic=layer, mode="semantic", semantic_settings=SemanticSettings(conversations=True))
    assert (await world.ask("unused", messages=TALK)).told == "miss; no_neighbour"
    assert (await world.ask("unused", messages=WITH_A_TOOL)).told == "miss; conversation"


async def test_who_wants_it_anew_or_not_at_all_asks_nobody(world, layer):
    await world.ask("How high is K2?", cache=CacheWish(mode="write"))
    await world.ask("How high is K2?", cache=CacheWish(mode="off"))
    assert not layer.asked
    assert len(layer.kept) == 1

    await world.ask("And Everest?", cache=CacheWish(mode="read"))
    assert len(layer.asked) == 1
    assert len(layer.kept) == 1
