"""Which store the settings ask for, and what metrics tell of it."""

from gateway.cache.readings import readings
from gateway.config.cache_settings import CacheSettings
from gateway.config.database_settings import RedisSettings
from gateway.config.secret import Secret
from gateway.core.clock import SYSTEM_CLOCK
from gateway.stores.answers import Held
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.answers_open import open_answers
from gateway.stores.answers_shared import SharedAnswers

REDIS = RedisSettings(url=Secret("redis://127.0.0.1:1/0", source="env:REDIS_URL"))


def opened(settings, redis):
    return open_answers(settings, redis, clock=SYSTEM_CLOCK, chance=lambda: 0.0)


def test_without_redis_and_where_it_is_not_to_be_shared_the_process_keeps():
    assert isinstance(opened(CacheSettings(), None), MemoryAnswers)
    assert isinstance(opened(CacheSettings(shared=False), REDIS), MemoryAnswers)


def test_with_redis_answers_are_shared():
    assert isinstance(opened(CacheSettings(), REDIS), SharedAnswers)


class Told:
    """A store of which only figures are asked."""

    def __init__(self, held):
        self._held = held

    def held(self):
        return self._held


def lines(held):
    return [line for reading in readings(Told(held)) for line in reading.render()]


def test_metrics_say_what_is_held_and_what_was_let_go():
    assert lines(Held(entries=3, bytes=1200, let_go={"full": 7, "expired": 2})) == [
        "switchgear_cache_entries 3",
        "switchgear_cache_bytes 1200",
        'switchgear_cache_let_go_total{reason="full"} 7',
        'switchgear_cache_let_go_total{reason="expired"} 2',
    ]


def test_metrics_say_whether_redis_is_there():
    assert lines(Held(entries=0, bytes=0, away=True, losses=2))[2:] == [
        "switchgear_cache_redis_up 0",
        "switchgear_cache_redis_losses_total 2",
    ]
    assert lines(Held(entries=0, bytes=0, away=False, shared=9))[2:] == [
        "switchgear_cache_redis_up 1",
        "switchgear_cache_redis_losses_total 0",
        "switchgear_cache_shared_entries 9",
    ]
