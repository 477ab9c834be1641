"""What is pending about one call, however much else people are asked: a client that asks again finds its own, and people are not asked twice."""

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from gateway.config.database_settings import SqliteSettings
from gateway.stores.approvals import SameCall
from gateway.stores.approvals_sql import PENDING_OF, SqlApprovals
from gateway.stores.database import open_database
from gateway.stores.runs_sql import SqlRuns
from tests.contract.tool_records import EDITED, approval, digest, vote, waits

CALL = SameCall(server="platform", tool="scale", definition="def_1", arguments_hash=digest())


@pytest.fixture
def runs(database):
    return SqlRuns(database)


@pytest.fixture
def approvals(database):
    return SqlApprovals(database)


async def pending(approvals, tenant="acme", call=CALL):
    return [each.id for each in await approvals.pending_of(tenant, call)]


async def test_the_oldest_of_many_hundreds_is_found(runs, approvals):
    """Those of others lie on top of it: 300 of them were more than anybody looked through."""
    await waits(runs, approval(1))
    others = [approval(number, run="resp_2", arguments_hash=digest(str(number))) for number in range(2, 302)]
    await waits(runs, *others, run="resp_2")

    assert await pending(approvals) == ["mcpr_1"]


@pytest.mark.parametrize(
    "other", [{"server": "other"}, {"tool": "restart"}, {"definition": "def_2"}, {"arguments_hash": digest("{}")}]
)
async def test_what_is_about_another_call_is_not_it(runs, approvals, other):
    await waits(runs, approval(1, **other))

    assert await pending(approvals) == []


async def test_another_tenant_has_none_of_it(runs, approvals):
    await waits(runs, approval(1))

    assert await pending(approvals, tenant="other") == []
    assert await pending(approvals, tenant="") == []
    assert await pending(approvals, tenant="acme\0") == []


async def test_what_is_answered_is_pending_no_more(runs, approvals):
    await waits(runs, approval(1))
    await approvals.vote(vote())

    assert await pending(approvals) == []


async def test_what_was_edited_is_shown_for_whoever_knows_what_was_asked(runs, approvals):
    """The hash is that of the new arguments then: the old ones are not hashed anywhere."""
    await waits(runs, approval(1, quorum=2))
    await approvals.vote(vote(), version=1, edited=(EDITED, digest(EDITED)))
    [found] = await approvals.pending_of("acme", CALL)

    assert (found.id, found.edited, found.arguments_hash) == ("mcpr_1", EDITED, digest(EDITED))


async def test_it_is_looked_up_in_what_is_pending_and_not_in_all_there_ever_was(tmp_path):
    """SQLite, left to itself, goes through all that the tenant was ever asked."""
    statement = PENDING_OF.compile(dialect=sqlite.dialect(paramstyle="named"))
    given = {"of": "acme", "server": "a", "tool": "b", "definition": "c", "arguments_hash": "d"}
    database = await open_database(SqliteSettings(path=str(tmp_path / "approvals.db")))
    try:
        async with database.connect() as connection:
            plan = await connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"), statement.params | given)
            lines = [row[3] for row in plan]
    finally:
        await database.aclose()

    assert any("ix_approvals_pending" in line for line in lines), lines
