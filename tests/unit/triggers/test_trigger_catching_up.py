"""What a storm left over begins by itself where there are places again: some of it, the worst first, and never before it was told of."""

import msgspec
import pytest

from gateway.config.secret import Secret
from gateway.config.trigger_settings import AlertmanagerTriggerSettings, StormSettings
from gateway.stores.incidents import Board, Incident
from gateway.triggers.beginning import decide

STORM = Incident(
    id="inc_storm", trigger="t", tenant="default", kind="storm", key="storm", title="More than may begin", opened_at=0.0, updated_at=0.0,
    told_seq=1, runs=1,
)  # fmt: skip


def left(number, **fields):
    plain = {
        "id": f"inc_{number}",
        "trigger": "t",
        "tenant": "default",
        "kind": "alerts",
        "key": f"k{number}",
        "title": "PodDown",
    }
    plain |= {
        "opened_at": float(number),
        "updated_at": 0.0,
        "held": "storm",
        "part_of": "inc_storm",
        "firing": 1,
        "alerts": 1,
    }
    return Incident(**(plain | fields))


def begun(board, **storm):
    settings = AlertmanagerTriggerSettings(
        agent="a", token=Secret("x" * 16, source="env:X"), storm=StormSettings(**storm)
    )
    beginning = decide("t", settings, board, now=100.0, new_id=lambda prefix: f"{prefix}new")
    assert [one.id for one in beginning.changes.incidents if one.id not in {each.id for each in beginning.begin}] == []
    return [one.id for one in beginning.begin]


def board(*waiting, had=0, **fields):
    plain = {"due": [], "more": 0, "begun": [], "going": 0, "storm": STORM, "left": [(one, had) for one in waiting]}
    return Board(**(plain | fields))


def test_what_was_left_over_begins_in_its_order_while_one_place_stays_free():
    assert begun(board(*map(left, range(9))), at_once=4, per_minute=10) == ["inc_0", "inc_1", "inc_2"]


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        ({"going": 4}, {"at_once": 4}),
        ({"begun": [99.0] * 10}, {"per_minute": 10}),
        ({"storm": msgspec.structs.replace(STORM, told_seq=0)}, {}),
        ({"had": 5}, {"catch_up": 5}),
        ({}, {"catch_up": 0}),
        ({"more": 1, "going": 1}, {}),
    ],
)
def test_nothing_of_it_begins_without_a_place_before_it_was_told_of_or_beyond_the_bound(change, settings):
    assert begun(board(left(1), **change), **settings) == []


def test_a_storm_that_is_over_leaves_no_one_behind():
    assert begun(board(left(1), storm=None)) == ["inc_1"]


def test_the_bound_counts_what_began_before_and_what_begins_now():
    assert begun(board(*map(left, range(9)), had=3), catch_up=5) == ["inc_0", "inc_1"]


def test_what_is_new_goes_before_what_was_left_over():
    new = left(7, held="", part_of="", due_at=1.0)

    assert begun(board(left(1), left(2), due=[new]), at_once=2) == ["inc_7"]


def test_a_trigger_with_a_single_place_gives_it():
    assert begun(board(left(1), left(2)), at_once=1) == ["inc_1"]
