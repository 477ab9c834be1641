"""Runs as endpoints see them: one stream with one end, kept or not at all, and gone on from as it was said."""

import anyio
import anyio.lowlevel
import pytest

from gateway.core.errors import (
    Conflict,
    InvalidRequest,
    KeyRevoked,
    LimitExceeded,
    ModelNotFound,
    NotFound,
    StoreUnavailable,
    UpstreamUnreachable,
)
from gateway.stores.runs import RunItem
from tests.unit.agents.runs_world import EVE, broken, check_stream, draft, endless, said, world_in


@pytest.mark.parametrize("background", [False, True])
async def test_a_response_is_one_stream_and_one_document(tmp_path, background):
    async with world_in(tmp_path) as world:
        if background:
            run = await world.desk.begin(draft("hi", background=True, metadata={"a": "b"}))
            assert run.status == "queued"
            events = await world.follow(run)
            run = await world.desk.find("acme", run.id)
        else:
            run, events = await world.answer("hi", metadata={"a": "b"})
        kept = await world.desk.find("acme", run.id)
        again = await world.follow(run)

    document = check_stream(events)
    assert document == kept.response == run.response
    assert again == events
    assert (document["id"], document["status"], document["model"]) == (run.id, "completed", "talker")
    assert (document["store"], document["background"], document["metadata"]) == (True, background, {"a": "b"})
    assert document["usage"]["input_tokens"] == 3
    assert said(kept) == "You said hi"
    assert (kept.spent.steps, kept.spent.output_tokens) == (1, 3)
    assert world.model.calls[0].run == run.id


async def test_a_follower_that_was_cut_off_anywhere_goes_on_where_it_was(tmp_path):
    async with world_in(tmp_path) as world:
        run, events = await world.answer("hi")
        for after in range(-1, len(events)):
            assert await world.follow(run, after=after) == events[after + 1 :]


async def test_what_fails_before_the_first_event_leaves_nothing(tmp_path):
    async with world_in(tmp_path) as world:

        async def refuse(call, send):
            raise UpstreamUnreachable("Nobody is there.")

        world.model.say = refuse
        with pytest.raises(UpstreamUnreachable):
            await world.answer("hi")

        assert await world.runs.list(None) == []


async def test_what_fails_later_ends_the_stream_with_what_was_heard(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = broken
        run, events = await world.answer("hi")

    document = check_stream(events)
    assert events[-1].name == "response.failed"
    assert document["error"]["message"] == "The line is dead."
    assert [(item["status"], item["content"][0]["text"]) for item in document["output"]] == [("incomplete", "Half an ")]
    assert run.status == "failed"


async def test_a_client_that_leaves_cancels_its_run(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = endless
        heard = []

        async def take(event):
            heard.append(event)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: world.answer("hi", take=take))
            with anyio.fail_after(5):
                while len(heard) < 6:
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        [run] = await world.runs.list("acme")
        events = await world.follow(run)

    assert run.status == "cancelled"
    assert check_stream(events)["status"] == "cancelled"
    assert events[: len(heard)] == heard[: len(events)]


async def test_a_background_run_is_cancelled_at_once(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = endless
        run = await world.desk.begin(draft(background=True))
        with anyio.fail_after(5):
            while not world.model.calls:
                await anyio.lowlevel.checkpoint()
        ended = await world.desk.cancel("acme", run.id)
        again = await world.desk.cancel("acme", run.id)
        events = await world.follow(run)

    assert ended.status == again.status == "cancelled"
    assert check_stream(events)["status"] == "cancelled"


async def test_a_run_that_nobody_executes_yet_is_cancelled_with_a_whole_stream(tmp_path):
    async with world_in(tmp_path, executing=False) as world:
        run = await world.desk.begin(draft(background=True))
        ended = await world.desk.cancel("acme", run.id)
        events = await world.follow(run)

    assert ended.status == "cancelled"
    assert [event.name for event in events] == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.incomplete",
    ]
    assert check_stream(events) == ended.response
    assert world.model.calls == []


async def test_only_background_responses_are_cancelled_by_name(tmp_path):
    async with world_in(tmp_path) as world:
        run, _ = await world.answer("hi")

        with pytest.raises(Conflict, match="not a background response"):
            await world.desk.cancel("acme", run.id)


async def test_a_response_belongs_to_its_tenant(tmp_path):
    """Whoever asks for it elsewhere reads the same words as for one that never was."""
    async with world_in(tmp_path) as world:
        run, _ = await world.answer("hi")
        desk = world.desk

        async def nowhere(event):
            raise AssertionError(event)

        for ask in (
            lambda: desk.find("globex", run.id),
            lambda: desk.follow("globex", run.id, nowhere),
            lambda: desk.cancel("globex", run.id),
            lambda: desk.remove("globex", run.id),
            lambda: desk.input_items("globex", run.id),
            lambda: world.answer("go on", EVE, previous_response_id=run.id),
            lambda: desk.begin(draft("go on", EVE, previous_response_id=run.id, background=True)),
        ):
            with pytest.raises(NotFound) as refused:
                await ask()
            assert refused.value.message == f"There is no response {run.id!r} here."


async def test_a_request_is_refused_by_its_own_field_before_anything_is_kept(tmp_path):
    async with world_in(tmp_path) as world:
        first, _ = await world.answer("one")
        with pytest.raises(InvalidRequest) as refused:
            await world.answer([{"role": "nobody", "content": "x"}], previous_response_id=first.id)
        assert refused.value.param == "input[0].role"
        with pytest.raises(ModelNotFound):
            await world.desk.begin(draft(model="walker", background=True))

        assert [run.id for run in await world.runs.list(None)] == [first.id]


async def test_what_is_not_to_be_kept_may_go_on_from_what_is(tmp_path):
    async with world_in(tmp_path) as world:
        first, _ = await world.answer("one")
        passing, events = await world.answer("two", previous_response_id=first.id, store=False)

        assert check_stream(events)["store"] is False
        assert said(passing) == "You said two"
        assert [run.id for run in await world.runs.list(None)] == [first.id]


async def test_a_tenant_has_so_many_unfinished_responses_at_most(tmp_path):
    async with world_in(tmp_path, unfinished=2) as world:
        world.model.say = endless
        for _ in range(2):
            await world.desk.begin(draft(background=True))

        with pytest.raises(LimitExceeded):
            await world.desk.begin(draft(background=True))
        await world.desk.begin(draft(caller=EVE, background=True))


async def test_a_process_runs_so_many_at_once_and_the_others_wait(tmp_path):
    async with world_in(tmp_path, at_once=1) as world:
        world.model.say = endless
        first = await world.desk.begin(draft(background=True))
        second = await world.desk.begin(draft(background=True))
        with anyio.fail_after(5):
            while not world.model.calls:
                await anyio.lowlevel.checkpoint()
        assert (await world.desk.find("acme", second.id)).status == "queued"
        world.model.say = world.model.echo
        await world.desk.cancel("acme", first.id)

        assert (await world.ended(second)).status == "completed"


async def test_a_key_that_was_revoked_meanwhile_fails_its_run(tmp_path):
    async with world_in(tmp_path) as world:

        def revoked(caller):
            raise KeyRevoked("The API key that made this response was revoked.")

        world.known = revoked
        run = await world.ended(await world.desk.begin(draft(background=True)))

    assert run.status == "failed"
    assert run.response["error"]["message"] == "The API key that made this response was revoked."
    assert world.model.calls == []


async def test_a_run_that_takes_too_long_fails(tmp_path):
    async with world_in(tmp_path, run_timeout=0.05) as world:
        world.model.say = endless
        run = await world.ended(await world.desk.begin(draft(background=True)))

    assert run.status == "failed"
    assert "0.05 seconds" in run.response["error"]["message"]


async def test_a_response_that_is_removed_is_gone_with_all_that_was_said(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = endless
        live = await world.desk.begin(draft(background=True))
        await world.desk.remove("acme", live.id)

        with pytest.raises(NotFound):
            await world.desk.find("acme", live.id)
        assert await world.runs.events(live.id) == []


async def test_input_is_shown_whole(tmp_path):
    async with world_in(tmp_path) as world:
        run, _ = await world.answer("hi")
        [item] = await world.desk.input_items("acme", run.id)

    assert isinstance(item, RunItem)
    assert item.body["id"] == item.id
    assert item.body["content"] == [{"type": "input_text", "text": "hi"}]
    assert "id" not in world.model.calls[0].fields["input"][0], "ids that were made here mean nothing to an upstream"


async def test_a_database_that_is_away_keeps_a_response_from_beginning(tmp_path):
    class Away:
        def __init__(self, runs):
            self._runs = runs

        async def add(self, *_, **__):
            raise StoreUnavailable("The database is away.")

        def __getattr__(self, name):
            return getattr(self._runs, name)

    async with world_in(tmp_path, stores=Away) as world:
        heard = []

        async def take(event):
            heard.append(event)

        with pytest.raises(StoreUnavailable):
            await world.answer("hi", take=take)
        assert heard == []


class ReadsFail:
    """The run store, of which reading items fails until that is mended."""

    def __init__(self, runs):
        self._runs = runs
        self.failed = 0
        self.away = True

    async def items(self, *args):
        if self.away:
            self.failed += 1
            raise StoreUnavailable("The database is away.")
        return await self._runs.items(*args)

    def __getattr__(self, name):
        return getattr(self._runs, name)


async def test_a_background_run_that_cannot_be_read_is_left_and_done_when_its_lease_is_over(tmp_path):
    async with world_in(tmp_path, stores=ReadsFail, lease=1, poll=0.1) as world:
        run = await world.desk.begin(draft("hi", background=True))
        with anyio.fail_after(10):
            while not (world.means.runs.failed and not world.counts.live):
                await anyio.sleep(0.005)
        left = await world.runs.find("acme", run.id)
        world.means.runs.away = False
        with anyio.fail_after(20):
            events = await world.follow(run)
        done = await world.runs.find("acme", run.id)

    assert left.status == "in_progress"
    assert check_stream(events)["status"] == done.status == "completed"
    assert done.epoch > 1


async def test_a_database_that_forgets_to_answer_gets_nothing_twice(tmp_path):
    """Whether a write was done is not known: it is found out, and the stream has neither a gap nor an event twice."""

    class Doubtful:
        def __init__(self, runs):
            self._runs = runs
            self.writes = 0

        async def _doubt(self, done):
            self.writes += 1
            if self.writes % 3 != 0:
                raise StoreUnavailable("It did not answer in time.")
            return done

        async def write(self, *args):
            return await self._doubt(await self._runs.write(*args))

        async def append(self, pieces):
            return await self._doubt(await self._runs.append(pieces))

        def __getattr__(self, name):
            return getattr(self._runs, name)

    async with world_in(tmp_path, stores=Doubtful) as world:
        run = await world.desk.begin(draft("hi", background=True))
        events = await world.follow(run)
        again = await world.follow(run)

    assert check_stream(events)["status"] == "completed"
    assert again == events
    assert world.means.runs.writes >= 2


async def test_a_run_whose_lease_went_to_another_writes_nothing_more(tmp_path):
    async with world_in(tmp_path) as world:
        world.model.say = endless
        run = await world.desk.begin(draft(background=True))
        with anyio.fail_after(5):
            while not await world.runs.events(run.id, after=4):
                await anyio.sleep(0.005)
        far = world.means.clock.wall() + 1000
        [taken] = await world.runs.claim("another", now=far, until=far + 1000, most=1)
        [holding] = world.executor._held.values()
        with anyio.fail_after(5):
            await world.executor._renew([holding], 15.0)
            while world.counts.live:
                await anyio.lowlevel.checkpoint()
        kept = await world.runs.find("acme", run.id)

    assert taken.epoch == 2
    assert (kept.status, kept.lease_owner) == ("in_progress", "another")
    assert world.counts.fenced.values()[()] == 1
