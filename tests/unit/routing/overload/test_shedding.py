"""A full queue sends somebody away: who is worth least to keep, with the time after which to come again."""

import anyio

from gateway.config.overload_settings import QueueSettings
from gateway.core.errors import Overloaded, QueueShareExceeded
from tests.unit.routing.crowds import Crowd, come
from tests.unit.routing.simulated_time import Simulated, Slow


async def test_a_full_queue_sends_the_newest_away():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m"), limits=(1,), queue=QueueSettings(most=3))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "0", "1", "2", "3", "4")
        error = crowd.ended["4"]
        assert isinstance(error, Overloaded)
        assert error.retry_after >= 1
        await world.pass_time(10)

    assert [name for name, end in crowd.ended.items() if end == "ok"] == ["0", "1", "2", "3"]
    assert list(crowd.lines.shed.render()) == ['switchgear_queue_shed_total{model="m",reason="full"} 1']


async def test_a_full_queue_takes_from_who_has_more_than_a_fair_share():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m"), limits=(1,), queue=QueueSettings(most=4))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "0", "h1", "h2", "h3", "h4", caller="hog")
        await come(tasks, crowd, "s1", caller="small")
        assert isinstance(crowd.ended["h4"], QueueShareExceeded)
        await come(tasks, crowd, "h5", caller="hog")
        assert isinstance(crowd.ended["h5"], QueueShareExceeded)
        await world.pass_time(10)

    assert crowd.ended["s1"] == "ok"
    assert crowd.order.index("s1") <= 4


async def test_a_full_queue_takes_from_lower_priorities_first():
    world = Simulated()
    queue = QueueSettings(most=2, priorities={"key=vip": "high"})
    crowd = Crowd(world, Slow(world, "a/m"), limits=(1,), queue=queue)
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "running")
        await come(tasks, crowd, "line", caller="batch", background=True)
        await come(tasks, crowd, "normal", caller="n")
        await come(tasks, crowd, "vip 1", "vip 2", "vip 3", caller="vip")
        # Nobody gives way to a lower priority.
        await come(tasks, crowd, "other", caller="o")
        await world.pass_time(10)

    assert isinstance(crowd.ended["line"], QueueShareExceeded)  # a batch is told to come again, and loses no try
    assert isinstance(crowd.ended["normal"], Overloaded)
    assert isinstance(crowd.ended["vip 3"], Overloaded)
    assert isinstance(crowd.ended["other"], Overloaded)
    assert crowd.ended["vip 1"] == crowd.ended["vip 2"] == "ok"


async def test_when_to_come_again_follows_how_fast_calls_go_on():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m", 4), limits=(1,), queue=QueueSettings(most=5, longest=500))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, *[str(number) for number in range(6)])
        await world.pass_time(12)
        await come(tasks, crowd, *[f"more {number}" for number in range(4)])
        assert 0.5 * 24 <= crowd.ended["more 3"].retry_after <= 1.5 * 24
        await world.pass_time(100)
