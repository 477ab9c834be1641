"""Opens the store of cached answers that the settings ask for. What is kept is not its business."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config.cache_settings import CacheSettings
from gateway.config.database_settings import RedisSettings
from gateway.core.clock import Clock
from gateway.stores.answers import AnswerStore
from gateway.stores.answers_memory import MemoryAnswers


def open_answers(
    settings: CacheSettings, redis: RedisSettings | None, *, clock: Clock, chance: Callable[[], float]
) -> AnswerStore:
    """Give the store: Redis where it is configured and `shared` does not say otherwise, else this process. Its `run` is the caller's to start."""
    local = MemoryAnswers(most_bytes=settings.bytes, entry_bytes=settings.entry_bytes, clock=clock, chance=chance)
    if redis is None or not settings.shared:
        return local
    # Heavy, and an optional extra: imported where Redis is configured.
    from gateway.stores.answers_redis import RedisAnswers  # noqa: PLC0415
    from gateway.stores.answers_shared import SharedAnswers  # noqa: PLC0415

    there = RedisAnswers(redis.url.reveal(), clock=clock, timeout=redis.timeout, connections=redis.connections)
    return SharedAnswers(there, local, clock=clock, chance=chance)
