"""The journal under holders that stall, crash and come back, on a clock of its own: what happens is what a simple model says.

One step is one question to the store. The model says beforehand what will come of it; at the end of each seed the journal itself is read.
"""

import random
import shutil

import msgspec
import pytest

from gateway.config.database_settings import SqliteSettings
from gateway.core.errors import Conflict
from gateway.stores.database import open_database
from gateway.stores.runs import LIVE, Entry, Fenced, RunEvent
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import QUEUED, held

LEASE = 10.0
ENDS = ("completed", "failed", "incomplete", "waiting")
SEEDS = 300
GROUPS = 6


class Known(msgspec.Struct):
    """What the model knows of a run."""

    status: str
    epoch: int = 0
    until: float | None = None
    next_seq: int = 0
    cancelled: bool = False
    writers: dict[int, str] = {}


class Grip(msgspec.Struct):
    """What a holder believes of a run that it has claimed."""

    epoch: int
    next_seq: int
    asleep_until: float = 0.0


class World:
    """Some runs, some holders, and one store."""

    def __init__(self, store: SqlRuns, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.seed = seed
        self.now = 1000.0
        self.known: dict[str, Known] = {}
        self.holders: dict[str, dict[str, Grip]] = {name: {} for name in ("ann", "bob", "cyn")}

    async def begin(self) -> None:
        run = f"resp_{self.seed}_{len(self.known)}"
        if self.random.random() < 0.7:
            kept = msgspec.structs.replace(QUEUED, id=run, created_at=self.now, background=True)
            self.known[run] = Known(status="queued")
        else:
            owner = self.random.choice(list(self.holders))
            kept = held(run, created_at=self.now, lease_owner=owner, lease_until=self.now + LEASE)
            self.known[run] = Known(status="in_progress", epoch=1, until=self.now + LEASE)
            self.holders[owner][run] = Grip(epoch=1, next_seq=0)
        assert await self.store.add(kept, [])

    async def claim(self, owner: str, most: int = 2) -> None:
        taken = await self.store.claim(owner, now=self.now, until=self.now + LEASE, most=most)
        due = [run for run, known in self.known.items() if self.is_due(known)]
        assert {run.id for run in taken} <= set(due)
        assert len(taken) == min(most, len(due))
        for run in taken:
            known = self.known[run.id]
            known.status, known.epoch, known.until = "in_progress", known.epoch + 1, self.now + LEASE
            assert (run.epoch, run.next_seq) == (known.epoch, known.next_seq)
            assert (run.cancel_requested_at is not None) == known.cancelled
            self.holders[owner][run.id] = Grip(epoch=run.epoch, next_seq=run.next_seq)

    def is_due(self, known: Known) -> bool:
        if known.status == "in_progress":
            return known.until is None or known.until <= self.now
        return known.status == "queued"

    def holds(self, run: str, epoch: int) -> bool:
        known = self.known[run]
        return known.status == "in_progress" and known.epoch == epoch and known.until is not None

    async def outcome(self, run: str, epoch: int, question) -> bool:
        """Whether it was done; a holder that was fenced off should have been, and the other way round."""
        expected = self.holds(run, epoch)
        try:
            await question
        except Fenced:
            assert not expected
            return False
        assert expected
        return True

    async def write(self, owner: str, run: str, grip: Grip, *, end: bool) -> None:
        known = self.known[run]
        status = self.random.choice(ENDS) if end else None
        if end and known.cancelled and self.random.random() < 0.8:
            status = "cancelled"
        count = self.random.randint(1, 5)
        events = [self.event(owner, grip, grip.next_seq + number) for number in range(count)]
        if end:
            events[-1] = self.event(owner, grip, events[-1].seq, name=f"response.{status}")
        entry = Entry(events=events, status=status, ended_at=self.now if end else None)
        if not await self.outcome(run, grip.epoch, self.store.write(run, grip.epoch, entry)):
            del self.holders[owner][run]
            return
        assert known.writers.setdefault(grip.epoch, owner) == owner
        grip.next_seq = known.next_seq = known.next_seq + count
        if end:
            known.status, known.until = status or "", None
        if self.random.random() < 0.2:
            await self.write_again(run, grip, entry)

    async def write_again(self, run: str, grip: Grip, entry: Entry) -> None:
        """As one does who did not hear that it was done."""
        with pytest.raises(Fenced if entry.status else Conflict):
            await self.store.write(run, grip.epoch, entry)

    def event(self, owner: str, grip: Grip, seq: int, name: str = "response.output_text.delta") -> RunEvent:
        return RunEvent(seq=seq, name=name, data=msgspec.json.encode({"by": owner, "epoch": grip.epoch}))

    async def renew(self, owner: str, run: str, grip: Grip) -> None:
        known = self.known[run]
        kept = await self.store.renew({run: grip.epoch}, until=self.now + LEASE)
        assert kept == ({run: known.cancelled} if self.holds(run, grip.epoch) else {})
        if kept:
            known.until = self.now + LEASE
        else:
            del self.holders[owner][run]

    async def release(self, owner: str, run: str, grip: Grip) -> None:
        if await self.outcome(run, grip.epoch, self.store.release(run, grip.epoch)):
            self.known[run].until = None
        if self.random.random() < 0.5:  # otherwise it goes on as if it had not
            del self.holders[owner][run]

    async def cancel(self, run: str) -> None:
        known = self.known[run]
        ended = Entry(events=[RunEvent(seq=0, name="response.cancelled", data=b"{}")], status="cancelled")
        kept = await self.store.request_cancel("acme", run, now=self.now, ended=ended)
        assert kept is not None
        if known.status == "queued":
            known.status, known.next_seq, known.cancelled = "cancelled", 1, True
        elif known.status == "waiting":
            known.status = "cancelled"
        elif known.status == "in_progress":
            known.cancelled = True
        assert (kept.status, kept.next_seq, kept.epoch) == (known.status, known.next_seq, known.epoch)

    async def remove_live(self, run: str) -> None:
        if self.known[run].status in LIVE:
            with pytest.raises(Conflict):
                await self.store.remove("acme", run)

    async def step(self) -> None:
        self.now += self.random.choice((0.1, 1.0, 4.0))
        run = self.random.choice(list(self.known))
        owner = self.random.choice(list(self.holders))
        mine = self.holders[owner]
        awake = [each for each, grip in mine.items() if grip.asleep_until <= self.now]
        dice = self.random.random()
        if dice < 0.06:
            mine.clear()  # it crashed, and another of its name begins anew
        elif dice < 0.14:
            await self.cancel(run)
        elif dice < 0.17:
            await self.remove_live(run)
        elif dice < 0.25 and len(self.known) < 4:
            await self.begin()
        elif not awake or dice < 0.40:
            await self.claim(owner)
        else:
            await self.act(owner, self.random.choice(awake), dice)

    async def act(self, owner: str, run: str, dice: float) -> None:
        grip = self.holders[owner][run]
        if dice < 0.50:
            grip.asleep_until = self.now + 2 * LEASE  # and then it goes on as if nothing had been
        elif dice < 0.58:
            await self.renew(owner, run, grip)
        elif dice < 0.63:
            await self.release(owner, run, grip)
        else:
            await self.write(owner, run, grip, end=dice > 0.90)

    async def finish(self) -> None:
        """Whoever stalls goes on stalling; one more comes, takes what is left, and ends it."""
        self.now += 3 * LEASE
        left = {run for run, known in self.known.items() if known.status in LIVE}
        self.holders["zoe"] = {}
        await self.claim("zoe", most=100)
        assert set(self.holders["zoe"]) == left
        for run, grip in list(self.holders["zoe"].items()):
            await self.write("zoe", run, grip, end=True)
        for owner, grips in self.holders.items():
            for run, grip in list(grips.items()):
                await self.write(owner, run, grip, end=True)
        assert await self.store.claim("zoe", now=self.now + 1e6, until=1e9, most=100) == []

    async def read(self) -> None:
        """What the journal says by itself."""
        for run, known in self.known.items():
            kept = await self.store.find("acme", run)
            assert kept is not None
            assert (kept.status, kept.next_seq, kept.lease_until) == (known.status, known.next_seq, None)
            assert kept.status not in LIVE
            assert kept.ended_at is not None
            events = await self.store.events(run)
            assert [event.seq for event in events] == list(range(kept.next_seq))
            assert [event.name.endswith("delta") for event in events] == [True] * (len(events) - 1) + [False]
            said = [msgspec.json.decode(event.data) for event in events]
            epochs = [each["epoch"] for each in said if each]
            assert epochs == sorted(epochs)
            assert len({(each["epoch"], each["by"]) for each in said if each}) == len(set(epochs))


async def simulate(store: SqlRuns, seed: int) -> None:
    world = World(store, seed)
    await world.begin()
    for _ in range(20):
        await world.step()
    await world.finish()
    await world.read()


@pytest.mark.parametrize("group", range(GROUPS))
async def test_whatever_holders_do_a_run_is_written_by_one_at_a_time_and_ends_once(migrated_sqlite, tmp_path, group):
    path = shutil.copy(migrated_sqlite, tmp_path / "switchgear.db")
    database = await open_database(SqliteSettings(path=str(path)))
    for seed in range(group, SEEDS, GROUPS):
        try:
            await simulate(SqlRuns(database), seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    await database.aclose()
