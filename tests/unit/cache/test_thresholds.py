"""Learnt thresholds: the share of wrong answers stays below the bound, while more and more is served. All streams are seeded."""

import math
import random

import pytest

from gateway.cache.evidence import interval, surely_above, surely_below
from gateway.cache.thresholds import Thresholds


def stream(bound: float, seed: int, *, questions: int = 20_000, entries: int = 300) -> list[bool | None]:
    """Serve what is allowed, learn from the rest and from one in twenty of what was served. Gives for each question what was served: True
    is a right answer, None none at all.

    Each entry has its own curve: some are asked about in a hundred ways, others have near neighbours that mean something else.
    """
    chance = random.Random(seed)
    centres = [min(0.97, max(0.6, chance.gauss(0.82, 0.06))) for _ in range(entries)]
    learnt, served = Thresholds(bound), []
    for _ in range(questions):
        at = min(int(chance.paretovariate(0.7)) - 1, entries - 1)
        similarity = chance.uniform(0.6, 1.0)
        right = chance.random() < 1 / (1 + math.exp(-60 * (similarity - centres[at])))
        if learnt.allows(str(at), similarity):
            served.append(right)
            if chance.random() < 0.05:
                learnt.sample(str(at), similarity, right=right)
        else:
            served.append(None)
            learnt.sample(str(at), similarity, right=right)
    return served


@pytest.mark.parametrize("bound", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_the_share_of_wrong_answers_stays_below_the_bound_while_more_is_served(bound, seed):
    served = stream(bound, seed)

    early, late = (sum(each is not None for each in part) for part in (served[:5000], served[-5000:]))
    assert served.count(False) <= bound * (len(served) - served.count(None))
    assert late > max(1.3 * early, 50)


def test_nothing_is_served_before_there_are_enough_samples():
    learnt = Thresholds(0.02)
    for number in range(100):
        assert not learnt.allows("entry", 0.95)
        learnt.sample(f"other {number}", 0.95, right=True)

    assert not learnt.allows("entry", 0.95)


def test_an_entry_that_was_wrong_does_not_serve_there_any_more_and_others_do():
    learnt = Thresholds(0.05)
    for number in range(1000):
        learnt.sample(f"other {number}", 0.9, right=True)
    assert learnt.allows("entry", 0.905)

    learnt.sample("entry", 0.91, right=False)

    assert not learnt.allows("entry", 0.905)
    assert learnt.allows("another", 0.905)


def test_an_entry_that_was_confirmed_serves_where_others_do_not():
    """At this similarity every tenth answer of a fresh entry is wrong; of one that was confirmed none is."""
    chance = random.Random(3)
    learnt = Thresholds(0.05)
    for number in range(3000):
        bad = chance.random() < 0.1
        for _ in range(1 if bad else 3):
            learnt.sample(f"entry {number}", 0.85, right=not bad)
    learnt.sample("confirmed", 0.84, right=True)

    assert learnt.allows("confirmed", 0.85)
    assert not learnt.allows("fresh", 0.85)


def test_what_is_remembered_of_entries_is_bounded(monkeypatch):
    monkeypatch.setattr("gateway.cache.thresholds.MOST_ENTRIES", 10)
    learnt = Thresholds(0.05)
    for number in range(100):
        learnt.sample(str(number), 0.9, right=False)

    assert len(learnt._entries) == 10
    assert learnt.samples == 100


def test_the_interval_holds_at_all_times_together():
    """Looked at after each of 500 samples, 300 times: it may miss the truth in one run of twenty."""
    chance = random.Random(5)
    missed = 0
    for _ in range(300):
        wrong = 0
        for total in range(1, 501):
            wrong += chance.random() < 0.02
            if surely_above(0.02, wrong, total, confidence=0.95):
                missed += 1
                break

    assert missed <= 0.05 * 300 + 6


def test_the_interval_lies_around_the_share_and_shrinks():
    wide, narrow = (interval(count // 10, count, confidence=0.95, expected=0.05) for count in (50, 5000))

    assert wide[0] < narrow[0] < 0.1 < narrow[1] < wide[1]
    assert interval(0, 0, confidence=0.95, expected=0.05) == (0.0, 1.0)
    assert interval(3, 3, confidence=0.95, expected=0.05)[1] == pytest.approx(1.0)


def test_a_clear_excess_is_seen_and_a_clear_absence_as_well():
    assert surely_above(0.02, 12, 60, confidence=0.95)
    assert not surely_above(0.02, 1, 1, confidence=0.95)
    assert surely_below(0.02, 0, 500, confidence=0.95)
    assert not surely_below(0.02, 0, 50, confidence=0.95)
