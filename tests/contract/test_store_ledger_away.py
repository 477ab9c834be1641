"""PostgreSQL stopped, killed and back, under load: calls are noted as fast as before, and every row arrives by itself."""

import time

import anyio
import pytest
from anyio import to_thread

from gateway.accounting.ledger import Ledger
from gateway.config.database_settings import PostgresSettings
from gateway.config.ledger_settings import LedgerSettings
from gateway.config.secret import Secret
from gateway.core.errors import StoreUnavailable
from gateway.stores.database import open_database
from gateway.stores.ledger import UsageQuery
from gateway.stores.ledger_sql import SqlLedger
from tests.unit.accounting.memory_ledger import TARGETS, OneDollarAToken, call, record

# What this machine may be held up by others, in seconds; a call that waited for the database would wait a second at least.
HELD_UP = 0.5


class Load:
    """Calls, one after the other, for as long as the block runs; `slowest` is what noting one of them took, in seconds."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.calls = 0
        self.slowest = 0.0

    async def run(self):
        while True:
            began = time.perf_counter()
            self.ledger.open(call(self.calls), TARGETS)
            self.ledger.take([record(self.calls)])
            self.calls += 1
            self.slowest = max(self.slowest, time.perf_counter() - began)
            await anyio.sleep(0.002)


async def until(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.parametrize("fault", ["paused", "killed"])
async def test_rows_wait_and_arrive_when_the_database_is_back(tmp_path, postgres_server, fault):
    url = await to_thread.run_sync(postgres_server.new_database)
    settings = PostgresSettings(url=Secret(url, source="env:DATABASE_URL"), connections=4, timeout=1.0)
    database = await open_database(settings)
    store = SqlLedger(database)
    ledger = Ledger(store, LedgerSettings(spool=str(tmp_path / "spool")), pricing=OneDollarAToken)
    load = Load(ledger)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        async with anyio.create_task_group() as callers:
            callers.start_soon(load.run)
            await until(lambda: ledger.counts.written > 100)
            await to_thread.run_sync(postgres_server.pause if fault == "paused" else postgres_server.kill)
            written = ledger.counts.written
            await until(lambda: not database.healthy)
            await until(lambda: ledger.counts.waiting > 200)
            assert ledger.counts.written <= written + 100
            with pytest.raises(StoreUnavailable):
                await store.usage(UsageQuery())

            await to_thread.run_sync(postgres_server.resume if fault == "paused" else postgres_server.start)
            await until(lambda: ledger.counts.waiting < 20)
            callers.cancel_scope.cancel()
        await until(lambda: ledger.counts.waiting == 0)
        tasks.cancel_scope.cancel()
    (total,) = await store.usage(UsageQuery())
    await ledger.aclose()
    await database.aclose()

    assert total.calls == load.calls
    assert total.cost_nano == load.calls * 15 * 10**9
    assert total.errors == ledger.counts.dropped == 0
    assert load.slowest < HELD_UP
    assert list((tmp_path / "spool").iterdir()) == []
