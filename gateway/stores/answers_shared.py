"""Answers that replicas share in Redis, with this process in front of it, and in its place while it is lost.

A breaker: while Redis is lost no call asks it, so nothing waits for a server that is stopped or slow, and what this process has kept
or read itself is served. When Redis is back, what it kept alone is forgotten: others may have removed it meanwhile, and it did not hear.

An answer that was read a moment ago is served without asking again. Whoever removes one tells all, so that moment is the longest
that a removed answer can outlive its removal where the message is lost.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import structlog
from anyio import CancelScope, Event, create_task_group, sleep
from redis.asyncio.client import PubSub

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.stores.answers import Entry, Held, Page, Selection, Told
from gateway.stores.answers_coding import decode_removal, encode_group
from gateway.stores.answers_listing import page_of, remove_from, tidy
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.answers_redis import RedisAnswers
from gateway.stores.answers_selecting import matches, size_of

log = structlog.get_logger()

FRONT_SECONDS: Final = 2.0
MOST_FRESH: Final = 65_536
PROBE_SECONDS: Final = 0.5
TIDY_SECONDS: Final = 60.0
TIDY_PAUSE: Final = 0.05
MOST_SLOW: Final = 10
MOST_WAITING: Final = 4096
MOST_WAITING_BYTES: Final = 32 * 1024**2
AT_ONCE: Final = 32
AT_ONCE_BYTES: Final = 1024**2
GATHER_SECONDS: Final = 0.01
"""For what is kept at nearly the same time to be written together."""


class SharedAnswers:
    """An `AnswerStore` over Redis. `run` must be running: before it, and while Redis is lost, this process keeps and finds alone."""

    def __init__(self, redis: RedisAnswers, local: MemoryAnswers, *, clock: Clock, chance: Callable[[], float]) -> None:
        self._redis = redis
        self._local = local
        self._clock = clock
        self._chance = chance
        self._fresh: OrderedDict[str, float] = OrderedDict()
        self._waiting: OrderedDict[str, Entry] = OrderedDict()
        self._waiting_bytes = 0
        self._writing: dict[str, Entry] = {}
        self._removed_meanwhile: list[Selection] = []
        self._wake = Event()
        self._let_go: Counter[str] = Counter()
        self._watching: list[Told] = []
        self._removals = 0
        self._shared: int | None = None
        self._looked = False
        self.up = False
        self.losses = 0

    async def find(self, key: str) -> Entry | None:
        """Give the entry of this key: what this process knows to be there, else what Redis says, or while it is lost what is here."""
        if not self.up:
            return self._local.peek(key)
        if self._knows(key) and (entry := self._local.peek(key)) is not None:
            return entry
        removals = self._removals
        try:
            entry = await self._redis.find(key)
        except StoreUnavailable as error:
            self._lose(error)
            return self._local.peek(key)
        if self._redis.slow_in_a_row >= MOST_SLOW:
            # Many slow answers in a row are as bad as none. This one has come.
            self._lose(StoreUnavailable("Redis answers too slowly."))
        elif removals == self._removals:
            return self._note(key, entry)
        return entry

    async def entries(self, ids: Sequence[str]) -> tuple[Entry, ...]:
        """Give those of these entries that are still kept."""
        here = {entry.id: entry for entry in await self._local.entries(ids)}
        if not self.up:
            return tuple(here.values())
        here = {name: entry for name, entry in here.items() if self._knows(entry.key)}
        removals = self._removals
        try:
            there = await self._redis.entries([identifier for identifier in ids if identifier not in here])
        except StoreUnavailable as error:
            self._lose(error)
            return await self._local.entries(ids)
        if removals == self._removals:
            for entry in there:
                self._note(entry.key, entry)
        here |= {entry.id: entry for entry in there}
        return tuple(here[identifier] for identifier in dict.fromkeys(ids) if identifier in here)

    def keep(self, entry: Entry) -> None:
        """Keep an entry here at once, and in Redis a moment later."""
        if not self._local.take(entry):
            return
        size = size_of(entry)
        if not self.up or len(self._waiting) >= MOST_WAITING or self._waiting_bytes + size > MOST_WAITING_BYTES:
            self._let_go["dropped"] += 1
            return
        before = self._waiting.pop(entry.key, None)
        self._waiting[entry.key] = entry
        self._waiting_bytes += size - (0 if before is None else size_of(before))
        self._wake.set()

    async def select(self, selection: Selection, *, limit: int, after: str = "") -> Page:
        """Give a page of what Redis has. Raises StoreUnavailable, and InvalidRequest for an `after` that no page gave."""
        self._require()
        return await page_of(self._redis, selection, limit, after)

    async def remove(self, selection: Selection, *, dry_run: bool = False) -> tuple[str, ...]:
        """Remove entries here and everywhere. Raises StoreUnavailable, where it did so only here."""
        here = await self._remove_here(selection, dry_run=dry_run)
        self._require()
        there = await remove_from(self._redis, selection, dry_run=dry_run)
        elsewhere = list(set(there).difference(here))
        if elsewhere and not dry_run:
            self._let_go["removed"] += len(elsewhere)
            self._tell(elsewhere)
        return tuple(dict.fromkeys((*here, *there)))

    async def _remove_here(self, selection: Selection, *, dry_run: bool) -> tuple[str, ...]:
        if not dry_run:
            self._removals += 1
            if self._writing:
                self._removed_meanwhile.append(selection)
            for key in [key for key, entry in self._waiting.items() if matches(entry, selection)]:
                self._waiting_bytes -= size_of(self._waiting.pop(key))
        return await self._local.remove(selection, dry_run=dry_run)

    def watch(self, told: Told) -> None:
        """Have `told` hear of entries that are let go."""
        self._watching.append(told)
        # What has no room here is still in Redis.
        self._local.watch(told, but=("full",))

    def held(self) -> Held:
        """Give what is held here, how many Redis has, and whether it is lost."""
        held = self._local.held()
        return msgspec.structs.replace(
            held,
            let_go=dict(Counter(held.let_go) + self._let_go),
            shared=self._shared,
            away=not self.up,
            losses=self.losses,
        )

    async def run(self) -> None:
        """Write what is kept, hear what others remove, look for a Redis that is lost; until cancelled."""
        try:
            async with create_task_group() as tasks:
                for task in (self._redis.run, self._local.run, self._write, self._tidy, self._attend):
                    tasks.start_soon(task)
        finally:
            self.up = False
            with CancelScope(shield=True):
                await self._redis.aclose()

    async def _attend(self) -> None:
        """Be where messages come, and know whether Redis is there."""
        while True:
            try:
                pubsub = await self._redis.subscribe()
            except StoreUnavailable as error:
                self._lose(error)
            else:
                try:
                    await self._look_at_policy()
                    self._return()
                    await self._hear(pubsub)
                except StoreUnavailable as error:
                    self._lose(error)
                finally:
                    await self._redis.leave(pubsub)
            await sleep(PROBE_SECONDS * (1 + self._chance() / 4))

    async def _look_at_policy(self) -> None:
        policy = await self._redis.policy()
        if policy.startswith("allkeys"):
            log.warning("cache.redis.may_lose_lists", policy=policy, advice="maxmemory-policy volatile-lru")

    async def _hear(self, pubsub: PubSub) -> None:
        probed = self._clock.monotonic()
        while self.up:
            message = await self._redis.hear(pubsub, PROBE_SECONDS)
            if message is not None:
                await self._apply(message)
            if self._clock.monotonic() - probed >= PROBE_SECONDS or message is None:
                await self._redis.ping()
                probed = self._clock.monotonic()

    async def _apply(self, message: object) -> None:
        removal = decode_removal(message)
        if removal is None:
            return
        self._removals += 1
        if removal.selection is not None:
            await self._remove_here(removal.selection, dry_run=False)
        self._local.drop_keys(removal.keys)
        if removal.ids:
            self._tell(removal.ids)

    async def _write(self) -> None:
        while True:
            if not self._waiting:
                self._wake = Event()
                await self._wake.wait()
                await sleep(GATHER_SECONDS)
            if not self._waiting:
                continue  # they were removed meanwhile, or Redis was lost
            entries = self._writing = self._take_some()
            try:
                self._let_go["dropped"] += await self._redis.write(list(entries.values()))
                await self._take_back(entries.values())
            except StoreUnavailable as error:
                self._let_go["dropped"] += len(entries)
                self._lose(error)
            else:
                for key in entries:
                    self._mark(key)
            finally:
                self._writing = {}
                self._removed_meanwhile = []

    async def _take_back(self, entries: Iterable[Entry]) -> None:
        """Remove what was on its way when somebody removed it: who did may have looked before it came."""
        for selection in self._removed_meanwhile:
            for entry in entries:
                if matches(entry, selection):
                    await self._redis.remove(encode_group(entry.tenant, entry.model), [(entry.key, entry.id)])

    def _take_some(self) -> dict[str, Entry]:
        taken: dict[str, Entry] = {}
        size = 0
        while self._waiting and len(taken) < AT_ONCE and size < AT_ONCE_BYTES:
            key, entry = self._waiting.popitem(last=False)
            taken[key] = entry
            size += size_of(entry)
        self._waiting_bytes -= size
        return taken

    async def _tidy(self) -> None:
        """Take out of Redis's lists what has gone from it, one replica at a time, and count what is there."""
        while True:
            try:
                if self.up:
                    groups = [member for member, _ in await self._redis.groups()]
                    self._shared = await self._redis.count(groups)
                    if await self._redis.first("tidy", TIDY_SECONDS):
                        async for _ in tidy(self._redis):
                            await sleep(TIDY_PAUSE)
            except StoreUnavailable as error:
                log.info("cache.redis.untidy", reason=error.message)
            await sleep(TIDY_SECONDS / 2 * (1 + self._chance() / 4) if self.up else PROBE_SECONDS)

    def _return(self) -> None:
        self._local.clear()
        self._fresh.clear()
        self._redis.slow_in_a_row = 0
        self.up = self._looked = True
        if self.losses:
            log.info("cache.redis.returned")

    def _lose(self, error: StoreUnavailable) -> None:
        if not self.up:
            if not self._looked:
                log.warning("cache.redis.not_found", reason=error.message)
            self._looked = True
            return
        self.up = False
        self.losses += 1
        self._shared = None
        self._let_go["dropped"] += len(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        log.warning("cache.redis.lost", reason=error.message)

    def _require(self) -> None:
        if not self.up:
            msg = "Redis, which has the cached answers of all replicas, is away: only this one's could be reached."
            raise StoreUnavailable(msg, retry_after=1.0)

    def _note(self, key: str, entry: Entry | None) -> Entry | None:
        """Remember what Redis said, unless something newer was kept while it said so; give what holds."""
        here = self._local.peek(key)
        if here is not None and self._knows(key) and (entry is None or here.made >= entry.made):
            return here
        if entry is None:
            self._local.forget(key)
        elif (here is not None and here.id == entry.id) or self._local.take(entry):
            self._mark(key)
        return entry

    def _mark(self, key: str) -> None:
        """What is here under this key is there as well."""
        now = self._clock.monotonic()
        self._fresh.pop(key, None)
        self._fresh[key] = now
        while self._fresh and (len(self._fresh) > MOST_FRESH or now - next(iter(self._fresh.values())) > FRONT_SECONDS):
            self._fresh.popitem(last=False)

    def _is_fresh(self, key: str) -> bool:
        since = self._fresh.get(key)
        return since is not None and self._clock.monotonic() - since <= FRONT_SECONDS

    def _knows(self, key: str) -> bool:
        return key in self._waiting or key in self._writing or self._is_fresh(key)

    def _tell(self, ids: Sequence[str]) -> None:
        for told in self._watching:
            told(ids)
