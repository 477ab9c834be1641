"""A clock that is set wrong, and right again: no schedule is silent until the wrong time comes, and none runs twice."""

from contextlib import asynccontextmanager

import pytest

from gateway.config.database_settings import SqliteSettings
from gateway.config.trigger_settings import ScheduleTriggerSettings
from gateway.core.clock import Clock
from gateway.stores.database import open_database
from gateway.stores.incidents_sql import SqlIncidents
from gateway.triggers.counts import Counts
from gateway.triggers.means import Means
from gateway.triggers.ticking import Ticking

NOON = 1_795_348_800.0
HOUR, YEAR = 3600.0, 365 * 86_400.0
HOURLY = ScheduleTriggerSettings(agent="a", cron="0 * * * *", overlap="allow")


class World:
    """A schedule of each hour, and the clock of the replica that looks at it. `another` is one more replica."""

    def __init__(self, store):
        self.now = NOON
        self.counts = Counts()
        numbers = iter(range(1000))
        self.means = Means(
            triggers=lambda: {"hourly": HOURLY},
            store=store,
            desk=None,
            runs=None,
            calls=None,
            audit=None,
            counts=self.counts,
            clock=Clock(monotonic=lambda: 0.0, wall=lambda: self.now),
            new_id=lambda kind: f"{kind}{next(numbers)}",
        )
        self.ticking = Ticking(self.means)

    async def at(self, now, ticking=None):
        """Look at a time; give how many times have been acted on so far."""
        self.now = now
        await (ticking or self.ticking).look()
        return self.counts.deliveries.values().get(("hourly", "accepted"), 0)


@pytest.fixture
async def world(tmp_path):
    @asynccontextmanager
    async def opened():
        database = await open_database(SqliteSettings(path=str(tmp_path / "incidents.db")))
        try:
            yield database
        finally:
            await database.aclose()

    async with opened() as database:
        made = World(SqlIncidents(database))
        assert await made.at(NOON) == 0
        yield made


async def test_a_schedule_goes_on_after_a_clock_that_was_a_year_ahead(world):
    assert await world.at(NOON + HOUR + 1) == 1
    ahead = await world.at(NOON + YEAR + 1)
    assert await world.at(NOON + HOUR + 2) == ahead
    assert await world.at(NOON + 2 * HOUR + 1) == ahead + 1
    assert await world.at(NOON + 3 * HOUR + 1) == ahead + 2


async def test_it_does_so_too_where_another_replica_remembers_nothing_of_it(world):
    ahead = await world.at(NOON + YEAR + 1)
    restarted = Ticking(world.means)

    assert await world.at(NOON + HOUR / 2, restarted) == ahead
    assert await world.at(NOON + HOUR + 1, restarted) == ahead + 1


async def test_times_that_come_twice_are_acted_on_once(world):
    """The clock goes back by two hours, and shows both again."""
    made = [await world.at(NOON + hours * HOUR + 1) for hours in (1, 2, 3)]
    again = [await world.at(NOON + hours * HOUR + 1) for hours in (0.5, 1, 2, 3)]

    assert made == [1, 2, 3]
    assert again == [3, 3, 3, 3]
    assert await world.at(NOON + 4 * HOUR + 1) == 4


async def test_clocks_of_replicas_that_differ_by_minutes_disturb_nobody(world):
    other = Ticking(world.means)
    await world.at(NOON, other)
    assert await world.at(NOON + HOUR + 1) == 1
    assert await world.at(NOON + HOUR - 120, other) == 1
    assert await world.at(NOON + HOUR + 2, other) == 1
    assert await world.at(NOON + 2 * HOUR + 1, other) == 2
