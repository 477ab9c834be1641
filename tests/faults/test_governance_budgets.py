"""A thousand calls at once against a budget for a hundred: in one process, and in two that share it by Redis."""

from decimal import Decimal

import anyio
import pytest

from gateway.accounting.limits.wording import dollars
from tests.faults.governed_gateways import ACCESS, DIALECTS, PATIENCE, Answer, governed, rows_of
from tests.servers import missing_servers

CALLS, BUDGET = 1000, 100
SQLITE = "{kind: sqlite, path: data/switchgear.db}"
POSTGRES = "{kind: postgres, url: env:DATABASE_URL, connections: 6}"
REDIS = "redis: {url: env:REDIS_URL, timeout: 2, replicas: 2}"
CONFIG = f"""
{ACCESS}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{counted: play/talker, paid: play/talker, cheaper: play/brief}}
prices: {{play/talker: {{input: 0, output: 10}}, play/brief: {{input: 0, output: 10}}}}
logging: {{calls: false}}
limits:
  a-hundred-a-day: {{limit: {BUDGET}, window: day, match: {{model: [counted]}}}}
  ten-cents-a-day: {{count: cost, limit: 0.1, window: day, window_kind: calendar, match: {{model: [paid]}}}}
  ten-cents-more: {{count: cost, limit: 0.1, window: month, match: {{model: [cheaper]}}}}
"""
# A call of `paid` costs what its bound allows, $0.001; one of `cheaper` less.
SCRIPT = """
models:
  talker: {answers: [{say: one two, delay: 0.1, usage: {input: 11, output: 100}}]}
  brief: {answers: [{say: one two, delay: 0.1, usage: {input: 11, output: 37}}]}
"""
SHAPES = [
    "one process",
    *(["two replicas, Redis, SQLite each"] if "redis" not in missing_servers() else []),
    *(["two replicas, Redis, PostgreSQL"] if not missing_servers() else []),
]


@pytest.fixture(scope="module", params=SHAPES)
async def gateways(request, tmp_path_factory):
    """The gateways, and those of them that have a ledger of their own."""
    redis, postgres = "Redis" in request.param, "PostgreSQL" in request.param
    folders = [tmp_path_factory.mktemp("gateway") for _ in range(2 if redis else 1)]
    environ, database = {}, POSTGRES if postgres else SQLITE
    if redis:
        server = request.getfixturevalue("redis_server")
        server.ask("FLUSHALL")
        environ["REDIS_URL"] = server.url
    if postgres:
        environ["DATABASE_URL"] = request.getfixturevalue("postgres_server").new_database()
    for folder in folders:
        (folder / "script.yaml").write_text(SCRIPT)
    async with governed(folders, f"database: {database}\n{REDIS if redis else ''}\n{CONFIG}", environ) as replicas:
        yield replicas, replicas[:1] if postgres else replicas


async def rush(replicas, model) -> list[Answer]:
    """A thousand calls at once: streamed and not, in three dialects, spread over the gateways."""
    answers: list[Answer] = []

    async def call(number: int) -> None:
        replica = replicas[number // 6 % len(replicas)]
        dialect, stream = DIALECTS[number % 3], number % 2 == 0
        answer = await replica.ask(dialect, stream=stream, model=model)
        if answer.status == 429:
            assert ("type" in answer.error, b'"type":"error"' in answer.body) == (True, dialect == "messages"), answer
        answers.append(answer)

    async with anyio.create_task_group() as tasks:
        for number in range(CALLS):
            tasks.start_soon(call, number)
    return answers


def admitted(answers):
    return [answer for answer in answers if answer.status == 200]


def check_refusals(answers, code, limit):
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {429}
    assert {answer.error["code"] for answer in refused} == {code}
    assert {answer.error["type"] for answer in refused} == {"rate_limit_error"}
    assert all(f"'{limit}'" in answer.error["message"] for answer in refused)
    assert all(0 < int(answer.headers["retry-after"]) <= 31 * 86_400 for answer in refused)


async def check_ledger(books, answers, model):
    """Each call is in the ledger, once, as its client saw it; gives the dollars that they cost."""
    rows = await rows_of(books, CALLS, model=model)
    assert len(rows) == CALLS
    assert {(row["id"], row["status"]) for row in rows} == {(answer.call, answer.status) for answer in answers}
    return sum((Decimal(row["cost"]) for row in rows if row["cost"] is not None), Decimal())


async def test_no_more_calls_are_admitted_than_a_limit_on_calls_allows(gateways):
    replicas, books = gateways
    answers = await rush(replicas, "counted")

    assert len(admitted(answers)) == BUDGET
    check_refusals(answers, "rate_limit_exceeded", "a-hundred-a-day")
    assert {each.headers["x-ratelimit-remaining-requests"] for each in answers if each.status == 429} == {"0"}
    headers = [answer.headers for answer in admitted(answers)]
    assert {each["x-ratelimit-limit-requests"] for each in headers} == {"100"}
    assert sorted(int(each["x-ratelimit-remaining-requests"]) for each in headers) == list(range(BUDGET))
    await check_ledger(books, answers, "counted")


async def test_no_more_is_spent_than_a_budget_allows(gateways):
    replicas, books = gateways
    answers = await rush(replicas, "paid")

    assert len(admitted(answers)) == BUDGET
    check_refusals(answers, "budget_exceeded", "ten-cents-a-day")
    assert await check_ledger(books, answers, "paid") == Decimal("0.1")
    for replica in replicas:
        assert "$0.10 are spent" in (await replica.ask(model="paid")).error["message"]


async def test_after_settling_a_budget_has_spent_what_the_ledger_says(gateways):
    replicas, books = gateways
    answers = await rush(replicas, "cheaper")

    # As many at once as their bounds allow; what is given back when they end lets others in.
    assert BUDGET <= len(admitted(answers)) <= BUDGET * 100 // 37
    spent = await check_ledger(books, answers, "cheaper")
    assert spent == len(admitted(answers)) * Decimal("0.00037") <= Decimal("0.1")
    said = f"{dollars(int(spent * 10**9))} are spent"
    for replica in replicas:
        with anyio.fail_after(PATIENCE):
            while said not in (await replica.ask(model="cheaper", most=10_001)).error["message"]:
                await anyio.sleep(0.05)
