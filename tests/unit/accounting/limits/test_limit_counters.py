"""Counting through time: window edges, clocks that jump, days of 23 and 25 hours, thousands of keys, and files that are kept."""

import random
from collections import deque
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.stores.counter_windows import SLOTS, Calendar, Rolling, frees_at, slot_of, span_at
from gateway.stores.counters import Bucket
from gateway.stores.counters_board import FIRST_CELLS, Board, open_board
from gateway.stores.counters_memory import LOOKED_AT, MemoryCounters
from tests.unit.accounting.limits.limit_doubles import Time

MONTH = Calendar(unit="month")
DAY = Rolling(seconds=86_400.0)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
]
# 1980 to 2037: the years for which zones have rules that are not extrapolated.
MOMENTS = st.floats(min_value=315_532_800, max_value=2_114_380_800)


def bucket(key="k", limit=10, window=None, **rest) -> Bucket:
    return Bucket(key=key, table="t", limit=limit, window=window or Rolling(seconds=60.0), **rest)


def instant(text: str, zone: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@given(st.integers(0, 2**32), st.sampled_from([0.9, 60.0, 3600.0, 86_400.0]))
def test_no_window_of_any_position_ever_holds_more_than_the_limit(seed, seconds):
    """A seeded run of reserving, settling and waiting, held against an exact sliding window."""
    chance, time = random.Random(seed), Time()
    store, one = MemoryCounters(time.clock), bucket(limit=20, window=Rolling(seconds=seconds))
    held: deque[list[float]] = deque()
    waiting: dict[str, list[float]] = {}
    for step in range(120):
        time.pass_by(chance.choice([0.0, seconds / 300, seconds / SLOTS, seconds / 7, seconds / 2]))
        now = time.clock.monotonic()
        if waiting and chance.random() < 0.4:
            name = chance.choice(list(waiting))
            taken = waiting.pop(name)
            actual = chance.randint(0, int(taken[1]))
            taken[1] = actual
            store.settle(name, [actual])
        amount = chance.randint(1, 8)
        outcome = run(store.reserve(f"r{step}", [one], [amount]))
        if outcome.refused is None:
            entry = [now, float(amount)]
            held.append(entry)
            waiting[f"r{step}"] = entry

        assert sum(taken for at, taken in held if at > now - seconds) <= 20


def run(coroutine):
    """Run what never waits."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


@given(st.integers(0, 2**32))
def test_room_is_back_when_it_was_promised_and_not_long_after(seed):
    chance, time = random.Random(seed), Time()
    store, one = MemoryCounters(time.clock), bucket(limit=10)
    for step in range(40):
        outcome = run(store.reserve(f"r{step}", [one], [chance.randint(1, 10)]))
        time.pass_by(chance.random() * 10)
        if outcome.refused is not None:
            assert outcome.retry_after <= 60 * (1 + 1 / SLOTS) + 1e-6
    amount = chance.randint(1, 10)
    outcome = run(store.reserve("last", [one], [amount]))
    if outcome.refused is not None:
        time.pass_by(outcome.retry_after + 1e-6)
        assert run(store.reserve("again", [one], [amount])).refused is None


@given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(["minute", "hour", "day", "month"]))
@example(instant("2026-03-29T00:30:00", "Europe/Berlin"), "Europe/Berlin", "day")
@example(instant("2018-11-04T01:30:00", "America/Sao_Paulo"), "America/Sao_Paulo", "day")
@example(instant("2018-02-17T23:30:00", "America/Sao_Paulo"), "America/Sao_Paulo", "day")
@example(instant("2011-12-29T23:30:00", "Pacific/Apia"), "Pacific/Apia", "day")
def test_calendar_windows_cover_all_time_without_overlap(moment, zone, unit):
    window = Calendar(unit=unit, zone=zone)

    span = span_at(window, moment)

    assert span.start <= moment < span.end
    assert span_at(window, span.start) == span
    assert span_at(window, span.end - 1) == span
    assert span_at(window, span.end).start == span.end


@pytest.mark.parametrize(
    ("zone", "moment", "unit", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00:00", "day", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00", "day", 25),
        ("Europe/Berlin", "2026-03-15T12:00:00", "month", 31 * 24 - 1),
        ("UTC", "2028-02-15T12:00:00", "month", 29 * 24),
        ("Australia/Lord_Howe", "2026-04-05T12:00:00", "day", 24.5),
        ("UTC", "2026-12-31T23:59:59", "month", 31 * 24),
    ],
)
def test_days_and_months_are_as_long_as_they_are(zone, moment, unit, hours):
    span = span_at(Calendar(unit=unit, zone=zone), instant(moment, zone))

    assert (span.end - span.start) / 3600 == hours


def test_a_month_begins_at_midnight_of_its_zone():
    span = span_at(Calendar(unit="month", zone="Asia/Kolkata"), instant("2026-02-10T00:00:00", "Asia/Kolkata"))

    assert span.start == instant("2026-02-01T00:00:00", "Asia/Kolkata")
    assert span.end == instant("2026-03-01T00:00:00", "Asia/Kolkata")


@given(st.floats(0, 1e9), st.sampled_from([0.9, 60.0, 86_400.0]))
def test_a_slot_counts_for_the_window_and_a_slot_more_at_most(now, seconds):
    window = Rolling(seconds=seconds)

    gone = frees_at(window, slot_of(window, now))

    assert seconds <= gone - now + 1e-6
    assert gone - now <= seconds * (1 + 1 / SLOTS) + 1e-6


async def test_a_budget_is_not_given_twice_when_the_clock_jumps_and_comes_back():
    time = Time()
    store, one = MemoryCounters(time.clock), bucket(limit=5, window=MONTH)
    await store.reserve("a", [one], [5])

    for jump in (40 * 86_400, -80 * 86_400, 40 * 86_400):
        time.jump(jump)
        await store.reserve(f"r{jump}{time.clock.wall()}", [one], [5])

    assert (await store.reserve("b", [one], [1])).refused == 0


async def test_a_wrong_clock_that_is_put_right_blocks_nobody_for_years():
    time = Time()
    store, one = MemoryCounters(time.clock), bucket(limit=5, window=Calendar(unit="day"))
    time.jump(5 * 365 * 86_400)
    await store.reserve("a", [one], [5])

    time.jump(-5 * 365 * 86_400)

    assert (await store.reserve("b", [one], [5])).refused is None


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 1e8, -1e8])
async def test_a_rolling_window_does_not_look_at_the_wall_clock(jump):
    time = Time()
    store, one = MemoryCounters(time.clock), bucket(limit=5)
    await store.reserve("a", [one], [5])

    time.jump(jump)
    assert (await store.reserve("b", [one], [1])).refused == 0
    time.pass_by(62)

    assert (await store.reserve("c", [one], [1])).refused is None


async def test_what_is_refunded_after_its_window_is_not_refunded_from_another():
    time = Time()
    store, one = MemoryCounters(time.clock), bucket(limit=10)
    await store.reserve("a", [one], [8])
    time.pass_by(120)
    await store.reserve("b", [one], [6])

    store.settle("a", [0])

    assert await store.used([one]) == (6,)


async def test_a_month_that_is_over_is_charged_with_what_was_reserved_in_it():
    time = Time()
    store, one = MemoryCounters(time.clock), bucket(limit=10, window=MONTH)
    await store.reserve("a", [one], [8])
    time.pass_by(30 * 86_400)
    await store.reserve("b", [one], [6])

    store.settle("a", [100])

    assert await store.used([one]) == (6,)


async def test_idle_counters_are_forgotten():
    time = Time()
    store = MemoryCounters(time.clock)
    for number in range(10_000):
        name = f"r{number}"
        await store.reserve(name, [bucket(f"k{number}"), bucket(f"h{number}", window=Calendar(unit="minute"))], [1, 1])
        store.settle(name, [1, 1])
    assert len(store) == 20_000

    time.pass_by(2 * 3600)
    store.sweep()

    assert len(store) == 0
    assert store.open_reservations() == {}


async def test_more_keys_than_there_is_room_for_share_a_counter_and_gain_nothing():
    time = Time()
    store = MemoryCounters(time.clock, capacity=100)
    admitted = 0
    for number in range(10_000):
        outcome = await store.reserve(f"r{number}", [bucket(f"k{number}", limit=3)], [1])
        admitted += outcome.refused is None

    assert len(store) <= 101
    assert admitted == 100 + 3
    # One that is known keeps its own.
    assert (await store.reserve("again", [bucket("k5", limit=3)], [1])).refused is None

    time.pass_by(62)
    for number in range(LOOKED_AT):
        assert (await store.reserve(f"later{number}", [bucket(f"new{number}", limit=3)], [1])).refused is None
    assert len(store) <= 101


async def test_a_file_of_counts_outlives_the_process(tmp_path):
    time, one, two = Time(), bucket("m", 100, MONTH), bucket("d", 100, DAY)
    first = Board(tmp_path / "counts", time.clock.wall)
    store = MemoryCounters(time.clock, board=first)
    await store.reserve("a", [one, two, bucket("short")], [7, 8, 9])
    await store.reserve("b", [one, two], [1, 1])
    store.settle("a", [5, 20, 0])
    first.close()

    time.pass_by(3600)
    again = Time(time.clock.wall())
    again.pass_by(5)
    after = MemoryCounters(again.clock, board=Board(tmp_path / "counts", again.clock.wall))

    assert await after.used([one, two, bucket("short")]) == (6, 21, 0)


async def test_counts_that_nobody_asked_for_are_kept_through_two_restarts(tmp_path):
    time, one = Time(), bucket("m", 100, MONTH)
    board = Board(tmp_path / "counts", time.clock.wall)
    await MemoryCounters(time.clock, board=board).reserve("a", [one], [7])
    board.close()
    board = Board(tmp_path / "counts", time.clock.wall)
    MemoryCounters(time.clock, board=board)
    board.close()

    after = MemoryCounters(time.clock, board=Board(tmp_path / "counts", time.clock.wall))

    assert await after.used([one]) == (7,)


async def test_a_rolling_day_forgets_after_a_restart_what_is_a_day_old(tmp_path):
    time, one = Time(), bucket("d", 100, DAY)
    board = Board(tmp_path / "counts", time.clock.wall)
    store = MemoryCounters(time.clock, board=board)
    await store.reserve("a", [one], [7])
    time.pass_by(80_000)
    await store.reserve("b", [one], [5])
    board.close()

    time.pass_by(10_000)
    again = Time(time.clock.wall())
    after = MemoryCounters(again.clock, board=Board(tmp_path / "counts", again.clock.wall))

    assert await after.used([one]) == (5,)


async def test_a_clock_that_was_put_back_between_two_processes_frees_nothing(tmp_path):
    time, one = Time(), bucket("d", 100, DAY)
    board = Board(tmp_path / "counts", time.clock.wall)
    await MemoryCounters(time.clock, board=board).reserve("a", [one], [7])
    board.close()

    before = Time(time.clock.wall() - 7200)
    after = MemoryCounters(before.clock, board=Board(tmp_path / "counts", before.clock.wall))
    assert await after.used([one]) == (7,)
    before.pass_by(86_400 + 1500)

    assert await after.used([one]) == (0,)


async def test_a_file_grows_with_its_counters_and_reuses_its_cells(tmp_path):
    time = Time()
    board = Board(tmp_path / "counts", time.clock.wall)
    store = MemoryCounters(time.clock, board=board)
    for number in range(3 * FIRST_CELLS):
        await store.reserve(f"r{number}", [bucket(f"k{number}", window=MONTH)], [number % 9 + 1])
    size = (tmp_path / "counts").stat().st_size
    board.close()

    board = Board(tmp_path / "counts", time.clock.wall)
    store = MemoryCounters(time.clock, board=board)
    found = [(await store.used([bucket(f"k{number}", window=MONTH)]))[0] for number in range(3 * FIRST_CELLS)]
    assert found == [number % 9 + 1 for number in range(3 * FIRST_CELLS)]

    time.pass_by(60 * 86_400)
    for number in range(3 * FIRST_CELLS):
        await store.reserve(f"s{number}", [bucket(f"k{number}", window=MONTH)], [1])
    assert (tmp_path / "counts").stat().st_size == size


def test_only_one_process_has_a_file(tmp_path):
    time = Time()
    first = open_board(tmp_path / "counts", time.clock.wall)

    assert first is not None
    assert open_board(tmp_path / "counts", time.clock.wall) is None
    first.close()
    assert open_board(tmp_path / "counts", time.clock.wall) is not None


@pytest.mark.parametrize(
    "content", [b"not counts", b"x" * 5000, b"switchgear counts 1\n".ljust(64, b"\0") + b"\xff" * 77]
)
def test_a_damaged_file_begins_anew_or_is_read_as_far_as_it_goes(tmp_path, content):
    (tmp_path / "counts").write_bytes(content)

    board = open_board(tmp_path / "counts", Time().clock.wall)

    assert board is not None
    assert len(board) == 0


def test_a_folder_that_cannot_be_had_leaves_limits_without_a_file(tmp_path):
    (tmp_path / "file").write_text("")

    assert open_board(tmp_path / "file" / "counts", Time().clock.wall) is None
