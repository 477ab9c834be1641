"""The ledger's writer: every call one row, none lost while there is any place for it, and none lost in silence."""

import resource
import shutil
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from gateway.accounting import ledger as ledger_module
from gateway.accounting.ledger import Ledger
from gateway.accounting.ledger_retention import remove_rows
from gateway.config.ledger_settings import LedgerSettings
from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from tests.unit.accounting.memory_ledger import NOW, TARGETS, MemoryLedger, OneDollarAToken, call, record

CLOCK = Clock(wall=lambda: NOW)


@pytest.fixture
def store():
    return MemoryLedger()


@pytest.fixture
def settings(tmp_path):
    return LedgerSettings(spool=str(tmp_path / "spool"))


def ledger_over(store, settings, segment_bytes=4096, **changes):
    settings = msgspec.structs.replace(settings, **changes)
    return Ledger(store, settings, pricing=OneDollarAToken, clock=CLOCK, segment_bytes=segment_bytes)


@pytest.fixture
async def ledger(store, settings):
    opened = ledger_over(store, settings)
    yield opened
    await opened.aclose(seconds=0.01)


@asynccontextmanager
async def running(ledger):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        yield
        tasks.cancel_scope.cancel()


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.001)


def killed(ledger):
    """Let go of a ledger's lock as the death of its process would, and of nothing else."""
    ledger._spool._segments[0].unfinished += 1
    ledger._spool.close()


async def test_a_batch_on_its_way_to_the_database_is_not_cut_off(settings):
    """A driver that is cancelled within a transaction keeps its thread, and so the process."""

    class Slow(MemoryLedger):
        begun, may_end = anyio.Event(), anyio.Event()

        async def insert(self, rows):
            self.begun.set()
            await self.may_end.wait()
            await super().insert(rows)

    store = Slow()
    ledger = ledger_over(store, settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        ledger.take([record(1)])
        await store.begun.wait()
        tasks.cancel_scope.cancel()
        store.may_end.set()

    assert (len(store.rows), ledger.counts.waiting) == (1, 0)
    await ledger.aclose()


async def test_a_finished_call_is_one_row_and_leaves_nothing_in_the_spool(ledger, store, settings, tmp_path):
    async with running(ledger):
        for number in range(300):
            ledger.open(call(number), TARGETS)
            ledger.take([record(number)])
        await until(lambda: len(store.rows) == 300 and ledger.counts.waiting == 0)
    await ledger.aclose()

    assert list((tmp_path / "spool").iterdir()) == []
    assert (ledger.counts.written, ledger.counts.dropped) == (300, 0)
    assert {row.error for row in store.rows.values()} == {""}


async def test_rows_go_in_batches(ledger, store):
    ledger.take([record(number) for number in range(1000)])
    await ledger.flush()

    assert len(store.rows) == 1000
    assert store.inserts <= 20


async def test_a_request_of_nobody_known_has_no_row(ledger, store):
    """Or anybody without a key could fill the ledger."""
    ledger.take([record(1, caller="")])
    await ledger.flush()

    assert store.rows == {}


async def test_calls_that_the_process_did_not_survive_become_rows(store, settings):
    first = ledger_over(store, settings)
    for number in range(50):
        first.open(call(number), TARGETS)
    first.take([record(number) for number in range(20)])
    killed(first)
    second = ledger_over(store, settings)
    async with running(second):
        await until(lambda: second.counts.interrupted == 30)

    assert len(store.rows) == 50
    assert second.counts.replayed == 20
    interrupted = [row for row in store.rows.values() if row.error == "interrupted"]
    assert len(interrupted) == 30
    assert {(row.input, row.estimated, row.cost_nano) for row in interrupted} == {(100, True, 100 * 10**9)}
    await second.aclose()


async def test_a_row_that_is_in_the_database_is_not_overwritten_by_the_replay(store, settings):
    """A long call holds its segment, in which others are opened that were finished and written long ago."""
    first = ledger_over(store, settings, segment_bytes=400)
    for number in range(40):
        first.open(call(number), TARGETS)
    first.take([record(number) for number in range(1, 40)])
    await first.flush()
    killed(first)
    second = ledger_over(store, settings)
    async with running(second):
        await until(lambda: second.counts.interrupted == 1)

    assert len(store.rows) == 40
    assert [row.id for row in store.rows.values() if row.error] == [call(0).id]
    await second.aclose()


async def test_while_the_database_is_away_rows_wait_on_the_disk_and_go_by_themselves(ledger, store):
    store.away = True
    async with running(ledger):
        ledger.take([record(number) for number in range(500)])
        await until(lambda: store.inserts > 0)
        assert (ledger.counts.waiting, store.rows) == (500, {})
        store.away = False
        await until(lambda: len(store.rows) == 500 and ledger.counts.waiting == 0)


async def test_flush_says_that_the_database_is_away(ledger, store):
    store.away = True
    ledger.take([record(1)])

    with pytest.raises(StoreUnavailable):
        await ledger.flush()
    store.away = False


async def test_what_is_left_at_the_end_the_next_process_writes(store, settings):
    store.away = True
    first = ledger_over(store, settings)
    first.take([record(number) for number in range(10)])
    await first.aclose(seconds=0.05)
    store.away = False
    second = ledger_over(store, settings)
    async with running(second):
        await until(lambda: second.counts.replayed == 10)
    await second.aclose()

    assert len(store.rows) == 10


async def test_a_full_spool_goes_on_in_memory_and_then_counts_what_it_loses(store, settings, monkeypatch):
    monkeypatch.setattr(ledger_module, "MOST_IN_MEMORY", 50)
    store.away = True
    ledger = ledger_over(store, settings, spool_bytes=20_000)
    for number in range(300):
        ledger.open(call(number), TARGETS)
        ledger.take([record(number)])
    counts = ledger.counts

    assert ledger.spool_bytes <= 20_000
    assert counts.unopened > 0
    assert counts.dropped == 300 - counts.waiting > 0
    store.away = False
    async with running(ledger):
        await until(lambda: counts.waiting == 0)
        assert len(store.rows) == counts.written == 300 - counts.dropped
        # The oldest ones are there, and there is space again.
        assert record(0).id in store.rows
        ledger.take([record(1000)])
        await until(lambda: record(1000).id in store.rows)
    await ledger.aclose()


async def test_a_disk_that_takes_no_more_loses_no_row_while_the_database_is_there(store, settings):
    """A limit on the size of files stands for a full disk; the write that does not fit is cut in the middle of a line."""
    ledger = ledger_over(store, settings, segment_bytes=1_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
        for number in range(100):
            ledger.open(call(number), TARGETS)
            ledger.take([record(number)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert ledger.counts.unopened > 0
    ledger.take([record(100)])
    await ledger.flush()
    assert len(store.rows) == 101
    assert (ledger.counts.dropped, ledger.counts.unreadable) == (0, 0)
    await ledger.aclose()


async def test_a_row_that_the_database_never_takes_does_not_hold_up_the_others(ledger, store, tmp_path):
    store.refused = {"poison"}
    ledger.take([record(number, model="poison" if number in (3, 70) else "chat") for number in range(100)])
    await ledger.flush()

    assert len(store.rows) == 98
    assert (ledger.counts.refused, ledger.counts.written, ledger.counts.waiting) == (2, 98, 0)
    assert (tmp_path / "spool" / "refused.jsonl").read_bytes().count(b"poison") == 2


async def test_a_spool_that_somebody_removed_is_counted_and_the_writer_goes_on(ledger, store, settings):
    store.away = True
    ledger.take([record(number) for number in range(10)])
    shutil.rmtree(settings.spool)
    store.away = False
    async with running(ledger):
        await until(lambda: ledger.counts.dropped == 10)
        ledger.take([record(number) for number in range(100, 200)])
        await until(lambda: ledger.counts.waiting == 0)

    assert ledger.counts.written + ledger.counts.dropped == 110


async def test_two_ledgers_on_one_folder_leave_each_others_calls_alone(store, settings):
    first, second = ledger_over(store, settings), ledger_over(store, settings)
    first.open(call(1), TARGETS)
    async with running(second):
        await until(lambda: second._replay is not None)
        await second._replay.replay_all()
        assert store.rows == {}
    first.take([record(1)])
    await first.flush()

    assert store.rows[call(1).id].error == ""
    await first.aclose()
    await second.aclose()


async def test_a_call_that_is_opened_again_is_noted_once(ledger, store):
    """A stage above may try a call twice."""
    ledger.open(call(1), TARGETS)
    ledger.open(call(1), TARGETS)
    ledger.take([record(1)])
    await ledger.flush()

    assert ledger._unfinished == {}
    assert ledger._spool.done


async def test_rows_older_than_the_limit_are_deleted(store, settings):
    store.rows = {row.id: row for row in (await old_rows())}
    ledger = ledger_over(store, settings, keep_days=30)
    async with running(ledger):
        await until(lambda: len(store.rows) == 30)
    await ledger.aclose()


async def old_rows():
    store = MemoryLedger()
    rows = [record(number, started_at=NOW - 86_400 * (number + 0.5)) for number in range(2000)]
    await store.insert([ledger_module.row_of(each) for each in rows])
    return store.rows.values()


async def test_rows_of_a_user_are_deleted_in_batches(store):
    await store.insert(await old_rows())

    assert await remove_rows(store, tenant="acme", user="ann", batch=300, pause=0) == 2000
    assert store.rows == {}


async def test_forcing_the_disk_changes_nothing_else(store, settings):
    ledger = ledger_over(store, settings, sync=True)
    async with running(ledger):
        for number in range(20):
            ledger.open(call(number), TARGETS)
        await until(lambda: not ledger._spool._unsynced)
        ledger.take([record(number) for number in range(20)])
        await until(lambda: len(store.rows) == 20 and ledger.counts.waiting == 0)
    await ledger.aclose()
