"""Records on their way to what is made of them: in batches, in order, none lost unless counted."""

import anyio
import pytest
import structlog

from gateway.accounting import recorder as module
from gateway.accounting.recorder import MAX_WAITING, Recorder
from gateway.core.record import Record

RECORD = Record(
    id="call_1", started_at=0.0, operation="generate", dialect="openai_chat", stream=False, caller="key_7", model="chat",
    provider=None, served=None, route=(), status=200, duration=0.1, first_token=None, upstream=None, usage=None, cost=None,
    finish_reason=None, error=None, parameters={},
)  # fmt: skip


class Kept:
    """A sink that keeps the batches it is handed."""

    def __init__(self):
        self.batches = []

    def take(self, records):
        self.batches.append(list(records))


def refuse(records):
    raise RuntimeError("this view is broken")


def test_records_are_handed_on_in_one_batch_and_in_order():
    kept = Kept()
    recorder = Recorder([kept.take])
    recorder.take(RECORD)
    other = Record(**{name: getattr(RECORD, name) for name in Record.__struct_fields__} | {"id": "call_2"})
    recorder.take(other)
    recorder.flush()
    recorder.flush()

    assert [[record.id for record in batch] for batch in kept.batches] == [["call_1", "call_2"]]


def test_nothing_is_handed_on_while_a_record_is_taken():
    """The sinks run after the answer has left, never on the call's own path."""
    kept = Kept()
    Recorder([kept.take]).take(RECORD)

    assert kept.batches == []


def test_a_sink_that_raises_loses_only_its_own_view():
    before, after = Kept(), Kept()
    recorder = Recorder([before.take, refuse, after.take])
    recorder.take(RECORD)
    with structlog.testing.capture_logs() as events:
        recorder.flush()

    assert before.batches == after.batches == [[RECORD]]
    assert [(event["event"], event["sink"], event["records"]) for event in events] == [
        ("record.sink.failed", "refuse", 1)
    ]


def test_a_sink_that_raised_is_asked_again_with_the_next_batch():
    kept = Kept()
    asked = []

    def once(records):
        asked.append(len(records))
        if len(asked) == 1:
            raise RuntimeError

    recorder = Recorder([once, kept.take])
    for _ in range(2):
        recorder.take(RECORD)
        recorder.flush()

    assert asked == [1, 1]


def test_what_does_not_fit_is_counted_and_never_silent():
    recorder = Recorder([])
    for _ in range(MAX_WAITING + 7):
        recorder.take(RECORD)

    assert recorder.dropped == 7


def test_there_is_room_again_after_a_batch():
    kept = Kept()
    recorder = Recorder([kept.take])
    for _ in range(MAX_WAITING + 1):
        recorder.take(RECORD)
    recorder.flush()
    recorder.take(RECORD)
    recorder.flush()

    assert recorder.dropped == 1
    assert [len(batch) for batch in kept.batches] == [MAX_WAITING, 1]


async def test_batches_are_handed_on_while_it_runs(monkeypatch):
    monkeypatch.setattr(module, "BATCH_SECONDS", 0.001)
    handed = anyio.Event()
    recorder = Recorder([lambda records: handed.set()])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            recorder.take(RECORD)
            await handed.wait()
            tasks.cancel_scope.cancel()


async def test_what_waits_at_shutdown_is_handed_on(monkeypatch):
    monkeypatch.setattr(module, "BATCH_SECONDS", 3600)
    kept = Kept()
    recorder = Recorder([kept.take])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            await anyio.lowlevel.checkpoint()
            recorder.take(RECORD)
            tasks.cancel_scope.cancel()

    assert kept.batches == [[RECORD]]


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_failing_sink_does_not_end_the_recorder(monkeypatch, failures):
    monkeypatch.setattr(module, "BATCH_SECONDS", 0.001)
    recovered = anyio.Event()
    left = [None] * failures

    def fail_at_first(records):
        if left:
            left.pop()
            raise RuntimeError
        recovered.set()

    recorder = Recorder([fail_at_first])
    with structlog.testing.capture_logs(), anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            while not recovered.is_set():
                recorder.take(RECORD)
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
