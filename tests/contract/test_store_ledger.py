"""The ledger on every database: a row is kept once, sums are exact, days are the asker's, and no text breaks out of its place."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, text

from gateway.config.database_settings import SqliteSettings
from gateway.core.decision import Considered, Decision
from gateway.core.errors import InvalidRequest
from gateway.stores.database import migrate_database, open_database
from gateway.stores.ledger import DIMENSIONS, LedgerRow, RowQuery, UsageQuery
from gateway.stores.ledger_sql import SqlLedger
from gateway.stores.ledger_tables import LEDGER

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
HOSTILE = (
    "'; DROP TABLE ledger; --",
    '" OR 1=1 --',
    "$.a\"[0]'",
    "%_\\",
    "{}",
    "a\nb\r\t",
    "line\u2028para\u2029",
    "ноль 零 🦊",
    "\x00nul",
    "half \ud83e surrogate",
    "=cmd|' /C calc'!A0",
    "x" * 20_000,
)


def row(number, **changes):
    values = {
        "id": f"call_{number:024d}", "kind": "call", "started_at": NOON + number, "status": 200, "tenant": "acme",
        "team": "blue", "user": "ann", "key": "key_1", "model": "chat", "provider": "up", "served": "gpt", "operation": "generate",
        "dialect": "openai_chat", "input": 10, "cache_read": 1, "cache_write": 2, "cache_write_1h": 3, "output": 5, "reasoning": 4,
        "cost_nano": 1_000_000_001, "prices": "2026-10-21",
    }  # fmt: skip
    return LedgerRow(**(values | changes))


@pytest.fixture
def ledger(database):
    return SqlLedger(database)


async def test_a_row_comes_back_as_it_went_in(ledger):
    whole = row(
        1, tags={"cost centre": "4711"}, agent="helper", route=("a/b", "up/gpt"), stream=True, error="upstream_timeout", status=504,
        finish_reason="stop", duration=1.25, first_token=0.5, estimated=True, parent="call_0", started_at=NOON + 0.125, run="resp_1",
    )  # fmt: skip
    bare = LedgerRow(id="call_bare", kind="tool", started_at=NOON, status=200)
    await ledger.insert([whole, bare])

    assert (await ledger.find_rows(RowQuery())).rows == (whole, bare)


async def test_a_row_that_comes_twice_is_kept_once_and_as_it_was(ledger):
    await ledger.insert([row(1), row(2)])
    await ledger.insert([row(2, error="interrupted"), row(3), row(3)])

    page = await ledger.find_rows(RowQuery())
    assert [each.id for each in page.rows] == [row(number).id for number in (3, 2, 1)]
    assert page.rows[1].error == ""


async def test_sums_are_exact_and_say_what_they_leave_out(ledger):
    """A third of a cent a million times, which floats would not sum: the total is known to the nano-dollar."""
    rows = [row(number) for number in range(300)]
    rows += [
        row(300, cost_nano=None),
        row(301, cost_nano=None, input=None),
        row(302, status=429, error="rate_limit_exceeded", input=None),
    ]
    rows += [row(303, estimated=True)]
    await ledger.insert(rows)

    (total,) = await ledger.usage(UsageQuery())
    assert (total.calls, total.errors, total.unpriced, total.uncounted, total.estimated) == (304, 1, 1, 1, 1)
    assert total.cost_nano == 302 * 1_000_000_001
    assert (total.input, total.cache_read, total.reasoning) == (302 * 10, 304, 304 * 4)


async def test_what_was_used_beside_an_answer_is_no_call_but_costs(ledger):
    await ledger.insert([row(1), row(2, id=f"{row(1).id}.1", kind="hedge", parent=row(1).id, cost_nano=5)])

    (sums,) = await ledger.usage(UsageQuery())

    assert (sums.calls, sums.input, sums.cost_nano) == (1, 20, 1_000_000_006)


async def test_the_calls_of_a_run_are_found_and_summed_by_it(ledger):
    await ledger.insert([row(1, run="resp_1"), row(2, run="resp_2"), row(3, run="resp_1"), row(4)])

    async def ids(*values: str) -> list[str]:
        return [each.id for each in (await ledger.find_rows(RowQuery(where={"run": values}))).rows]

    assert await ids("resp_1") == [row(3).id, row(1).id]
    assert await ids("resp_2", "") == [row(4).id, row(2).id]
    assert await ids("") == [row(4).id]
    assert await ids() == []
    sums = await ledger.usage(UsageQuery(by=("run",)))
    assert [(each.group, each.calls) for each in sums] == [(("",), 1), (("resp_1",), 2), (("resp_2",), 1)]


async def test_a_decision_comes_back_whole(ledger):
    decision = Decision("latency", (Considered("a/b", "chosen", 0.25), Considered("c/d", "spared", None, "it is down")))
    await ledger.insert([row(1, decision=decision), row(2)])

    later, earlier = (await ledger.find_rows(RowQuery())).rows

    assert (earlier.decision, later.decision) == (decision, None)


async def test_nothing_used_is_no_row(ledger):
    assert await ledger.usage(UsageQuery()) == []
    assert await ledger.usage(UsageQuery(by=("day", "tenant"))) == []


async def test_usage_is_divided_by_everything_it_may_be_divided_by(ledger):
    await ledger.insert([row(1, tags={"project": "x"}), row(2, team="red", tags={"project": "y"}), row(3, tags={})])

    for name in DIMENSIONS:
        assert sum(each.calls for each in await ledger.usage(UsageQuery(by=(name,)))) == 3
    assert [(each.group, each.calls) for each in await ledger.usage(UsageQuery(by=("team", "tag:project")))] == [
        (("blue", ""), 1), (("blue", "x"), 1), (("red", "y"), 1),
    ]  # fmt: skip


async def test_usage_is_filtered_by_time_and_by_values(ledger):
    await ledger.insert(
        [row(number, team=("blue", "red")[number % 2], tags={"n": str(number)}) for number in range(10)]
    )

    async def calls(**query):
        return sum(each.calls for each in await ledger.usage(UsageQuery(**query)))

    assert await calls(since=NOON + 3, until=NOON + 7) == 4
    assert await calls(where={"team": ("blue",)}) == 5
    assert await calls(where={"team": ("blue", "red"), "tag:n": ("1", "2", "none")}) == 2
    assert await calls(where={"team": ()}) == 0
    assert await calls(where={"tenant": ("other",)}) == 0


async def test_an_unknown_name_is_refused(ledger):
    for name in ("started_at", "id; --", "tag:", "cost_nano", "week", ""):
        with pytest.raises(InvalidRequest):
            await ledger.usage(UsageQuery(by=(name,)))
        with pytest.raises(InvalidRequest):
            await ledger.usage(UsageQuery(where={name: ("x",)}))


async def test_what_makes_no_sense_is_refused(ledger):
    for query in (
        {"by": ("day", "hour")}, {"by": ("team", "team")}, {"limit": 0}, {"limit": 10_001}, {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"}, {"zone": "\x00"}, {"zone": ""}, {"where": {"team": ("x",) * 1001}},
    ):  # fmt: skip
        with pytest.raises(InvalidRequest):
            await ledger.usage(UsageQuery(**query))


async def test_more_groups_than_the_limit_are_an_error_and_not_a_part_of_the_answer(ledger):
    await ledger.insert([row(number, user=f"user_{number}") for number in range(11)])

    assert len(await ledger.usage(UsageQuery(by=("user",), limit=11))) == 11
    with pytest.raises(InvalidRequest, match="more than 10 groups"):
        await ledger.usage(UsageQuery(by=("user",), limit=10))


async def test_a_day_is_as_long_as_the_zone_says(ledger):
    """Berlin, 25 October 2026: the clocks go back, the day has 25 hours and the hour after two comes twice."""
    start = datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    await ledger.insert(
        [row(number, started_at=(start + timedelta(minutes=30 * number)).timestamp()) for number in range(-2, 52)]
    )

    days = await ledger.usage(UsageQuery(by=("day",), zone="Europe/Berlin"))
    assert [(each.group, each.calls) for each in days] == [
        (("2026-10-24",), 2), (("2026-10-25",), 50), (("2026-10-26",), 2),
    ]  # fmt: skip
    hours = await ledger.usage(UsageQuery(by=("hour",), zone="Europe/Berlin"))
    assert [each.group[0] for each in hours if "T02:" in each.group[0]] == [
        "2026-10-25T02:00+01:00", "2026-10-25T02:00+02:00",
    ]  # fmt: skip
    assert {each.calls for each in hours} == {2}


async def test_periods_are_those_of_pythons_calendar(ledger):
    """Half-hour zones, a half-hour change of clocks, and a zone that once left out a day."""
    times = [datetime(2011, 12, 29, tzinfo=UTC).timestamp() + 3601 * 7 * number for number in range(120)]
    times += [datetime(2026, 3, 28, tzinfo=UTC).timestamp() + 1801 * number for number in range(400)]
    await ledger.insert([row(number, started_at=time) for number, time in enumerate(times)])

    for zone in ("UTC", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"):
        for period in ("hour", "day", "month"):
            found = await ledger.usage(UsageQuery(by=(period,), zone=zone))
            expected = Counter(name_of(period, time, ZoneInfo(zone)) for time in times)
            assert {each.group[0]: each.calls for each in found} == expected


def name_of(period, time, zone):
    local = datetime.fromtimestamp(time, zone)
    if period == "hour":
        begun = time - (time + local.utcoffset().total_seconds()) % 3600
        return datetime.fromtimestamp(begun, zone).isoformat(timespec="minutes")
    return f"{local:%Y-%m}" if period == "month" else f"{local:%Y-%m-%d}"


async def test_pages_give_every_row_once_newest_first(ledger):
    """Also rows of the same instant."""
    await ledger.insert([row(number, started_at=NOON + number // 4) for number in range(23)])
    seen, cursor = [], None
    while True:
        page = await ledger.find_rows(RowQuery(limit=5, cursor=cursor))
        seen += [each.id for each in page.rows]
        cursor = page.next
        if cursor is None:
            break

    assert seen == [row(number).id for number in reversed(range(23))]


async def test_rows_are_found_by_id_and_by_value(ledger):
    await ledger.insert([row(number, error="upstream_timeout" if number == 2 else "") for number in range(5)])

    assert [each.id for each in (await ledger.find_rows(RowQuery(ids=(row(1).id, "none")))).rows] == [row(1).id]
    assert [each.id for each in (await ledger.find_rows(RowQuery(where={"error": ("upstream_timeout",)}))).rows] == [
        row(2).id
    ]
    assert (await ledger.find_rows(RowQuery(ids=(row(1).id,), where={"tenant": ("other",)}))).rows == ()


async def test_a_cursor_of_somebody_elses_making_is_refused(ledger):
    for cursor in ("", "x", "!!!!", "LTE6eA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk6eA", "é", "A" * 5000):
        with pytest.raises(InvalidRequest):
            await ledger.find_rows(RowQuery(cursor=cursor))


async def test_rows_are_removed_by_tenant_user_and_age_a_few_at_a_time(ledger):
    await ledger.insert(
        [row(number, tenant=("acme", "other")[number % 2], user=f"u{number % 4}") for number in range(20)]
    )

    assert await ledger.remove(tenant="acme", user="u2", before=None, limit=3) == 3
    assert await ledger.remove(tenant="acme", user="u2", before=None, limit=3) == 2
    assert await ledger.remove(tenant=None, user=None, before=NOON + 10, limit=100) == 8
    assert await ledger.remove(tenant="other", user=None, before=None, limit=100) == 5
    assert {each.tenant for each in (await ledger.find_rows(RowQuery())).rows} == {"acme"}
    with pytest.raises(ValueError, match="what to remove"):
        await ledger.remove(tenant=None, user=None, before=None, limit=1)


async def test_text_stays_text_wherever_it_stands(ledger):
    """SQL, JSON paths, NUL, half a surrogate pair: in every field of a row, as a tag's name, and in every filter."""
    texts = [name for name in LedgerRow.__struct_fields__ if isinstance(getattr(row(0), name), str) and name != "id"]
    rows = [
        row(number, tags={hostile: hostile, "plain": "x"}, route=(hostile,), **dict.fromkeys(texts, hostile))
        for number, hostile in enumerate(HOSTILE)
    ]
    await ledger.insert(rows)

    for number, hostile in enumerate(HOSTILE):
        for name in (*(name for name in DIMENSIONS), f"tag:{hostile}"):
            page = await ledger.find_rows(RowQuery(where={name: (hostile,)}))
            assert [each.id for each in page.rows] == [rows[number].id], (name, hostile)
        (group,) = await ledger.usage(UsageQuery(by=(f"tag:{hostile}", "tenant"), where={"tenant": (hostile,)}))
        assert group.calls == 1
        assert group.group[0] == group.group[1]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1), st.text(), st.text())
async def test_any_tag_is_found_again(ledger, name, value, other):
    """Tags are the callers' own words."""
    await ledger.remove(tenant="acme", user=None, before=None, limit=100)
    tags = {name: value, **({} if other == name else {other: "?"})}
    await ledger.insert([row(1, tags=tags), row(2)])

    (page,) = [await ledger.find_rows(RowQuery(where={f"tag:{name}": (value,)}))]
    assert row(1).id in {each.id for each in page.rows}
    groups = await ledger.usage(UsageQuery(by=(f"tag:{name}",)))
    assert sum(group.calls for group in groups) == 2


async def test_the_fields_of_a_row_and_the_columns_of_the_table_are_in_the_same_order(ledger):
    """A row is written as a tuple."""
    renamed = {"started_at": "started_ms", "user": "user_id", "key": "key_id"}
    buckets = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
    names = [f"{name}_tokens" if name in buckets else renamed.get(name, name) for name in LedgerRow.__struct_fields__]

    assert [column.name for column in LEDGER.columns] == names
    assert len(msgspec.structs.astuple(row(1))) == len(names)


async def test_the_migration_makes_what_the_adapter_expects_and_takes_it_back(database, database_settings):
    def columns(connection):
        return {column["name"]: column["nullable"] for column in inspect(connection).get_columns("ledger")}

    async with database.connect() as connection:
        made = await connection.run_sync(columns)
        indexes = {each["name"] for each in await connection.run_sync(lambda sync: inspect(sync).get_indexes("ledger"))}
    await database.aclose()
    await migrate_database(database_settings, "0001_directory")

    assert made == {column.name: column.nullable for column in LEDGER.columns}
    assert indexes == {index.name for index in LEDGER.indexes}
    async with database.connect() as connection:
        assert not await connection.run_sync(lambda sync: inspect(sync).has_table("ledger"))
    await database.aclose()
    assert await migrate_database(database_settings) >= "0002_ledger"


async def test_deletion_reads_an_index_and_not_the_table(tmp_path):
    """Batches must stay short when the ledger is large. PostgreSQL plans by the table's size, and this one is empty."""
    database = await open_database(SqliteSettings(path=str(tmp_path / "switchgear.db")))
    statement = "EXPLAIN QUERY PLAN SELECT id FROM ledger WHERE {} ORDER BY started_ms LIMIT 500"
    async with database.connect() as connection:
        for condition in ("tenant = 'a'", "tenant = 'a' AND user_id = 'b'", "started_ms < 5"):
            plan = " ".join(each[3] for each in await connection.execute(text(statement.format(condition))))
            assert "USING" in plan
            assert "SCAN ledger" not in plan
            assert "TEMP B-TREE" not in plan
    await database.aclose()
