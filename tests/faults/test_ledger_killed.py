"""SIGKILL at any moment: afterwards the ledger has every call that the upstream has seen, and each of them once."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import pytest

from gateway.accounting.ledger import Ledger
from gateway.config.database_settings import SqliteSettings
from gateway.config.ledger_settings import LedgerSettings
from gateway.stores.database import open_database
from gateway.stores.ledger import RowQuery
from gateway.stores.ledger_sql import SqlLedger
from tests.unit.accounting.memory_ledger import OneDollarAToken

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 15


async def all_rows(store):
    rows, cursor = [], None
    while True:
        page = await store.find_rows(RowQuery(limit=1000, cursor=cursor))
        rows += page.rows
        cursor = page.next
        if cursor is None:
            return rows


async def until(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.parametrize("seed", [1, 1000])
async def test_no_call_is_missing_and_none_is_there_twice_after_many_kills(tmp_path, seed):
    database = await open_database(SqliteSettings(path=str(tmp_path / "switchgear.db")))
    for name in ("upstream.log", "answered.log"):
        (tmp_path / name).touch()
    command = [sys.executable, "-m", "tests.faults.ledger_killing", str(tmp_path), str(TRIALS), str(seed)]
    done = await anyio.run_process(command, cwd=ROOT, stderr=subprocess.STDOUT)
    assert done.stdout.split() == [str(2 * TRIALS).encode()]

    store = SqlLedger(database)
    ledger = Ledger(store, LedgerSettings(spool=str(tmp_path / "spool")), pricing=OneDollarAToken)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        await until(lambda: len(list((tmp_path / "spool").iterdir())) == 1)
        tasks.cancel_scope.cancel()
    await ledger.aclose()
    rows = await all_rows(store)
    await database.aclose()

    seen = (tmp_path / "upstream.log").read_text().split()
    answered = set((tmp_path / "answered.log").read_text().split())
    by_id = {row.id: row for row in rows}
    assert len(seen) > 500
    assert set(seen) <= by_id.keys()
    assert max(Counter(row.id for row in rows).values()) == 1
    # Noted, and killed before the upstream was asked: at most the one call that each worker was at.
    assert len(by_id.keys() - set(seen)) <= 2 * TRIALS
    assert {by_id[call].error for call in answered} == {""}
    interrupted = [row for row in rows if row.error == "interrupted"]
    assert interrupted
    assert {(row.input, row.estimated) for row in interrupted} == {(100, True)}
    assert ledger.counts.unreadable == 0
    assert list((tmp_path / "spool").iterdir()) == []
