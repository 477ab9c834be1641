"""Calls that have ended are settled many in a row; nobody is refused, and nothing is lost, because that comes a little later."""

import pytest

from gateway.accounting.limits.limiter import MOST_ENDED
from gateway.accounting.limits.opening import open_limits
from gateway.config.limit_settings import LimitRuleSettings
from gateway.core.errors import LimitExceeded
from gateway.core.usage import Usage
from gateway.stores.counters_board import Board
from tests.unit.accounting.limits.limit_doubles import NOON, Bench, Time, call_of, record_of

TOKENS = LimitRuleSettings(count="tokens", limit=100, per=("key",))
AT_ONCE = LimitRuleSettings(count="concurrent", limit=1, per=("key",))
USED = Usage(input=5, output=5)


async def test_what_has_ended_is_settled_with_the_batch():
    bench = Bench(tokens=TOKENS)
    call = await bench.reserve(max_tokens=60)
    bench.settle_soon(call, usage=USED)
    assert await bench.used() == [60]

    bench.limiter.settle_ended()
    assert await bench.used() == [10]


async def test_who_would_be_refused_gets_what_ended_calls_have_given_back():
    bench = Bench(tokens=TOKENS, at_once=AT_ONCE)
    bench.settle_soon(await bench.reserve(max_tokens=60), usage=USED)
    await bench.reserve(max_tokens=90)

    assert await bench.used() == [100, 1]


async def test_who_has_no_room_after_that_is_refused():
    bench = Bench(tokens=TOKENS)
    bench.settle_soon(await bench.reserve(max_tokens=60), usage=USED)
    with pytest.raises(LimitExceeded, match="10 are used or reserved"):
        await bench.reserve(max_tokens=91)

    assert await bench.used() == [10]


async def test_no_call_is_settled_twice():
    bench = Bench(tokens=TOKENS, at_once=AT_ONCE)
    call = await bench.reserve(max_tokens=60)
    bench.settle_soon(call, usage=USED)
    bench.settle(call, usage=USED)
    bench.settle_soon(call, usage=USED)
    bench.limiter.settle_ended()

    assert await bench.used() == [10, 0]


async def test_the_gauge_of_open_calls_does_not_count_ended_ones():
    bench = Bench(tokens=TOKENS)
    await bench.reserve(max_tokens=1)
    bench.settle_soon(await bench.reserve(max_tokens=1), usage=USED)
    lines = [line for metric in bench.limiter.metrics for line in metric.render()]

    assert "switchgear_limit_reservations 1" in lines


async def test_no_more_than_so_many_wait():
    bench = Bench(
        calls=LimitRuleSettings(limit=10**9, per=("key",)), tokens=LimitRuleSettings(count="tokens", limit=10**9)
    )
    for _ in range(MOST_ENDED):
        bench.settle_soon(await bench.reserve(max_tokens=50), usage=USED)

    assert await bench.used() == [MOST_ENDED, 10 * MOST_ENDED]


async def test_calls_that_end_as_the_server_ends_are_kept_as_what_they_used(tmp_path):
    time = Time()
    rule = LimitRuleSettings(count="tokens", limit=100, per=("key",), window="day")
    limits = open_limits({"day": rule}, clock=time.clock, price=lambda model: lambda a, b: 0, board=tmp_path / "board")
    call = call_of("call_1", max_tokens=60)
    limits.limiter.admit(call)
    limits.limiter.settle_soon(record_of(call, usage=USED))
    limits.close()

    board = Board(tmp_path / "board", lambda: NOON)
    assert [kept.amount for slots in board.kept.values() for kept in slots] == [10]
