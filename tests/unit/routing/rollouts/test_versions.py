"""Calls are split between versions: what belongs together stays together, and a growing share only takes."""

import random

import pytest

from gateway.core.caller import Caller
from gateway.core.events import Decided
from gateway.core.target import Target
from gateway.routing.opening import open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from gateway.routing.rollouts.split import Assigner, Split, place_of
from gateway.routing.rollouts.versions import Versioned, VersionedPool, of_version
from tests.unit.routing.routing_doubles import World, call_of

BY = ("session", "user", "caller")
KEYED = Caller(id="key_1", kind="key")


def split_at(percent: float, salt: str = "s", split: Split | None = None) -> Split:
    split = split or Split()
    split.set((("v2", percent), ("v1", 100 - percent)), salt, 0.0)
    return split


def assigned(split: Split, number: int = 4000) -> list[str]:
    assigner = Assigner(split, BY, random.random)
    return [assigner.version(call_of(session=f"s{one}")) for one in range(number)]


def test_a_growing_share_only_moves_keys_from_stable_to_challenger():
    split = Split()
    before: set[int] = set()
    for percent in (1, 5, 25, 50, 100):
        versions = assigned(split_at(percent, split=split))
        now = {one for one, version in enumerate(versions) if version == "v2"}
        assert before <= now
        assert len(now) / len(versions) == pytest.approx(percent / 100, abs=0.03)
        before = now


def test_a_session_stays_with_its_version():
    split = split_at(50)
    assert assigned(split) == assigned(split)


def test_another_experiment_splits_otherwise():
    one, other = assigned(split_at(50, "a")), assigned(split_at(50, "b"))

    same = sum(a == b for a, b in zip(one, other, strict=True)) / len(one)
    assert same == pytest.approx(0.5, abs=0.05)


def test_the_same_session_of_another_caller_is_another_one():
    split = split_at(50)
    assigner = Assigner(split, BY, random.random)
    callers = [Caller(id=f"key_{one}", kind="key") for one in range(200)]

    found = {assigner.version(call_of(caller=caller, session="s")) for caller in callers}
    assert found == {"v1", "v2"}


def test_a_caller_without_session_stays_and_everybody_without_a_key_is_spread():
    chance = random.Random(3).random
    assigner = Assigner(split_at(50), BY, chance)

    assert len({assigner.version(call_of(caller=KEYED)) for _ in range(100)}) == 1
    spread = [assigner.version(call_of()) for _ in range(2000)]
    assert spread.count("v2") / 2000 == pytest.approx(0.5, abs=0.05)


def test_a_split_remembers_what_it_was_when_a_call_began():
    split = Split()
    split.set((("v2", 5), ("v1", 95)), "s", 100.0)
    split.set((("v2", 25), ("v1", 75)), "s", 200.0)

    assert split.share_at("v2", 150.0, "s") == 0.05
    assert split.share_at("v2", 200.0, "s") == 0.25
    assert split.share_at("v2", 50.0, "s") == 0
    assert split.share_at("v2", 150.0, "another") == 0


def test_places_are_evenly_from_zero_to_below_one():
    places = [place_of(str(one), "s") for one in range(5000)]

    assert 0 <= min(places) < max(places) < 1
    assert sum(places) / len(places) == pytest.approx(0.5, abs=0.02)


class TestAsking:
    @pytest.fixture
    def world(self):
        return World()

    @pytest.fixture
    def asked(self, world):
        async def answer(call, send):
            del call, send

        split = Split()
        pools = {
            version: of_version(
                open_pool("m", [(Target(provider=version, model="x"), answer)], RoutingPlan(), world.conditions),
                version,
            )
            for version in ("v1", "v2")
        }
        pool = VersionedPool("m", pools, Assigner(split, BY, world.timing.chance), "v1")
        return split, pool

    def test_before_anything_is_known_the_first_has_all_calls(self, asked):
        _, pool = asked

        assert pool.decide(call_of(), 0.0)[1].chosen == "v1/x"
        assert pool.shares == (("v1", 1.0),)

    def test_a_split_of_versions_that_are_not_there_any_more_harms_nobody(self, asked):
        split, pool = asked
        split.set((("v9", 1),), "s", 0.0)

        assert pool.decide(call_of(), 0.0)[1].version == "v1"

    async def test_the_decision_names_the_version_even_with_one_target(self, asked, world):
        split, pool = asked
        split.set((("v2", 1),), "s", 0.0)
        heard = []

        async def send(event):
            heard.append(event)

        routed = {name: open_routed(one, RoutingPlan(), world.timing, {}) for name, one in pool.pools.items()}
        await Versioned(pool, routed)(call_of(), send)

        assert [event.decision.version for event in heard if isinstance(event, Decided)] == ["v2"]
        assert pool.decide(call_of(), 0.0, peek=True)[1].version == "v2"
