"""What a limit admits, what a settlement gives back, and what a caller who is refused is told."""

import msgspec
import pytest

from gateway.accounting.limits.estimates import FIRST_OUTPUT, count_by_length
from gateway.accounting.limits.limiter import Limiter
from gateway.accounting.limits.soft import SoftLimits
from gateway.config.limit_settings import LimitRuleSettings as Limit
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import BudgetExceeded, LimitExceeded
from gateway.core.record import Beside
from gateway.core.usage import Usage
from gateway.stores.counters_memory import MemoryCounters
from tests.unit.accounting.limits.limit_doubles import KEY, Bench, Time, call_of, record_of

OTHER = Caller(id="key_2", tenant="globex", team="blue", user="bob")
DAY = {"window": "day", "window_kind": "calendar"}


async def test_a_caller_without_limits_reserves_nothing():
    bench = Bench(teams=Limit(limit=1, match={"team": ("blue",)}))

    assert await bench.limiter.reserve(call_of("a")) == ()
    assert await bench.limiter.reserve(call_of("b")) == ()


async def test_a_refusal_names_the_limit_its_window_and_when_there_is_room():
    bench = Bench(rpm=Limit(limit=2, per=("key",)))
    await bench.reserve()
    bench.time.pass_by(30)
    await bench.reserve()

    with pytest.raises(LimitExceeded) as refused:
        await bench.reserve()

    error = refused.value
    assert (error.status, error.code, error.limit, error.window) == (429, "rate_limit_exceeded", "rpm", "per minute")
    assert error.retry_after in (30, 31)
    assert "'rpm' of 2 requests per minute" in error.message
    assert dict(error.headers) == {
        b"x-ratelimit-limit-requests": b"2",
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": b"1m0s",
    }


async def test_retry_after_is_when_there_is_room():
    bench = Bench(rpm=Limit(limit=3, per=("key",)))
    for _ in range(3):
        await bench.reserve()
        bench.time.pass_by(7.3)
    with pytest.raises(LimitExceeded) as refused:
        await bench.reserve()
    wait = refused.value.retry_after
    assert wait is not None

    bench.time.pass_by(wait - 2.1)
    with pytest.raises(LimitExceeded):
        await bench.reserve()
    bench.time.pass_by(2.1)

    await bench.reserve()


async def test_a_budget_has_an_error_of_its_own():
    bench = Bench(team=Limit(count="cost", limit=5, per=("team",), window="month", window_kind="calendar"))
    await bench.reserve(max_tokens=4)

    with pytest.raises(BudgetExceeded) as refused:
        await bench.reserve(max_tokens=2)

    error = refused.value
    assert (error.status, error.code) == (429, "budget_exceeded")
    assert "'team' of $5.00 per calendar month" in error.message
    assert "$4.00 are spent or reserved, and this call may cost $2.00" in error.message
    # From the 9th of January at noon to the 1st of February.
    assert error.retry_after == 22.5 * 86_400


async def test_a_call_that_is_refused_by_one_limit_takes_from_none():
    bench = Bench(wide=Limit(limit=10), narrow=Limit(limit=1))
    await bench.reserve()

    with pytest.raises(LimitExceeded, match="narrow"):
        await bench.reserve()

    assert await bench.used() == [1, 1]


async def test_what_was_used_takes_the_place_of_the_estimate():
    bench = Bench(
        tokens=Limit(count="tokens", limit=1000),
        ins=Limit(count="input_tokens", limit=1000),
        outs=Limit(count="output_tokens", limit=1000),
        money=Limit(count="cost", limit=1000),
        calls=Limit(limit=10),
    )
    call = await bench.reserve(body=b"x" * 400, max_tokens=50)
    assert await bench.used() == [150, 100, 50, 150 * 10**9, 1]

    bench.settle(call, usage=Usage(input=80, cache_read=40, output=10, reasoning=5), cost=0.25)

    assert await bench.used() == [135, 120, 15, 250_000_000, 1]


async def test_what_was_used_beside_the_answer_counts():
    bench = Bench(tokens=Limit(count="tokens", limit=1000), money=Limit(count="cost", limit=1000))
    call = await bench.reserve(body=b"x" * 400, max_tokens=50)
    loser = Beside("up/slow", "hedge", Usage(input=80, output=2), 3)
    unpriced = Beside("up/judge", "judge", Usage(input=1), None)

    bench.settle(call, usage=Usage(input=80, output=10), cost=0.25, beside=(loser, unpriced))

    assert await bench.used() == [173, 250_000_003]


async def test_what_was_used_beside_counts_although_no_answer_came():
    """A cascade whose last target failed, a vote that came to nothing: the answers that did not go out are paid for."""
    bench = Bench(tokens=Limit(count="tokens", limit=1000), money=Limit(count="cost", limit=1000))
    call = await bench.reserve(body=b"x" * 400, max_tokens=50)

    bench.settle(call, error="upstream_error", beside=(Beside("up/small", "cascade", Usage(input=80, output=2), 3),))

    assert await bench.used() == [82, 3]


async def test_a_cost_that_nobody_knows_leaves_the_estimate():
    bench = Bench(money=Limit(count="cost", limit=1000))
    call = await bench.reserve(max_tokens=50)

    bench.settle(call, usage=Usage(output=3), cost=None)

    assert await bench.used() == [50 * 10**9]


async def test_a_call_that_failed_before_anything_came_costs_only_a_request():
    bench = Bench(money=Limit(count="cost", limit=1000), calls=Limit(limit=10), now=Limit(count="concurrent", limit=1))
    call = await bench.reserve(max_tokens=50)

    bench.settle(call, error="upstream_unreachable")

    assert await bench.used() == [0, 1, 0]


async def test_a_stream_that_broke_off_uncounted_keeps_its_estimate():
    bench = Bench(tokens=Limit(count="tokens", limit=1000))
    call = await bench.reserve(max_tokens=50)

    bench.settle(call, error="upstream_broken", first_token=0.5)

    assert await bench.used() == [50]


async def test_a_call_settles_once():
    bench = Bench(tokens=Limit(count="tokens", limit=1000))
    call = await bench.reserve(max_tokens=50)

    bench.settle(call, usage=Usage(output=7))
    bench.settle(call, usage=Usage(output=500))

    assert await bench.used() == [7]


async def test_more_than_the_estimate_is_charged():
    bench = Bench(money=Limit(count="cost", limit=100, **DAY))
    call = await bench.reserve(max_tokens=1)

    bench.settle(call, usage=Usage(output=120), cost=120.0)

    assert await bench.used() == [120 * 10**9]
    with pytest.raises(BudgetExceeded):
        await bench.reserve(max_tokens=1)


async def test_a_reservation_that_is_never_settled_expires():
    bench = Bench(now=Limit(count="concurrent", limit=1), money=Limit(count="cost", limit=100, **DAY))
    await bench.reserve(max_tokens=10)

    bench.time.pass_by(3601)
    bench.limiter.sweep()

    assert await bench.used() == [0, 10 * 10**9]
    assert bench.limiter._open == {}


async def test_a_guess_alone_shuts_nobody_out():
    bench = Bench(tokens=Limit(count="tokens", limit=200))

    call = await bench.reserve(body=b"x" * 40)

    assert await bench.used() == [200]
    bench.settle(call, usage=Usage(input=10, output=30))
    assert await bench.used() == [40]


async def test_a_bound_that_can_never_fit_is_refused_and_says_so():
    bench = Bench(tokens=Limit(count="tokens", limit=200))

    with pytest.raises(LimitExceeded, match="can never have room"):
        await bench.reserve(max_tokens=500)


async def test_the_guess_follows_what_the_model_writes():
    bench = Bench(tokens=Limit(count="tokens", limit=10**9))
    first = await bench.reserve()
    assert await bench.used() == [FIRST_OUTPUT]
    bench.settle(first, usage=Usage(output=40))

    second = await bench.reserve()

    assert await bench.used() == [80]
    bench.settle(second, usage=Usage(output=4000))
    await bench.reserve()
    assert await bench.used() == [40 + 4000 + 4000]


async def test_a_reload_keeps_what_was_counted():
    rule = Limit(limit=2, per=("key",))
    bench = Bench(rpm=rule)
    call = await bench.reserve()

    bench.limiter.configure({"other": Limit(limit=100), "rpm": msgspec.structs.replace(rule, limit=1)})

    with pytest.raises(LimitExceeded, match="rpm"):
        await bench.reserve()
    bench.settle(call)


async def test_headers_are_those_of_openai():
    bench = Bench(
        rpm=Limit(limit=100),
        tight=Limit(limit=10, window="6m"),
        tpm=Limit(count="tokens", limit=5000),
        day=Limit(count="cost", limit=10**6),
    )

    headers = await bench.limiter.reserve(call_of("a", max_tokens=150))

    assert dict(headers) == {
        b"x-ratelimit-limit-requests": b"10",
        b"x-ratelimit-remaining-requests": b"9",
        b"x-ratelimit-reset-requests": b"6m0s",
        b"x-ratelimit-limit-tokens": b"5000",
        b"x-ratelimit-remaining-tokens": b"4850",
        b"x-ratelimit-reset-tokens": b"1m0s",
    }


async def test_headers_tell_when_a_calendar_window_is_over():
    bench = Bench(day=Limit(limit=10, window="day", window_kind="calendar"))
    bench.time.pass_by(4 * 3600)

    assert dict(await bench.limiter.reserve(call_of("a")))[b"x-ratelimit-reset-requests"] == b"8h0m0s"


async def test_a_call_that_is_admitted_twice_takes_once():
    bench = Bench(rpm=Limit(limit=10))

    for _ in range(3):
        await bench.limiter.reserve(call_of("a"))

    assert await bench.used() == [1]


async def test_a_call_costs_one_reading_of_each_clock_before_it_and_one_after():
    """What governance may cost a call is 20 microseconds: nothing waits, and no time is asked for twice."""
    time, read = Time(), []
    clock = Clock(
        monotonic=lambda: read.append("steady") or time.clock.monotonic(),
        wall=lambda: read.append("wall") or time.clock.wall(),
    )
    store = MemoryCounters(clock)
    limiter = Limiter(
        store,
        SoftLimits(clock, lambda notice: None),
        clock=clock,
        price=lambda model: lambda put_in, came_out: put_in + came_out,
    )
    limiter.configure(
        {
            "rpm": Limit(limit=10),
            "tpm": Limit(count="tokens", limit=5000),
            "day": Limit(count="cost", limit=10**6, **DAY),
        }
    )
    call = call_of("a", max_tokens=100)
    limiter.admit(call_of("first"))
    read.clear()

    headers = limiter.admit(call)
    assert isinstance(headers, tuple), "it is to be done at once"
    assert sorted(read) == ["steady", "wall"]

    limiter.settle(record_of(call, usage=Usage(input=3, output=4), cost=1.0))
    assert sorted(read) == ["steady", "steady", "wall", "wall"]


async def test_a_soft_limit_tells_once_a_window_and_share():
    bench = Bench(soft=Limit(count="cost", limit=10, soft=(0.8, 0.5), hard=False, per=("team",), **DAY))
    for _ in range(12):
        bench.settle(await bench.reserve(max_tokens=1), usage=Usage(output=1), cost=1.0)

    told = [(notice.share, notice.used // 10**9, notice.subject) for notice in bench.notices]
    assert told == [(0.5, 5, {"team": "red"}), (0.8, 8, {"team": "red"})]

    bench.time.pass_by(86_400)
    for _ in range(6):
        bench.settle(await bench.reserve(max_tokens=1), usage=Usage(output=1), cost=1.0)
    assert [notice.share for notice in bench.notices[2:]] == [0.5]


async def test_an_estimate_that_is_given_back_alerts_nobody():
    bench = Bench(soft=Limit(count="tokens", limit=100, soft=(0.5,)))

    bench.settle(await bench.reserve(max_tokens=90), usage=Usage(output=1))

    assert bench.notices == []


async def test_counting_tokens_costs_no_tokens():
    bench = Bench(tokens=Limit(count="tokens", limit=10), money=Limit(count="cost", limit=1), calls=Limit(limit=5))

    await bench.reserve(body=b"x" * 4000, operation="count_tokens")

    assert await bench.used() == [0, 0, 1]


async def test_a_model_without_a_price_passes_a_budget_and_is_counted():
    bench = Bench(price=None, money=Limit(count="cost", limit=1))

    await bench.reserve(max_tokens=10)

    assert "switchgear_limit_unpriced_total" in bench.limiter.unpriced.name
    assert list(bench.limiter.unpriced.render()) == ['switchgear_limit_unpriced_total{model="gpt"} 1']


@pytest.mark.parametrize("bound", [True, -1, "9", 1.5, None, [1]])
async def test_a_bound_that_is_none_is_no_bound(bound):
    bench = Bench(tokens=Limit(count="output_tokens", limit=10**6))

    await bench.reserve(max_tokens=bound)

    assert await bench.used() == [FIRST_OUTPUT]


async def test_several_answers_cost_several_times():
    bench = Bench(tokens=Limit(count="output_tokens", limit=10**6))

    await bench.reserve(max_completion_tokens=100, n=3)

    assert await bench.used() == [300]


def test_a_picture_counts_as_a_picture():
    picture = "data:image/png;base64," + "A" * 400_000
    call = call_of("a", body=b"x" * 400_100, messages=[{"content": [{"text": "word " * 2000}, {"image_url": picture}]}])

    assert 2500 < count_by_length(call) < 4000


async def test_records_without_a_reservation_change_nothing():
    bench = Bench(rpm=Limit(limit=5))

    bench.limiter.settle(record_of(call_of("never reserved")))

    assert await bench.used() == [0]


async def test_a_store_that_fails_leaves_nothing_reserved():
    class Failing:
        def __init__(self) -> None:
            self.settled: list[object] = []

        async def reserve(self, *_: object):
            raise ConnectionError

        def settle(self, *told: object) -> None:
            self.settled.append(told)

    bench = Bench(rpm=Limit(limit=5))
    failing = Failing()
    bench.limiter._here, bench.limiter._store = None, failing  # type: ignore[assignment]

    with pytest.raises(ConnectionError):
        await bench.limiter.reserve(call_of("a", KEY))

    assert failing.settled == [("a", (0,))]
