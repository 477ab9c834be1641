"""A batch is run to its end, a few lines at once, whatever stands in the way: refusals, faults, deaths, the end of its time."""

import anyio
import msgspec
import pytest

from gateway.core.errors import Conflict, NotFound, RateLimited, StoreUnavailable
from tests.unit.batches.conftest import GOOD, error

replace = msgspec.structs.replace
DAY = 86_400.0


def texts(count):
    return [f"t{number}" for number in range(count)]


async def test_every_line_is_asked_once_and_a_few_at_once(place_with):
    place = place_with(at_once=3)

    async def behave(text):
        del text
        await anyio.sleep(0.001)
        return GOOD

    place.answerer.behave = behave
    batches = [await place.make(texts(40)) for _ in range(2)]
    runner = place.runner()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        for batch in batches:
            ended = await place.ended(batch)
            assert (ended.status, ended.total, ended.completed, ended.failed) == ("completed", 40, 40, 0)
            assert (await place.lines(ended.output_file)).keys() == set(texts(40))
        tasks.cancel_scope.cancel()

    assert set(place.answerer.asked.values()) == {2}
    assert place.answerer.most_at_once == 3


async def test_a_refused_line_waits_and_is_asked_until_there_is_room(place):
    async def behave(text):
        return error(429, 0.01) if place.answerer.asked[text] < 3 else GOOD

    place.answerer.behave = behave
    ended = await place.run(await place.make(texts(2)))

    assert (ended.completed, ended.failed) == (2, 0)
    assert place.answerer.asked == {"t0": 3, "t1": 3}


async def test_a_fault_that_may_pass_is_tried_a_few_times(place_with):
    place = place_with(tries=2)

    async def behave(text):
        if text == "t0":
            return error(503, 0.01)
        return error(502, 0.01) if place.answerer.asked[text] == 1 else GOOD

    place.answerer.behave = behave
    ended = await place.run(await place.make(texts(2)))

    assert place.answerer.asked == {"t0": 2, "t1": 2}
    assert (await place.lines(ended.output_file)).keys() == {"t1"}
    assert (await place.lines(ended.error_file))["t0"]["response"]["status_code"] == 503


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
async def test_a_fault_of_the_line_is_its_answer(place, status):
    async def behave(text):
        del text
        return error(status)

    place.answerer.behave = behave
    ended = await place.run(await place.make(["t"]))

    assert (ended.status, ended.completed, ended.failed, ended.output_file) == ("completed", 0, 1, "")
    assert place.answerer.asked == {"t": 1}


async def test_at_the_end_of_its_time_what_was_not_asked_is_in_the_error_file(place):
    async def behave(text):
        return GOOD if text == "t0" else error(429, 3600)

    place.answerer.behave = behave
    batch = await place.make(texts(30))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place.runner().run)
        await place.until(batch, lambda found: found.completed == 1)
        place.now += DAY
        ended = await place.ended(batch)
        tasks.cancel_scope.cancel()

    assert (ended.status, ended.expired_at, ended.completed, ended.failed) == ("expired", 1000 + DAY, 1, 29)
    assert (await place.lines(ended.output_file)).keys() == {"t0"}
    errors = await place.lines(ended.error_file)
    assert errors.keys() == set(texts(30)[1:])
    assert {(line["response"], line["error"]["code"]) for line in errors.values()} == {(None, "batch_expired")}


async def test_a_batch_that_nobody_began_in_time_expires_whole(place):
    batch = await place.make(texts(3))
    place.now += DAY

    ended = await place.run(batch)

    assert (ended.status, ended.failed) == ("expired", 3)
    assert not place.answerer.asked


async def test_a_batch_that_was_cancelled_before_it_began_asks_nothing(place):
    batch = await place.make(texts(3))
    await place.desk(place.runner()).cancel("acme", batch.id)

    ended = await place.run(batch)

    assert (ended.status, ended.output_file, ended.error_file) == ("cancelled", "", "")
    assert not place.answerer.asked


async def test_a_batch_cancelled_elsewhere_ends_its_lines_in_flight_and_asks_no_more(place):
    go = anyio.Event()

    async def behave(text):
        del text
        await go.wait()
        return GOOD

    place.answerer.behave = behave
    batch = await place.make(texts(20))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place.runner().run)
        await place.until(batch, lambda found: len(place.answerer.asked) == place.settings.at_once)
        await place.desk(place.runner()).cancel("acme", batch.id)  # the desk of another process
        await anyio.sleep(1.1)  # a process looks once a second what others did
        go.set()
        ended = await place.ended(batch)
        tasks.cancel_scope.cancel()

    assert (ended.status, ended.completed, ended.failed) == ("cancelled", 4, 16)
    with pytest.raises(Conflict):
        await place.desk(place.runner()).cancel("acme", batch.id)


async def test_a_process_that_leaves_lets_its_lines_end_and_another_asks_the_rest(place):
    go = anyio.Event()

    async def behave(text):
        del text
        await go.wait()
        return GOOD

    place.answerer.behave = behave
    batch = await place.make(texts(20))
    first = place.runner()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.run)
        await place.until(batch, lambda found: len(place.answerer.asked) == place.settings.at_once)
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(first.finish, 10.0)
            await anyio.lowlevel.checkpoint()
            go.set()
        tasks.cancel_scope.cancel()
    assert len(place.answerer.asked) == place.settings.at_once
    assert (await place.state(batch)).status == "in_progress"

    ended = await place.run(batch)

    assert (ended.status, ended.completed) == ("completed", 20)
    assert set(place.answerer.asked.values()) == {1}


async def test_a_call_that_failed_because_the_process_goes_down_is_left_to_the_next(place_with):
    place = place_with(tries=1)
    first = place.runner()
    asked = anyio.Event()
    go = anyio.Event()

    async def behave(text):
        del text
        asked.set()
        await go.wait()
        return error(503, 1.0)

    place.answerer.behave = behave
    batch = await place.make(["t"])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.run)
        await asked.wait()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(first.finish, 10.0)
            await anyio.lowlevel.checkpoint()
            go.set()
        tasks.cancel_scope.cancel()
    del place.answerer.behave

    ended = await place.run(batch)

    assert (ended.completed, ended.failed) == (1, 0)


async def test_two_processes_ask_no_line_twice(place):
    batches = [await place.make(texts(50)) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(place.runner().run)
        for batch in batches:
            assert (await place.ended(batch)).completed == 50
        tasks.cancel_scope.cancel()

    assert set(place.answerer.asked.values()) == {4}


async def test_a_death_between_the_last_line_and_the_end_asks_nothing_again(place):
    """The results are there, the store has not heard of it: as after a kill -9 at that moment."""
    batch = await place.make(texts(5))
    ended = await place.run(batch)
    before = replace(ended, status="in_progress", completed=0, completed_at=None, version=ended.version + 1)
    before = replace(before, error_file="file-" + "0" * 24)
    await place.batches.replace(before)
    assert await place.files.remove("acme", ended.output_file)
    place.answerer.asked.clear()

    again = await place.run(batch)

    assert (again.status, again.completed, again.output_file) == ("completed", 5, ended.output_file)
    assert not place.answerer.asked
    assert (await place.lines(again.output_file)).keys() == set(texts(5))


async def test_an_input_with_faults_fails_and_says_where(place):
    batch = await place.make(["same", "other", "same"])

    ended = await place.run(batch)

    assert ended.status == "failed"
    assert [(fault.code, fault.line) for fault in ended.faults] == [("duplicate_custom_id", 3)]
    assert not place.answerer.asked


async def test_an_input_whose_bytes_are_gone_fails(place):
    batch = await place.make(["t"])
    place.bytes.path(batch.input_file).unlink()

    assert [fault.code for fault in (await place.run(batch)).faults] == ["input_file_missing"]


class Away:
    """A batch store whose database is away now and then."""

    def __init__(self, store):
        self._store = store
        self.calls = 0

    def __getattr__(self, name):
        async def ask(*args, **more):
            self.calls += 1
            if self.calls % 3 == 0:
                raise StoreUnavailable("The database is away.")
            done = await getattr(self._store, name)(*args, **more)
            if self.calls % 5 == 0:
                raise StoreUnavailable("Nobody knows whether it was done.")
            return done

        return ask


async def test_a_database_that_is_away_now_and_then_loses_and_repeats_nothing(place):
    batch = await place.make(texts(20))
    store = Away(place.batches)

    ended = await place.run(batch, place.runner(store))

    assert store.calls > 5
    assert (ended.status, ended.completed) == ("completed", 20)
    assert set(place.answerer.asked.values()) == {1}
    assert (await place.lines(ended.output_file)).keys() == set(texts(20))


async def test_a_tenant_may_have_so_many_unfinished_batches(place_with):
    place = place_with(unfinished=1)
    first = await place.make(["t"])
    with pytest.raises(RateLimited):
        await place.make(["t"])

    await place.run(first)

    await place.make(["t"])


async def test_what_is_left_lying_about_is_removed_after_a_day(place_with):
    place = place_with(keep_days=None)
    ended = await place.run(await place.make(["t"]))
    stray = place.bytes.path("file-" + "e" * 24)
    stray.write_bytes(b"of a process that died")
    part = stray.with_suffix(".part")
    part.write_bytes(b"of an upload that was cut off")
    place.now = stray.stat().st_mtime + 60
    await place.cabinet.tidy()
    assert stray.exists()

    place.now += DAY
    await place.cabinet.tidy()

    assert {path.name for path in place.bytes.folder.iterdir()} == {ended.input_file, ended.output_file}


async def test_what_has_expired_is_removed(place):
    ended = await place.run(await place.make(["t"]))

    place.now = 1000 + 30 * DAY
    assert await place.files.find("acme", ended.output_file, now=place.now) is None
    await place.cabinet.tidy()

    assert list(place.bytes.folder.iterdir()) == []


async def test_what_has_not_expired_is_kept(place_with):
    place = place_with(keep_days=None)
    ended = await place.run(await place.make(["t"]))

    place.now += 1000 * DAY
    await place.cabinet.tidy()

    assert {path.name for path in place.bytes.folder.iterdir()} == {ended.input_file, ended.output_file}


async def test_a_batch_of_another_tenant_is_not_there(place):
    batch = await place.make(["t"])
    desk = place.desk(place.runner())

    for act in (desk.find, desk.cancel):
        with pytest.raises(NotFound):
            await act("globex", batch.id)


async def test_a_batch_that_ended_long_ago_is_forgotten_with_its_results(place):
    batch = await place.make(["a"])
    ended = await place.run(batch)
    output = place.bytes.path(ended.output_file)
    runner = place.runner()
    await runner._tidy()
    assert output.exists()
    place.now += 401 * 86_400
    await runner._tidy()

    assert await place.state(batch) is None
    assert not output.exists()
