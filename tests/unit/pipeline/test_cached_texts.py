"""Embeddings text by text: only what is missing is asked, in order, and vectors of different models are never mixed."""

import msgspec
import pytest

from gateway.core.cached import CacheWish
from gateway.core.events import Cached as Told
from gateway.core.events import Embeddings, Finished, Spent, Started
from gateway.core.usage import Usage
from tests.unit.pipeline.caching_doubles import TARGET, Heard, World


class Embedder:
    """Gives each text a vector that tells its length, and counts ten tokens a text. `target` is who says so."""

    def __init__(self):
        self.asked = []
        self.target = TARGET
        self.short = False

    async def __call__(self, call, send):
        inputs = call.fields["input"]
        inputs = [inputs] if isinstance(inputs, str) else inputs
        assert msgspec.json.decode(call.body)["input"] == call.fields["input"]
        self.asked.append(list(inputs))
        await send(Started(id="", model="e", created=0, target=self.target))
        vectors = tuple((float(len(text)), len(self.asked) / 2) for text in inputs)
        await send(Embeddings(vectors=vectors[1:] if self.short else vectors))
        await send(Finished(usage=Usage(input=10 * len(inputs))))


@pytest.fixture
def embedder():
    return Embedder()


@pytest.fixture
def world(embedder):
    world = World()
    world.cached.around(embedder)
    return world


async def embed(world, inputs, *, cache=None, **fields):
    body = {"model": "m", "input": inputs, **fields}
    call = msgspec.structs.replace(
        world.call(stream=False, content=False, cache=cache),
        operation="embed",
        dialect="openai_embeddings",
        fields=body,
        body=msgspec.json.encode(body),
    )
    heard = Heard()
    await world.cached(call, heard)
    return heard


def lengths(heard):
    return [vector[0] for vector in heard.of(Embeddings)[0].vectors]


async def test_only_what_is_missing_is_asked_each_once_and_in_order(world, embedder):
    await embed(world, ["a", "ccc"])
    heard = await embed(world, ["a", "bb", "ccc", "dddd", "bb"])

    assert embedder.asked == [["a", "ccc"], ["bb", "dddd"]]
    assert lengths(heard) == [1, 2, 3, 4, 2]
    assert heard.told == "miss; 2 of 4 known"
    assert heard.of(Finished)[0].usage == Usage(input=20)
    assert heard.of(Told)[-1].saved == Usage(input=20)


async def test_what_is_known_costs_nothing_and_shows_what_it_took(world, embedder):
    await embed(world, ["a", "bbb"])
    heard = await embed(world, ["bbb", "a", "bbb"])

    assert len(embedder.asked) == 1
    assert (heard.told, lengths(heard)) == ("exact", [3, 1, 3])
    assert heard.of(Finished)[0].usage == Usage(input=20), "each text once"
    assert heard.of(Started)[0].target == TARGET


async def test_tokens_are_divided_by_length_and_none_is_lost(world):
    await embed(world, ["a" * 1, "b" * 2, "c" * 4])
    used = [(await embed(world, text)).of(Finished)[0].usage.input for text in ("a", "bb", "cccc")]

    assert sum(used) == 30
    assert used == sorted(used)


async def test_vectors_of_different_models_are_never_mixed(world, embedder):
    """One text is known from the first target; the rest comes from another: all are asked of that one."""
    await embed(world, ["a"])
    embedder.target = "other/e"
    heard = await embed(world, ["a", "bb"])

    assert embedder.asked == [["a"], ["bb"], ["a", "bb"]]
    assert lengths(heard) == [1, 2]
    assert len({vector[1] for vector in heard.of(Embeddings)[0].vectors}) == 1
    assert len(heard.of(Finished)) == 1
    assert heard.of(Spent) == [Spent(target="other/e", usage=Usage(input=10), why="cache")]
    assert (heard.told, heard.of(Told)[-1].saved) == ("miss", None), "nothing was saved after all"


async def test_nor_are_those_of_two_targets_of_one_model(world, embedder):
    """Both are the model's own."""
    world.cached._shelf = msgspec.structs.replace(world.shelf, targets=frozenset({TARGET, "up/other"}))
    await embed(world, ["a"])
    embedder.target = "up/other"
    heard = await embed(world, ["a", "bb"])

    assert embedder.asked == [["a"], ["bb"], ["a", "bb"]]
    assert len({vector[1] for vector in heard.of(Embeddings)[0].vectors}) == 1
    assert (await embed(world, ["a", "bb"])).told == "exact", "what was asked anew is kept"


async def test_an_answer_with_too_few_vectors_is_not_kept(world, embedder):
    embedder.short = True
    await embed(world, ["a", "bb"])
    embedder.short = False

    assert (await embed(world, ["a", "bb"])).told == "miss"


async def test_a_text_of_numbers_is_no_list_of_tokens(world, embedder):
    await embed(world, [[1, 2], [3]])
    told = [(await embed(world, one)).told for one in ([3], [1, 2], "[3]", "[1, 2]")]

    assert told == ["exact", "exact", "miss", "miss"]


@pytest.mark.parametrize("field", [{"dimensions": 2}, {"encoding_format": "base64"}, {"model": "other"}], ids=str)
async def test_other_fields_are_other_keys(world, field):
    await embed(world, ["a"])

    assert (await embed(world, ["a"], **field)).told == "miss"


async def test_wishes_hold_for_embeddings(world, embedder):
    await embed(world, ["a"], cache=CacheWish(mode="off"))
    await embed(world, ["a"], cache=CacheWish(mode="read"))
    await embed(world, ["a"], cache=CacheWish(mode="write"))
    assert (await embed(world, ["a"])).told == "exact"
    assert len(embedder.asked) == 3


@pytest.mark.parametrize("inputs", [[], None, {"a": 1}, [1.5], ["a"] * 3000], ids=lambda inputs: str(inputs)[:20])
async def test_what_makes_no_sense_is_the_models_to_refuse(world, inputs):
    async def refusing(call, send):
        del call, send

    world.cached.around(refusing)
    assert (await embed(world, inputs)).told == "bypass; fields"
