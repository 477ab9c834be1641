"""A bill holds what the ledger holds of a month: to the nano-dollar, with names, and with what is missing said."""

import csv
import datetime as dt
import io
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.core.clock import SYSTEM_CLOCK
from tests.security.admin_world import HOME, OTHER, admin_world, build_template, row

OWNER = ("owner", HOME)
BERLIN = ZoneInfo("Europe/Berlin")
PATH = "/admin/chargeback"


class InNovember(msgspec.Struct):
    """A clock whose day is the 21st of November 2026."""

    def wall(self):
        return dt.datetime(2026, 11, 21, tzinfo=dt.UTC).timestamp()

    def monotonic(self):
        return SYSTEM_CLOCK.monotonic()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template, clock=InNovember()) as world:
        yield world


def at(*when, zone=dt.UTC):
    return dt.datetime(*when, tzinfo=zone).timestamp()


@pytest.fixture
async def used(world):
    world.team = (await world.ask(OWNER, "POST", "/admin/teams", json={"name": "search"})).json()["id"]
    october = at(2026, 10, 5)
    rows = [
        row(1, started_at=october, team=world.team, model="small", tags={"centre": "42"}, cache_read=7, reasoning=3),
        row(2, started_at=october, team=world.team, model="big", cost_nano=1, tags={"centre": "42"}),
        row(3, started_at=october, team="team_gone", model="big", cost_nano=None),
        row(4, started_at=october, tenant=OTHER, user=f"user_{OTHER}", model="secret-model"),
        row(5, started_at=at(2026, 11, 1, 0, 30, zone=BERLIN), team=world.team),  # October still, in UTC
        row(6, started_at=at(2026, 9, 30, 23, 59, 59), team=world.team),
    ]
    await world.services.ledger.insert(rows)
    return world


async def billed(world, query="", who=OWNER):
    answer = await world.ask(who, "GET", f"{PATH}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_last_month_is_billed_by_tenant_and_team_with_their_names(used):
    bill = await billed(used)

    assert (bill["object"], bill["month"], bill["by"]) == ("chargeback", "2026-10", ["tenant", "team"])
    assert {(one["tenant"], one["team"], one["team_name"], one["cost"], one["complete"]) for one in bill["data"]} == {
        (HOME, used.team, "search", "0.003000001", True),
        (HOME, "team_gone", "", "0", False),
        (OTHER, "", "", "0.0015", True),
    }
    assert {one["tenant_name"] for one in bill["data"] if one["tenant"] == OTHER} == {f"name of {OTHER}"}
    assert bill["total"] == {"calls": 5, "currency": "USD", "cost": "0.004500001", "complete": False}


async def test_all_tokens_are_billed_whatever_their_kind(used):
    (small,) = [one for one in (await billed(used, "by=model&zone=Europe/Berlin"))["data"] if one["model"] == "small"]

    assert (small["calls"], small["input_tokens"], small["output_tokens"]) == (1 + 1, 27, 13)


async def test_a_month_begins_where_the_zone_says(used):
    utc, berlin = [await billed(used, f"month=2026-10&zone={zone}") for zone in ("UTC", "Europe/Berlin")]

    assert (utc["total"]["calls"], berlin["total"]["calls"]) == (5, 5)
    assert (await billed(used, "month=2026-09"))["total"]["calls"] == 1
    assert (await billed(used, "month=2026-09&zone=Europe/Berlin"))["total"]["calls"] == 0
    assert (await billed(used, "month=2026-11&zone=Europe/Berlin"))["total"]["calls"] == 1
    assert berlin["since"] == at(2026, 10, 1, zone=BERLIN)


@pytest.mark.parametrize("by", ["team", "user", "key", "agent", "model", "provider", "tag:centre", "", "team,model"])
async def test_however_it_is_divided_the_sum_is_the_same(used, by):
    bill = await billed(used, f"by={by}")

    assert bill["total"]["cost"] == "0.004500001"
    assert sum(round(float(one["cost"]) * 10**9) for one in bill["data"]) == 4_500_001


async def test_a_bill_is_a_csv_that_no_spreadsheet_runs(used):
    await used.services.ledger.insert([row(9, started_at=at(2026, 10, 6), tags={"centre": "=cmd()"})])

    answer = await used.ask(OWNER, "GET", f"{PATH}?by=tag:centre&format=csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"] == 'attachment; filename="chargeback-2026-10.csv"'
    assert list(rows[0]) == [
        "month", "tenant", "tenant_name", "tag:centre",
        "calls", "input_tokens", "output_tokens", "currency", "cost", "complete",
    ]  # fmt: skip
    assert {row["tag:centre"] for row in rows} == {"", "42", "'=cmd()"}


async def test_who_does_not_own_the_platform_bills_its_own_tenant_alone(used):
    for role in ("owner", "admin", "auditor"):
        answer = await used.ask((role, OTHER), "GET", PATH)
        assert {one["tenant"] for one in answer.json()["data"]} == {OTHER}
        assert "search" not in answer.text
    assert (await used.ask(("admin", HOME), "GET", f"{PATH}?tenant={OTHER}")).status_code == 404
    assert (await billed(used, f"tenant={OTHER}"))["total"]["cost"] == "0.0015"
    assert (await used.ask(("member", HOME), "GET", PATH)).status_code == 403


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("month=2026-13", "month"),
        ("month=0000-01", "month"),
        ("month=9999-12", "month"),
        ("month=november", "month"),
        ("by=day", "by"),
        ("by=team,team", "by"),
        ("by=tag:", "by"),
        ("zone=Mars/Olympus", "zone"),
        ("mont=2026-10", "mont"),
    ],
)
async def test_what_cannot_be_billed_is_said(used, query, param):
    answer = await used.ask(OWNER, "GET", f"{PATH}?{query}")

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
