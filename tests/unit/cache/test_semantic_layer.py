"""The semantic layer: what it serves, and who can object. Refusing is always safe, and always says why."""

import math

import anyio
import msgspec
import pytest

from gateway.cache.background import Background
from gateway.cache.layer import MOST_TEXT
from gateway.config.cache_settings import AuditShareSettings, ModelCacheSettings, SemanticSettings, VerifierSettings
from gateway.stores.answers import Selection
from tests.unit.cache.semantic_world import World

ASKED = "How do I reset my password?"
SAME = "How can I reset my password?"


async def test_a_question_in_other_words_is_answered_from_the_cache_with_its_similarity():
    world = World()
    entry = await world.keep(ASKED)
    world.near[SAME] = 0.93

    found = await world.find(SAME)

    assert found.entry == entry
    assert found.similarity == pytest.approx(0.93, abs=0.002)


async def test_what_is_less_similar_than_the_threshold_is_a_miss_that_says_so():
    world = World(SemanticSettings(threshold=0.9))
    await world.keep(ASKED)
    world.near[SAME] = 0.88

    found = await world.find(SAME)

    assert (found.entry, found.why) == (None, "below_threshold")
    assert found.similarity == pytest.approx(0.88, abs=0.002)


async def test_a_callers_threshold_can_only_be_stricter():
    world = World(SemanticSettings(threshold=0.9))
    await world.keep(ASKED)
    world.near[SAME] = 0.92

    assert (await world.find(SAME, threshold=0.95)).why == "below_threshold"
    assert (await world.find(SAME, threshold=0.1)).entry is not None
    world.near["How may I reset my password?"] = 0.5
    assert (await world.find("How may I reset my password?", threshold=0.1)).why == "below_threshold"


async def test_the_guards_object_however_similar_the_questions_are():
    world = World()
    await world.keep("How do I reset 3 passwords?")

    found = await world.find("How do I reset 4 passwords?")

    assert found.entry is None
    assert found.why == "guard_numbers"


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("How many blanks are in 'a  b'?", "How many blanks are in 'a b'?"),
        ("What is printed?\nfor i in x:\n    a()\n    b()", "What is printed?\nfor i in x:\n    a()\nb()"),
    ],
)
async def test_texts_that_differ_in_white_space_are_not_the_same_text(kept, asked):
    """It means something in code and in what is quoted, so everybody who may object is asked."""
    world, asked_of = World(), []
    world.layer._shared = msgspec.structs.replace(
        world.layer._shared, guard=lambda one, other: asked_of.append((one, other)) or "white space"
    )
    await world.keep(kept)
    world.near[kept] = world.near[asked] = 1.0

    assert (await world.find(asked)).why == "guard_white_space"
    assert asked_of == [(asked, kept)]
    assert (await world.find(f" {kept}\n".replace("\n", "\r\n"))).entry is not None


async def test_the_next_nearest_is_served_where_the_nearest_is_refused():
    world = World()
    await world.keep("How do I reset 4 passwords?")
    right = await world.keep("How do I reset 3 passwords?")
    world.near["How do I reset 4 passwords?"] = 0.99
    world.near["How can I reset 3 passwords?"] = 0.999

    found = await world.find("How can I reset 3 passwords?")

    assert found.entry == right


async def test_guards_can_be_left_out():
    world = World(SemanticSettings(guards=False))
    entry = await world.keep("How do I reset 3 passwords?")

    assert (await world.find("How do I reset 4 passwords?")).entry == entry


async def test_nothing_similar_says_so():
    assert (await World().find(ASKED)).why == "nothing_similar"


async def test_an_entry_that_is_gone_or_stale_is_not_served_and_leaves_the_index():
    world = World()
    await world.keep(ASKED, ttl=100)
    world.now += 150
    assert (await world.find(SAME)).why == "nothing_similar"
    assert world.index.size == 1
    world.now += 100

    assert (await world.find(SAME)).why == "nothing_similar"
    assert world.index.size == 0


async def test_entries_that_are_gone_do_not_hide_one_that_is_there():
    """More of them than are looked at once: their question was answered anew again and again."""
    world = World()
    for number in range(6):
        await world.keep(ASKED, entry=f"old {number}")
    entry = await world.keep("How could I reset my password?")
    world.near["How could I reset my password?"] = 0.95
    for number in range(6):
        world.answers._by_id.pop(f"old {number}", None)

    assert (await world.find(ASKED + "?")).entry == entry


async def test_the_caches_own_index_forgets_what_the_store_lets_go():
    world = World()
    entry = await world.keep(ASKED)
    assert world.index.size == 1

    await world.answers.remove(Selection(entry=entry.id))

    assert world.index.size == 0


async def test_conversations_are_left_alone_unless_they_are_asked_for():
    world = World()
    await world.keep("And in Paris?", said=("What is the weather in Rome?",))

    found = await world.find("And in Paris?", said=("What is the weather in Rome?",))

    assert (found.entry, found.why) == (None, "conversation")
    assert world.asked == []


async def test_a_conversation_is_served_where_it_is_wanted():
    world = World(SemanticSettings(conversations=True))
    entry = await world.keep(ASKED, said=("Hello",))

    assert (await world.find(SAME, said=("Hello",))).entry == entry


async def test_a_long_text_is_not_looked_for():
    world = World()

    assert (await world.find("word " * MOST_TEXT)).why == "too_long"
    assert world.asked == []


async def test_an_embedding_model_that_fails_is_a_miss():
    world = World()
    world.broken.add("embedder")

    assert (await world.find(ASKED)).why == "embedding_failed"


async def test_an_embedding_model_that_is_slow_is_a_miss_in_time():
    world = World(SemanticSettings(timeout=0.01))
    world.wait["embedder"] = math.inf

    with anyio.fail_after(5):
        assert (await world.find(ASKED)).why == "timeout"


async def test_an_embedding_model_that_is_away_soon_costs_nothing_and_is_tried_again():
    world = World(SemanticSettings(timeout=0.01))
    world.wait["embedder"] = math.inf
    with anyio.fail_after(5):
        whys = [(await world.find(f"What is relay number {number}?")).why for number in range(20)]
    assert whys == ["timeout"] * 3 + ["embedding_failed"] * 17
    assert len(world.asked) == 3
    world.wait.clear()
    world.now += 6

    assert (await world.find(ASKED)).why == "nothing_similar"
    assert (await world.find(SAME)).why == "nothing_similar"


async def test_a_text_is_embedded_once_in_the_operators_name():
    world = World()
    await world.keep(ASKED)
    await world.find(ASKED)

    (asked,) = world.asked
    assert (asked.caller.id, asked.caller.tenant, asked.caller.team) == ("cache", "acme", "")
    assert asked.operation == "embed"


async def test_an_answer_that_was_kept_without_a_search_is_found_as_well():
    """Whoever only writes has embedded nothing yet: that is done later."""
    world = World()
    async with world.running():
        entry = world.put(world.question(ASKED))
        await world.cache.background.settled()

        assert (await world.find(SAME)).entry == entry


async def test_searches_are_counted_by_what_came_of_them():
    world = World()
    await world.keep(ASKED)
    await world.find(SAME)

    figures = world.figures()

    assert (figures["searches"], figures["hits"], figures["hit_rate"]) == (2, 1, 0.5)
    assert figures["misses"] == {"nothing_similar": 1}


async def test_what_was_learnt_stays_as_long_as_the_settings_do():
    world = World()
    await world.find(ASKED)
    again = SemanticSettings()
    world.cache.layer("chat", again, world.ask, lambda target, usage: None)
    world.cache.settle(["chat"])
    assert world.figures()["searches"] == 1

    world.cache.layer("chat", SemanticSettings(threshold=0.5), world.ask, lambda target, usage: None)
    assert world.figures()["searches"] == 1, "nobody said that this one is in force"
    world.cache.settle(["chat"])

    assert world.figures()["searches"] == 0
    world.cache.settle([])
    assert world.cache.figures() == []


async def test_a_model_and_its_versions_have_layers_of_their_own():
    world = World()
    opens = world.cache.opener(world.ask, lambda target, usage: None)
    opens("chat", "v1", ModelCacheSettings(mode="semantic"), "")
    opens("chat", "v2", ModelCacheSettings(mode="semantic"), "")

    assert {each["model"] for each in world.cache.figures()} == {"chat", "chat@v1", "chat@v2"}


async def test_learning_serves_nothing_before_it_knows_enough_and_more_and_more_then():
    """Each miss is compared with the answer that came: that costs nobody a further call to the model."""
    world = World(SemanticSettings(error_bound=0.2, threshold=0.5, audit=None))
    async with world.running():
        entry = await world.keep(ASKED, answer="By the link on the page.")
        whys = []
        for number in range(60):
            text = f"{'please ' * (number % 7)}how do I reset my password? {'thanks ' * (number // 7)}"
            world.near[text] = 0.9
            found = await world.find(text)
            whys.append(found.why)
            if found.entry is None:
                world.put(world.question(text, partition="p"), answer="By the link on the page.", entry=f"e{number}")
                world.index.remove([f"e{number}"])
            else:
                assert found.entry == entry
            await world.cache.background.settled()

    assert whys[0] == "learning"
    assert whys[-1] == ""
    assert not world.asked_of("chat")


async def test_learning_from_wrong_answers_serves_nothing():
    world = World(SemanticSettings(error_bound=0.2, threshold=0.5, audit=None))
    world.near |= {"Answer A is it and nothing else.": 1.0, "Quite another thing.": 0.1}
    async with world.running():
        await world.keep(ASKED, answer="Answer A is it and nothing else.")
        for number in range(60):
            text = f"{'please ' * (number % 7)}how do I reset my password? {'thanks ' * (number // 7)}"
            world.near[text] = 0.9
            found = await world.find(text)
            assert found.entry is None
            world.put(world.question(text), answer="Quite another thing.", entry=f"e{number}")
            world.index.remove([f"e{number}"])
            await world.cache.background.settled()

    assert world.figures()["samples"] == 60


async def test_a_verifier_is_not_asked_any_more_about_what_is_learnt():
    world = World(
        SemanticSettings(error_bound=0.2, threshold=0.5, audit=None, verifier=VerifierSettings(model="judge"))
    )
    world.words["judge"] = ["yes"]
    await world.keep(ASKED)
    for number in range(80):
        text = f"{'please ' * (number % 9)}how do I reset my password? {'thanks ' * (number // 9)}"
        world.near[text] = 0.9
        assert (await world.find(text)).entry is not None

    assert len(world.asked_of("judge")) < 60


async def test_a_job_that_crashes_ends_neither_the_others_nor_the_server():
    background, done = Background(), anyio.Event()

    async def crash() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(background.run)
        assert background.take(crash)
        assert background.take(work)
        with anyio.fail_after(5):
            await done.wait()
            await background.settled()
        tasks.cancel_scope.cancel()


def test_jobs_that_find_no_room_are_not_taken(monkeypatch):
    monkeypatch.setattr("gateway.cache.background.MOST_WAITING", 1)
    background = Background()

    async def work() -> None: ...

    assert background.take(work)
    assert not background.take(work)


def test_an_audit_has_its_defaults():
    assert SemanticSettings().audit == AuditShareSettings()


async def test_vectors_of_another_embedding_model_are_not_used():
    """It was given another target under the same name: what is remembered means nothing to what it says now."""
    world = World()
    await world.keep(ASKED)
    await world.find(ASKED)
    assert len(world.asked_of("embedder")) == 1
    world.layer = world.cache.layer("chat", world.settings, world.ask, lambda target, usage: None, "another")

    await world.find(ASKED)
    await world.find(ASKED)
    assert len(world.asked_of("embedder")) == 2
