"""Answers in Redis, where all replicas find them: what is asked and told of it, each within a deadline.

It says StoreUnavailable when Redis is away, slow, or answers nonsense; what to do then is `answers_shared`'s decision.

Under each key of an answer are a card and the text, with a time to live; under each id, the key; and for each tenant and model a
sorted set of keys by when the answers were made, so that a selection need not look at everything. What has gone from Redis by
itself is taken out of these sets when somebody comes across it, and by `tidy`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any, Final

import msgspec
from anyio import CancelScope, Event, create_task_group
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import NoScriptError, RedisError

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.stores.answers import Entry
from gateway.stores.answers_coding import (
    Card,
    Group,
    Removal,
    decode_card,
    decode_entry,
    decode_group,
    encode_entry,
    encode_group,
    encode_removal,
)
from gateway.stores.patience import Patience
from gateway.stores.redis_line import RedisLine, open_line
from gateway.stores.redis_pool import open_pool

FIND_SECONDS: Final = 0.05
"""The longest that a call waits for Redis, whatever the timeout is: it could have asked its target meanwhile."""

SLACK_SECONDS: Final = 0.05
TAG: Final = "{answers}"  # one hash slot: an entry and its places are written at once, or not at all
AT_ONCE: Final = 32
MOST_FLIGHTS: Final = 4
CHUNK: Final = 200
SLOW_SHARE: Final = 0.5
_FAULTS = (RedisError, OSError, TimeoutError, ValueError, IndexError, TypeError)

Argument = bytes | str | int | float

# An answer that is not listed could not be removed by a selection: it is listed first, and else not kept.
_KEEP: Final = """
local function keep(k, a)
  redis.call('sadd', KEYS[1], ARGV[a + 5])
  redis.call('zadd', KEYS[k + 3], ARGV[a + 4], ARGV[a + 3])
  redis.call('set', KEYS[k], ARGV[a], 'px', ARGV[a + 2])
  redis.call('set', KEYS[k + 1], ARGV[a + 1], 'px', ARGV[a + 2])
  redis.call('set', KEYS[k + 2], ARGV[a + 3], 'px', ARGV[a + 2])
end
local failed = {}
for n = 0, #ARGV / 6 - 1 do
  if not pcall(keep, 2 + 4 * n, 1 + 6 * n) then failed[#failed + 1] = n end
end
return failed
"""
_KEEP_NAME: Final = sha1(_KEEP.encode(), usedforsecurity=False).hexdigest()

# Between looking and removing somebody may have listed another.
_END_GROUP: Final = (
    "if redis.call('exists', KEYS[2]) == 0 then return redis.call('srem', KEYS[1], ARGV[1]) end return 0"
)


class Place(msgspec.Struct, frozen=True, gc=False):
    """A key in a list, and when its answer was made."""

    key: str
    made: float


class _Asked:
    """A question on its way: keys, and what was found once it has come. `over` wakes who waits for it."""

    __slots__ = ("found", "key", "over")

    def __init__(self, key: str) -> None:
        self.key = key
        self.found: tuple[Any, Any] | None = None
        self.over = Event()


class RedisAnswers:
    """What can be asked of Redis. `timeout` (seconds) bounds every exchange, waiting for a connection included, `find_timeout` a call's."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        timeout: float = 0.25,
        find_timeout: float = FIND_SECONDS,
        connections: int = 16,
        name: str = "switchgear",
    ) -> None:
        pool = open_pool(url, max(connections, MOST_FLIGHTS + 4))
        self._redis = Redis(connection_pool=pool)
        self._pool = pool
        self._wall = clock.wall
        self._timeout = timeout + SLACK_SECONDS
        self._find_timeout = min(timeout, find_timeout)
        self._prefix = f"{name}:{TAG}:"
        self._groups = self._key("groups", "")
        self._channel = self._key("removed", "")
        self._asking: deque[_Asked] = deque()
        self._idle: list[Event] = []
        self._carrying = False
        self.slow_in_a_row = 0

    async def find(self, key: str) -> Entry | None:
        """Give the entry of a key. Raises StoreUnavailable, at once where `run` is not running.

        Those that ask at the same time travel together, so that a thousand calls at once need a few exchanges, not a thousand.
        """
        if not self._carrying:
            raise _unavailable(ConnectionError())
        asked = _Asked(key)
        self._asking.append(asked)
        if self._idle:
            self._idle.pop().set()
        try:
            await asked.over.wait()
        finally:
            # Whoever leaves earlier is not taken along any more.
            asked.over.set()
        if asked.found is None:
            raise _unavailable(ConnectionError())
        entry = self._kept(decode_entry(*asked.found))
        return entry if entry is not None and entry.key == key else None

    async def run(self) -> None:
        """Carry questions, until cancelled. A caller that is cancelled so cancels nobody's exchange but its own."""
        self._carrying = True
        try:
            async with create_task_group() as tasks:
                for _ in range(MOST_FLIGHTS):
                    tasks.start_soon(self._carry)
        finally:
            self._carrying = False
            self._release(())

    async def _carry(self) -> None:
        line: RedisLine | None = None
        try:
            while True:
                if not self._asking:
                    idle = Event()
                    self._idle.append(idle)
                    await idle.wait()
                else:
                    line = await self._fly(line)
        finally:
            if line is not None:
                line.close()

    async def _fly(self, line: RedisLine | None) -> RedisLine | None:
        """Take along those who have waited longest. When that fails, those who still wait need not try."""
        party: list[_Asked] = []
        while self._asking and len(party) < AT_ONCE:
            asked = self._asking.popleft()
            if not asked.over.is_set():
                party.append(asked)
        if not party:
            return line
        keys = [key for asked in party for key in self._both(asked.key)]
        try:
            with Patience(self._find_timeout) as patience:
                if line is None or line.closed:
                    line = await open_line(self._pool)
                found = await line.mget(keys)
            for asked, card, text in zip(party, found[::2], found[1::2], strict=True):
                asked.found = (card, text)
        except _FAULTS:
            self._release(party)
            if line is not None:
                line.close()
        else:
            slow = patience.waited > self._find_timeout * SLOW_SHARE
            self.slow_in_a_row = self.slow_in_a_row + 1 if slow else 0
        finally:
            for asked in party:
                asked.over.set()
        return line

    def _release(self, party: Iterable[_Asked]) -> None:
        for asked in (*party, *self._asking):
            asked.over.set()
        self._asking.clear()

    async def entries(self, ids: Sequence[str]) -> list[Entry]:
        """Give those of these entries that are there. Raises StoreUnavailable."""
        if not ids:
            return []
        keys = await self._keys_of(ids)
        found = (
            await self._ask(self._redis.mget([name for key in keys.values() for name in self._both(key)]))
            if keys
            else []
        )
        read = map(decode_entry, found[::2], found[1::2])
        wanted = set(ids)
        return [entry for entry in map(self._kept, read) if entry is not None and entry.id in wanted]

    async def _keys_of(self, ids: Sequence[str]) -> dict[str, str]:
        written = await self._ask(self._redis.mget([self._key("i", identifier) for identifier in ids]))
        return {one: key.decode("ascii", "replace") for one, key in zip(ids, written, strict=True) if key is not None}

    async def write(self, entries: Sequence[Entry]) -> int:
        """Keep entries; how many were not kept, for Redis has no room for them, or other things in their place. Raises StoreUnavailable."""
        now = self._wall()
        keys, args = [self._groups], list[Argument]()
        for entry in entries:
            card, text = encode_entry(entry)
            group = encode_group(entry.tenant, entry.model)
            left = max(1, math.ceil((entry.kept_until - now) * 1000))
            keys += [*self._both(entry.key), self._key("i", entry.id), self._list(group)]
            args += [card, text, left, entry.key, entry.made, group]
        return len(await self._ask(self._keep(keys, args)))

    async def _keep(self, keys: list[bytes], args: list[Argument]) -> list[Any]:
        for _ in range(2):
            with suppress(NoScriptError):
                failed: list[Any] = await self._redis.evalsha(_KEEP_NAME, len(keys), *keys, *args)
                return failed
            await self._redis.script_load(_KEEP)
        raise ConnectionError("Redis does not keep its scripts")

    async def groups(self) -> list[tuple[bytes, Group]]:
        """Give the groups that entries are listed under. Raises StoreUnavailable."""
        members = await self._ask(self._redis.smembers(self._groups))
        read = [(member, decode_group(member)) for member in members]
        return [(member, group) for member, group in read if group is not None]

    async def places(self, group: bytes, since: float, skip: int) -> list[Place]:
        """Give what is listed, the newest first: of what was made at `since` or before, without the first `skip`. Raises StoreUnavailable."""
        asking = self._redis.zrevrangebyscore(
            self._list(group), since, "-inf", start=max(skip, 0), num=CHUNK, withscores=True
        )
        return [Place(member.decode("ascii", "replace"), float(score)) for member, score in await self._ask(asking)]

    async def cards(self, keys: Sequence[str]) -> list[Card | None]:
        """Give the cards of these keys, where they are there. Raises StoreUnavailable."""
        written = await self._ask(self._redis.mget([self._key("c", key) for key in keys]))
        now = self._wall()
        read = map(decode_card, written)
        return [card if card is not None and card.kept_until > now else None for card in read]

    async def card_of(self, identifier: str) -> Card | None:
        """Give the card of an entry. Raises StoreUnavailable."""
        key = (await self._keys_of([identifier])).get(identifier)
        if key is None:
            return None
        (card,) = await self.cards([key])
        return card if card is not None and card.id == identifier else None

    async def remove(self, group: bytes, keys_and_ids: Sequence[tuple[str, str]]) -> None:
        """Remove entries of one group, and tell the other replicas. Raises StoreUnavailable."""
        keys, ids = [key for key, _ in keys_and_ids], [identifier for _, identifier in keys_and_ids]
        await self.unlist(group, keys)
        await self._unlink(keys_and_ids)
        await self.publish(Removal(keys=tuple(keys), ids=tuple(ids)))

    async def _unlink(self, keys_and_ids: Sequence[tuple[str, str]]) -> None:
        names = [name for key, _ in keys_and_ids for name in self._both(key)]
        names += [self._key("i", identifier) for _, identifier in keys_and_ids]
        await self._ask(self._redis.unlink(*names))

    async def unlist(self, group: bytes, keys: Sequence[str]) -> None:
        """Take keys out of a list: nothing is kept under them any more. Raises StoreUnavailable."""
        if keys:
            await self._ask(self._redis.zrem(self._list(group), *keys))

    async def missing(self, keys: Sequence[str]) -> list[str]:
        """Give those of these keys under which nothing is kept. Raises StoreUnavailable."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.exists(self._key("c", key))
            answers = await self._ask(pipe.execute())
        return [key for key, there in zip(keys, answers, strict=True) if not there]

    async def count(self, groups: Sequence[bytes]) -> int:
        """Give how many entries are listed under these groups; a group of none is no longer one. Raises StoreUnavailable."""
        total = 0
        for group in groups:
            count = await self._ask(self._redis.zcard(self._list(group)))
            total += count
            if not count:
                await self._ask(self._redis.eval(_END_GROUP, 2, self._groups, self._list(group), group))
        return total

    async def first(self, name: str, seconds: float) -> bool:
        """Whether nobody has said `name` in the last so many seconds. Raises StoreUnavailable."""
        saying = self._redis.set(self._key("first", name), b"1", nx=True, px=math.ceil(seconds * 1000))
        return bool(await self._ask(saying))

    async def publish(self, removal: Removal) -> None:
        """Tell all replicas. Raises StoreUnavailable."""
        await self._ask(self._redis.publish(self._channel, encode_removal(removal)))

    async def subscribe(self) -> PubSub:
        """Begin to hear what replicas tell. Raises StoreUnavailable."""
        pubsub = self._redis.pubsub(ignore_subscribe_messages=False)

        async def subscribed() -> None:
            await pubsub.subscribe(self._channel)
            # Only once Redis has said so is nothing missed from now on.
            await pubsub.get_message(timeout=None)

        try:
            await self._ask(subscribed())
        except BaseException:
            await self.leave(pubsub)
            raise
        return pubsub

    async def hear(self, pubsub: PubSub, seconds: float) -> object:
        """Give the next message within so many seconds, None when there is none. Raises StoreUnavailable."""
        try:
            message = await pubsub.get_message(timeout=seconds)
        except _FAULTS as error:
            raise _unavailable(error) from error
        return None if message is None else message.get("data")

    async def leave(self, pubsub: PubSub) -> None:
        """Hear no more."""
        with CancelScope(shield=True), suppress(StoreUnavailable):
            await self._ask(pubsub.aclose())  # type: ignore[no-untyped-call] # the driver's

    async def ping(self) -> None:
        """See whether it is there. Raises StoreUnavailable."""
        await self._ask(self._redis.ping())

    async def policy(self) -> str:
        """Give what Redis does when its memory is full; nothing where it does not say. Raises StoreUnavailable."""
        try:
            return str(
                (await self._ask(self._redis.config_get("maxmemory-policy"), passing=RedisError)).get(
                    "maxmemory-policy", ""
                )
            )
        except RedisError:
            return ""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._pool.disconnect()

    def _kept(self, entry: Entry | None) -> Entry | None:
        return entry if entry is not None and entry.kept_until > self._wall() else None

    def _both(self, key: str) -> tuple[bytes, bytes]:
        return self._key("c", key), self._key("t", key)

    def _list(self, group: bytes) -> bytes:
        return self._key("x", "") + group

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self._prefix}{kind}:{name}".encode("utf-8", "surrogatepass")

    async def _ask(self, asking: Awaitable[Any], *, passing: type[Exception] | tuple[()] = ()) -> Any:
        """Wait for the answer of one exchange."""
        try:
            with Patience(self._timeout):
                return await asking
        except passing:
            raise
        except _FAULTS as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    """A server that speaks but answers nonsense is as good as none."""
    return StoreUnavailable(f"Redis cannot be asked ({type(error).__name__}).", retry_after=1.0)
