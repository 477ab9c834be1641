"""Alerts reach who asked for them: signed, once, and however often the receiver has to be asked. The feed keeps budgets fresh."""

import asyncio
import hmac
from contextlib import asynccontextmanager
from hashlib import sha256

import anyio
import msgspec
import pytest

from gateway.accounting.limits.alerts import MOST_WAITING, TRIES, Alert, Alerts, Webhook
from gateway.accounting.limits.feed import BudgetFeed
from gateway.accounting.limits.opening import open_limits
from gateway.accounting.limits.recount import Spent, recount
from gateway.accounting.limits.rules import rule_of
from gateway.accounting.limits.soft import Notice
from gateway.config.limit_settings import AlertSettings, rule_problems
from gateway.config.limit_settings import LimitRuleSettings as Limit
from gateway.config.secret import Secret
from gateway.core.errors import BudgetExceeded, LimitExceeded, StoreUnavailable
from gateway.core.usage import Usage
from gateway.stores.budgets import Budget
from gateway.stores.counters import Count
from tests.unit.accounting.limits.limit_doubles import NOON, Bench, Time, call_of, record_of

SECRET = Secret("a-shared-secret", source="env:HOOK")
HOOK = AlertSettings(webhook="http://10.0.0.1/hook", secret=SECRET)
RULE = rule_of("apollo", Limit(count="cost", limit=5, soft=(0.8,), per=("team",), alert=HOOK))


def notice(**changes) -> Notice:
    one = Notice(rule=RULE, subject={"team": "red"}, share=0.8, used=4_100_000_000, key="k", at=NOON, seconds=60.0)
    return msgspec.structs.replace(one, **changes)


class Receiver:
    """Answers with these statuses in turn; the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.heard: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, address: str, headers: dict[str, str], body: bytes) -> int:
        self.heard.append((address, headers, body))
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if status == 0:
            raise ConnectionError
        return status


async def always(name: str, seconds: float) -> bool:
    assert name == "alert:k"
    assert seconds == 60.0
    return True


@asynccontextmanager
async def sending(receiver: Receiver, first=always):
    alerts = Alerts(receiver, first_pause=0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alerts.run, first)
        yield alerts
        tasks.cancel_scope.cancel()


async def until(reached) -> None:
    with anyio.fail_after(5):
        while not reached():
            await anyio.sleep(0.001)


def outcomes(alerts: Alerts) -> list[str]:
    return list(alerts.sent.render())


async def test_an_alert_says_what_was_reached_and_is_signed():
    receiver = Receiver(200)
    async with sending(receiver) as alerts:
        alerts.take(notice())
        await until(lambda: outcomes(alerts))

    ((address, headers, body),) = receiver.heard
    assert address == "http://10.0.0.1/hook"
    assert msgspec.json.decode(body, type=Alert) == Alert(
        limit_name="apollo",
        count="cost",
        window="per minute",
        subject={"team": "red"},
        share=0.8,
        used=4.1,
        limit=5.0,
        at=NOON,
    )
    moment, mac = (part.split("=")[1] for part in headers["x-switchgear-signature"].split(","))
    assert mac == hmac.new(b"a-shared-secret", moment.encode() + b"." + body, sha256).hexdigest()
    assert int(moment) == int(NOON)
    assert b"a-shared-secret" not in body


async def test_a_receiver_that_fails_is_asked_again():
    receiver = Receiver(0, 503, 204)
    async with sending(receiver) as alerts:
        alerts.take(notice())
        await until(lambda: outcomes(alerts))

    assert len(receiver.heard) == 3
    assert outcomes(alerts) == ['switchgear_limit_alerts_total{outcome="sent"} 1']


async def test_a_receiver_that_is_gone_is_given_up():
    receiver = Receiver(0)
    async with sending(receiver) as alerts:
        alerts.take(notice())
        await until(lambda: outcomes(alerts))

    assert len(receiver.heard) == TRIES
    assert outcomes(alerts) == ['switchgear_limit_alerts_total{outcome="failed"} 1']


async def test_what_another_replica_has_sent_is_not_sent_again():
    asked = []

    async def never(name: str, seconds: float) -> bool:
        del seconds
        asked.append(name)
        return False

    receiver = Receiver(200)
    async with sending(receiver, never) as alerts:
        alerts.take(notice())
        await until(lambda: asked)

    assert receiver.heard == []


def test_alerts_wait_in_a_bounded_queue():
    alerts = Alerts(Receiver(200))
    for _ in range(MOST_WAITING + 5):
        alerts.take(notice())

    assert outcomes(alerts) == ['switchgear_limit_alerts_total{outcome="dropped"} 5']


def test_a_limit_without_a_webhook_sends_nothing():
    alerts = Alerts(Receiver(200))

    alerts.take(notice(rule=msgspec.structs.replace(RULE, alert=None)))

    assert len(alerts._waiting) == 0


async def test_a_webhook_is_posted_over_http():
    heard = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"body!"))
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        webhook = Webhook()
        status = await webhook(f"http://127.0.0.1:{port}/hook?a=b", {"x-a": "1"}, b"body!")
        await webhook.aclose()

    assert status == 202
    assert heard.startswith(b"POST /hook?a=b HTTP/1.1\r\n")


async def test_a_webhook_that_is_not_there_is_an_os_error():
    webhook = Webhook()

    with pytest.raises(OSError, match=r".*"):
        await webhook("http://127.0.0.1:1/", {}, b"")

    await webhook.aclose()


class Budgets:
    """A budget store in memory, that can be away."""

    def __init__(self) -> None:
        self.budgets: list[Budget] = []
        self.number = 0
        self.kept: dict[tuple[str, int], Count] = {}
        self.away = False

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("gone")

    async def revision(self) -> int:
        self._check()
        return self.number

    async def list(self, tenant: str | None):
        self._check()
        assert tenant is None
        return self.budgets

    async def save_counts(self, counts, now: float) -> None:
        del now
        self._check()
        self.kept.update(((count.key, count.slot), count) for count in counts)

    async def load_counts(self, now: float):
        self._check()
        return [count for count in self.kept.values() if count.expires > now]


def a_dollar_a_token(model: str):
    return lambda put_in, came_out: (put_in + came_out) * 10**9


async def test_a_budget_holds_from_the_next_poll_on_and_its_counts_outlive_the_process():
    time, budgets = Time(), Budgets()

    def opened():
        limits = open_limits({}, clock=time.clock, price=a_dollar_a_token, budgets=budgets)
        return limits, BudgetFeed(limits.limiter, budgets, time.clock)

    limits, feed = opened()
    await feed.step(save=False)
    budgets.budgets = [Budget(id="b", tenant="acme", name="all", count="cost", limit=5 * 10**9)]
    budgets.number += 1
    assert await limits.limiter.reserve(call_of("before")) == ()
    await feed.step(save=False)
    first = call_of("a", max_tokens=4)
    await limits.limiter.reserve(first)
    limits.limiter.settle(record_of(first, usage=Usage(output=4), cost=3.0))
    budgets.away = True
    await feed.step(save=True)
    budgets.away = False
    await feed.step(save=True)

    after, feed = opened()
    await after.start()

    await after.limiter.reserve(call_of("b", max_tokens=2))
    with pytest.raises(BudgetExceeded):
        await after.limiter.reserve(call_of("c", max_tokens=1))


async def test_a_database_that_is_away_at_the_start_is_heard_of_when_it_is_back():
    time, budgets = Time(), Budgets()
    budgets.budgets = [Budget(id="b", tenant="acme", name="all", count="requests", limit=0)]
    budgets.away = True
    limits = open_limits({}, clock=time.clock, price=lambda model: lambda put_in, came_out: None, budgets=budgets)
    await limits.start()
    assert await limits.limiter.reserve(call_of("a")) == ()

    budgets.away = False
    await limits.start()

    with pytest.raises(LimitExceeded):
        await limits.limiter.reserve(call_of("b"))


async def test_counts_can_be_made_anew_from_what_was_spent():
    bench = Bench(
        money=Limit(count="cost", limit=10, per=("team",), window="month", window_kind="calendar"),
        day=Limit(count="tokens", limit=1000, window="day"),
        blue=Limit(limit=5, match={"team": ("blue",)}, window="day"),
        minute=Limit(limit=5),
    )
    rows = [
        Spent(at=NOON - 60, key="key_1", model="gpt", tenant="acme", team="red", cost=4 * 10**9, input_tokens=50),
        Spent(at=NOON - 90_000, key="key_1", model="gpt", tenant="acme", team="red", cost=10**9, output_tokens=70),
        Spent(at=NOON - 40 * 86_400, key="key_1", model="gpt", tenant="acme", team="red", cost=9 * 10**9),
    ]

    bench.store.restore(recount(bench.limiter.rules, rows, NOON))

    assert await bench.used() == [5 * 10**9, 50, 0]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Limit(limit=1, window="15m", window_kind="calendar"), "window"),
        (Limit(limit=1.5), "limit"),
        (Limit(limit=1e16), "limit"),
        (Limit(limit=1e7, count="cost"), "limit"),
        (Limit(limit=1, window_kind="calendar", time_zone="Europe/Atlantis"), "time_zone"),
        (Limit(limit=1, window_kind="calendar", time_zone="/etc/passwd"), "time_zone"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(rule, field):
    assert [where for where, _ in rule_problems(rule)] == [field]


def test_nothing_is_wrong_with_a_good_rule():
    assert list(rule_problems(Limit(limit=0.000001, count="cost", window="month", window_kind="calendar"))) == []
