"""The audit: a share of semantic hits is asked again; when too many were wrong, the layer is switched off. And what scores do."""

import anyio
import pytest

from gateway.cache.false_hits import FalseHits
from gateway.cache.recent_hits import MOST, RecentHit, RecentHits
from gateway.config.cache_settings import AuditShareSettings, SemanticSettings
from tests.unit.cache.semantic_world import World

ASKED = "How do I reset my password?"
SAME = "How can I reset my password?"


def audited(*, chance: float = 0.0, **audit) -> World:
    world = World(SemanticSettings(audit=AuditShareSettings(**{"share": 0.5, **audit})), chance=chance)
    world.near |= {"By the link on the page.": 1.0, "Ask in the office on the first floor.": 0.2}
    return world


def hit(entry: str, similarity: float | None = None) -> RecentHit:
    return RecentHit(model="chat", entry=entry, caller="key_1", tenant="acme", at=1000.0, similarity=similarity)


async def serve(world: World, times: int) -> None:
    for number in range(times):
        await world.serve(SAME, number=number)
        await world.cache.background.settled()


async def test_a_hit_that_is_answered_the_same_again_was_right():
    world = audited()
    world.words["chat"] = ["By the link on the page."]
    async with world.running():
        await world.keep(ASKED, answer="by the link  on the page.")
        await serve(world, 3)

    assert world.figures()["false_hits"]["audited"] == 3
    assert world.figures()["false_hits"]["wrong"] == 0
    (asked, *_) = world.asked_of("chat")
    assert asked.cache.mode == "off"
    assert (asked.caller.id, asked.caller.tenant, asked.background, asked.stream) == ("cache", "acme", True, False)
    assert asked.content.items[0].parts[0].text == SAME


async def test_a_hit_that_is_answered_otherwise_was_wrong_and_is_not_served_for_that_question_again():
    world = audited()
    world.words["chat"] = ["Ask in the office on the first floor."]
    async with world.running():
        await world.keep(ASKED, answer="By the link on the page.")
        await serve(world, 1)

        assert world.figures()["false_hits"]["wrong"] == 1
        assert (await world.find(SAME)).why == "found_wrong"
        assert (await world.find("How could I reset my password?")).entry is not None


async def test_short_answers_with_other_numbers_do_not_say_the_same():
    world = audited()
    world.words["chat"] = ["It takes 5 days."]
    async with world.running():
        await world.keep(ASKED, answer="It takes 3 days.")
        await serve(world, 1)

    assert world.figures()["false_hits"]["wrong"] == 1


async def test_short_answers_that_say_the_same_in_other_words_are_not_taken_for_wrong():
    world = audited()
    world.words["chat"] = ["You will find a link for it below the form."]
    async with world.running():
        await world.keep(ASKED, answer="Click on the link that stands under the form.")
        await serve(world, 1)

    assert world.figures()["false_hits"]["wrong"] == 0


async def test_answers_that_are_neither_near_nor_far_are_not_counted():
    world = audited()
    world.near["Perhaps so, perhaps not."] = 0.65
    world.words["chat"] = ["Perhaps so, perhaps not."]
    async with world.running():
        await world.keep(ASKED, answer="By the link on the page. " * 20)
        await serve(world, 1)

    assert world.figures()["false_hits"]["audited"] == 0


async def test_only_the_share_is_audited():
    world = audited(share=0.05, chance=0.06)
    async with world.running():
        await world.keep(ASKED)
        await serve(world, 5)

    assert world.asked_of("chat") == []


async def test_a_model_that_judges_has_the_word_on_both_answers():
    world = audited(model="judge")
    world.words |= {"chat": ["Something else entirely."], "judge": ["yes", "no"]}
    async with world.running():
        await world.keep(ASKED, answer="By the link on the page.")
        await serve(world, 1)
        await world.serve("How could I reset my password?", number=2)
        await world.cache.background.settled()

    assert world.figures()["false_hits"] | {"low": 0, "high": 0} == {
        "audited": 2, "wrong": 1, "rate": 0.5, "low": 0, "high": 0, "confidence": 0.95, "most_wrong": 0.02,
    }  # fmt: skip


async def test_audits_are_bounded_by_the_minute():
    world = audited(calls_per_minute=2)
    async with world.running():
        await world.keep(ASKED)
        await serve(world, 5)

    assert len(world.asked_of("chat")) == 2


async def test_a_model_that_fails_to_answer_again_says_nothing_of_the_hit():
    world = audited()
    world.broken.add("chat")
    async with world.running():
        await world.keep(ASKED)
        await serve(world, 2)

    assert world.figures()["false_hits"]["audited"] == 0
    assert (await world.find(SAME)).entry is not None


async def test_too_many_wrong_hits_switch_the_layer_off_until_somebody_switches_it_on():
    world = audited(samples=5, calls_per_minute=1000)
    world.words["chat"] = ["Ask in the office on the first floor."]
    async with world.running():
        await world.keep(ASKED, answer="By the link on the page.")
        for number in range(5):
            assert world.figures()["on"]
            await world.serve(f"{SAME} {'please ' * number}", number=number)
            await world.cache.background.settled()

    assert not world.figures()["on"]
    assert (await world.find(ASKED)).why == "switched_off"
    assert world.cache.switch("chat", True)
    assert (await world.find(ASKED)).entry is not None
    assert world.figures()["false_hits"]["audited"] == 0
    assert not world.cache.switch("nobody", True)


async def test_other_settings_switch_it_on_as_well():
    world = World()
    assert world.cache.switch("chat", False)
    world.cache.layer("chat", SemanticSettings(threshold=0.8), world.ask, lambda target, usage: None)
    world.cache.settle(["chat"])

    assert world.figures()["on"]


def test_it_is_not_switched_off_by_a_few():
    counted = FalseHits("chat", AuditShareSettings())
    for _ in range(29):
        counted.count(right=False)
    assert not counted.off

    counted.count(right=False)

    assert counted.off


def test_a_share_within_the_bound_leaves_it_on():
    counted = FalseHits("chat", AuditShareSettings(most_wrong=0.05))
    for number in range(1500):
        counted.count(right=number % 25 != 0)

    rate, low, high = counted.estimate()
    assert not counted.off
    assert low < 0.04 < high
    assert rate == pytest.approx(0.04)


async def test_metrics_tell_rate_bounds_and_what_is_off():
    world = audited()
    async with world.running():
        await world.keep(ASKED)
        await serve(world, 1)

    lines = [line for metric in world.cache.metrics for line in metric.render()]
    assert 'switchgear_cache_semantic_searches_total{model="chat",outcome="hit"} 1' in lines
    assert 'switchgear_cache_audits_total{model="chat",outcome="right"} 1' in lines
    assert 'switchgear_cache_false_hit_rate{model="chat",bound="estimate"} 0' in lines
    assert 'switchgear_cache_semantic_off{model="chat"} 0' in lines
    assert "switchgear_cache_vectors 1" in lines
    assert not any(ASKED in line for line in lines)


async def test_a_thumbs_down_evicts_the_entry():
    world = audited(share=0.0)
    entry = await world.keep(ASKED)
    await world.serve(SAME, number=7)

    assert await world.scores.scored("call_7", 0.0) == entry.id

    assert await world.answers.entries([entry.id]) == ()
    assert (await world.find(SAME)).why == "nothing_similar"
    assert world.figures()["reported"] == 1


async def test_a_good_score_and_one_of_another_call_evict_nothing():
    world = audited(share=0.0)
    entry = await world.keep(ASKED)
    await world.serve(SAME, number=7)

    assert await world.scores.scored("call_7", 1.0) == ""
    assert await world.scores.scored("call_8", 0.0) == ""

    assert (await world.find(SAME)).entry == entry


async def test_scores_teach():
    world = World(SemanticSettings(error_bound=0.1, threshold=0.5, audit=None))
    entry = await world.keep(ASKED)
    world.hits.note("call_1", hit(entry.id, 0.9))
    await world.scores.scored("call_1", 0.0)

    assert world.figures()["samples"] == 1


def test_recent_hits_are_bounded_and_the_first_word_counts():
    hits = RecentHits()
    hits.note("call", hit("a", 0.9))
    hits.note("call", hit("a"))
    assert hits.find("call") == hit("a", 0.9)

    for number in range(MOST):
        hits.note(str(number), hit("b"))

    assert hits.find("call") is None


async def test_the_end_of_the_server_waits_for_no_audit():
    world = audited()
    world.wait["chat"] = 3600.0
    with anyio.fail_after(5):
        async with world.running():
            await world.keep(ASKED)
            await world.serve(SAME)
            await anyio.lowlevel.checkpoint()
