"""Events of many runs in one write: each run's by itself, and nothing of one whose lease has gone or whose numbers do not fit."""

import pytest

from gateway.core.errors import Conflict
from gateway.stores.runs import Fenced, Piece
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import ending, events, held, numbers, queued


@pytest.fixture
def runs(database):
    return SqlRuns(database)


def piece(run, first, count=2, epoch=1):
    return Piece(run=run, epoch=epoch, events=events(first, count))


async def test_what_many_runs_say_is_written_at_once(runs):
    for name in ("resp_b", "resp_a", "resp_c"):
        await runs.add(held(name), [])

    assert await runs.append([piece("resp_c", 0), piece("resp_a", 0, 3), piece("resp_b", 0, 1)]) == []
    assert await runs.append([piece("resp_a", 3)]) == []
    assert await numbers(runs, "resp_a") == [0, 1, 2, 3, 4]
    assert await numbers(runs, "resp_b") == [0]
    assert await numbers(runs, "resp_c") == [0, 1]
    assert (await runs.find(None, "resp_a")).next_seq == 5


async def test_one_that_does_not_fit_keeps_no_other_from_being_written(runs):
    for name in ("fits", "stale", "gap", "inner", "ended", "released"):
        await runs.add(held(name), [])
    await runs.add(queued("waits"), [])
    await runs.write("ended", 1, ending(0))
    await runs.release("released", 1)
    inner = Piece(run="inner", epoch=1, events=[*events(0), *events(2)])

    refused = await runs.append(
        [
            piece("stale", 0, epoch=2),
            piece("gap", 1),
            piece("fits", 0),
            inner,
            piece("ended", 1),
            piece("released", 0),
            piece("waits", 0, epoch=0),
            piece("nobody", 0),
        ]
    )

    assert refused == ["stale", "gap", "inner", "ended", "released", "waits", "nobody"]
    assert await numbers(runs, "fits") == [0, 1]
    for name in ("stale", "gap", "inner", "released", "waits"):
        assert await numbers(runs, name) == []


async def test_what_is_refused_is_what_a_single_write_refuses(runs):
    await runs.add(held("resp_1"), [])
    await runs.claim("another", now=200.0, until=300.0, most=1)

    assert await runs.append([piece("resp_1", 0)]) == ["resp_1"]
    with pytest.raises(Fenced):
        await runs.write("resp_1", 1, ending(0))
    with pytest.raises(Conflict):
        await runs.write("resp_1", 2, ending(1))
    assert await runs.append([piece("resp_1", 0, epoch=2)]) == []
