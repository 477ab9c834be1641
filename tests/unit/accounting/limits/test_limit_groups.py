"""Who takes from the same counters again and again looks at their windows once, and counts as one who looks each time."""

import random
from collections.abc import Sequence
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.counter_windows import Calendar, Rolling
from gateway.stores.counters import Bucket, Outcome
from gateway.stores.counters_board import Board
from gateway.stores.counters_memory import MemoryCounters, Taken
from tests.unit.accounting.limits.limit_doubles import NOON, Time


def bucket(key: str, limit: int, window: Calendar | Rolling | None) -> Bucket:
    return Bucket(key=key, table=key, limit=limit, window=window)


CALLS = bucket("calls", 40, Rolling(seconds=60.0))
TOKENS = bucket("tokens", 500, Rolling(seconds=7200.0))
MONEY = bucket("money", 300, Calendar(unit="minute"))
TOGETHER = bucket("together", 800, Calendar(unit="hour"))
AT_ONCE = bucket("at once", 9, None)
SETS = ((CALLS, MONEY), (CALLS, TOKENS, MONEY, AT_ONCE), (MONEY, TOGETHER), (TOGETHER,), (AT_ONCE, CALLS))


async def used(store: MemoryCounters) -> Sequence[int]:
    return await store.used((CALLS, TOKENS, MONEY, TOGETHER, AT_ONCE))


@given(st.integers(0, 2**32))
async def test_groups_that_are_used_again_count_as_new_ones_do(seed):
    chance, time = random.Random(seed), Time(NOON + 55.0)
    again, anew = [MemoryCounters(time.clock, snapshots=True, expire_after=inf) for _ in range(2)]
    groups = [again.group(buckets) for buckets in SETS]
    held: dict[str, tuple[Taken, list[int | None]]] = {}
    for number in range(60):
        time.pass_by(chance.choice([0.0, 0.0, 0.4, 1.0, 30.0, 70.0, 4000.0]))
        if chance.random() < 0.15:
            time.jump(chance.choice([-90.0, -10.0, 10.0, 90.0, 3600.0, -3600.0]))
        which = chance.randrange(len(SETS))
        amounts = tuple(1 if one in (CALLS, AT_ONCE) else chance.randrange(120) for one in SETS[which])
        taken = again.take(groups[which], amounts)
        outcome = await anew.reserve(str(number), SETS[which], amounts)
        if isinstance(taken, Taken):
            assert (taken.used, None) == (outcome.used, outcome.refused)
            held[str(number)] = taken, [chance.choice([None, 0, 7, amount + 30]) for amount in amounts]
        else:
            assert taken == outcome
        if held and chance.random() < 0.6:
            name = chance.choice(sorted(held))
            one, actual = held.pop(name)
            really = [0 if there.held else amount for there, amount in zip(one.counters, actual, strict=True)]
            again.give_back(one, really)
            anew.settle(name, really)
        if chance.random() < 0.05:
            again.sweep()
            anew.sweep()
        assert await used(again) == await used(anew)
    assert sorted(again.counts(), key=str) == sorted(anew.counts(), key=str)


async def test_a_calendar_that_another_caller_saw_move_back_and_forth_counts_where_the_clock_is():
    time = Time(NOON + 61.0)
    store = MemoryCounters(time.clock)
    one, other = store.group((MONEY,)), store.group((MONEY, AT_ONCE))
    store.take(one, (200,))
    time.jump(-5.0)
    store.take(other, (40, 1))
    time.jump(5.0)

    refused = store.take(one, (101,))
    assert isinstance(refused, Outcome)
    assert refused.used == (200,)
    assert await store.used((MONEY,)) == (200,)


async def test_what_is_given_back_after_its_counter_was_forgotten_goes_to_its_successor():
    time = Time()
    store = MemoryCounters(time.clock)
    group = store.group((TOKENS,))
    taken = store.take(group, (0,))
    assert isinstance(taken, Taken)
    store.sweep()
    assert len(store) == 0
    store.take(group, (10,))
    store.give_back(taken, (25,))

    assert await store.used((TOKENS,)) == (35,)


async def test_the_file_holds_what_counts_after_every_step(tmp_path):
    time = Time()
    board = Board(tmp_path / "board", time.clock.wall)
    store = MemoryCounters(time.clock, board=board)
    group = store.group((TOKENS, TOGETHER, CALLS))

    def filed() -> list[int]:
        return sorted(board.amounts[cell.at] for cell in board._cells.values())

    taken = store.take(group, (30, 50, 1))
    assert isinstance(taken, Taken)
    assert filed() == [30, 50]
    store.give_back(taken, (10, 70, None))
    assert filed() == [10, 70]
    time.pass_by(121.0)
    store.take(group, (5, 5, 1))
    assert filed() == [5, 10, 75]
