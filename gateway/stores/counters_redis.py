"""Counters in Redis, for replicas that share their limits: one script, one round trip, and Redis's own clock for every window.

It says StoreUnavailable when Redis is away, slow, or answers nonsense; what to do then is `counters_shared`'s decision.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from hashlib import sha1
from itertools import accumulate, takewhile
from typing import Any, TypeVar

import msgspec
import structlog
from anyio import Event, create_task_group
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.stores import counters_scripts as scripts
from gateway.stores.counter_windows import SLOTS, Calendar, Rolling, Window, span_at
from gateway.stores.counters import LEASE_SECONDS, Bucket, Observe, Outcome
from gateway.stores.patience import Patience
from gateway.stores.redis_pool import open_pool

log = structlog.get_logger()

_T = TypeVar("_T")
Argument = str | int | float
KEEP_MS = 3_600_000  # of a reservation that nobody settles
TAG = "{limits}"  # one hash slot for all counters: scripts take from several at once, in a cluster too
CALLED_OFF = -1
AT_ONCE = 100
MOST_FLIGHTS = 4
SLACK_SECONDS = 0.05
SLOW_SHARE = 0.2
COMMAND_SECONDS = 0.002


class Settlement(msgspec.Struct, frozen=True):
    """What is to be told to Redis of a reservation that is over. An amount of -1 keeps what was taken."""

    reservation: str
    buckets: tuple[Bucket, ...]
    actual: tuple[int, ...]


class Charge(msgspec.Struct, frozen=True):
    """What one slot of a counter has held elsewhere; `ends` is when nobody asks for it any more, in seconds since 1970."""

    key: str
    slot: int
    amount: int
    ends: float


class Batch(msgspec.Struct, frozen=True):
    """Charges under one name: they may be told twice, and count once."""

    name: str
    charges: tuple[Charge, ...]


_FAULTS = (RedisError, OSError, TimeoutError, ValueError, IndexError, TypeError)
_Command = tuple[list[bytes], list[Argument]]


class _Asked:
    """A reservation on its way: its command, and the answer once it has come. `over` wakes who waits for it."""

    __slots__ = ("answer", "command", "over")

    def __init__(self, command: _Command) -> None:
        self.command = command
        self.answer: list[Any] | None = None
        self.over = Event()


class RedisCounters:
    """The scripts, called. `timeout` (seconds) bounds every exchange, waiting for a connection included."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        timeout: float = 0.25,
        connections: int = 50,
        observe: Observe | None = None,
        name: str = "switchgear",
        lease: float = LEASE_SECONDS,
    ) -> None:
        pool = open_pool(url, connections)
        self._redis = Redis(connection_pool=pool)
        self._pool = pool
        self._clock = clock
        self._timeout = timeout + SLACK_SECONDS
        self._observe = observe
        self._prefix = f"{name}:{TAG}:"
        self._lease = lease
        self._offset = 0.0
        self._edges: dict[Calendar, tuple[int, int, str]] = {}
        self._asking: deque[_Asked] = deque()
        self._idle: list[Event] = []
        self._carrying = False
        self.slow_in_a_row = 0

    @property
    def now(self) -> float:
        """Redis's clock, in seconds since 1970, as far as it is known."""
        return self._clock.wall() + self._offset

    async def reserve(self, reservation: str, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Outcome:
        """Take every amount, or none. Raises StoreUnavailable.

        Those that ask at the same time travel together, so that a thousand calls at once need a few exchanges, not a thousand.
        `run` must be running.
        """
        keys = [self._key("r", reservation), *(self._key("c", bucket.key) for bucket in buckets)]
        asked = _Asked((keys, [reservation, self._argument(buckets, amounts)]))
        try:
            return self._outcome(await self._answered(asked))
        except _FAULTS as error:
            raise _unavailable(error) from error

    async def _answered(self, asked: _Asked) -> list[Any]:
        """Wait until somebody has taken it along."""
        self._asking.append(asked)
        if self._idle:
            self._idle.pop().set()
        try:
            if self._carrying:
                await asked.over.wait()
            else:
                # Nobody carries yet, or any more: a call may come a moment before `run` does.
                with Patience(self._timeout):
                    await asked.over.wait()
        finally:
            # Whoever leaves earlier is not taken along any more.
            asked.over.set()
        if asked.answer is None:
            raise ConnectionError("the exchange that it travelled with, or one before, failed")
        return asked.answer

    async def run(self) -> None:
        """Carry reservations, until cancelled. A caller that is cancelled so cancels nobody's exchange but its own."""
        self._carrying = True
        try:
            async with create_task_group() as tasks:
                for _ in range(MOST_FLIGHTS):
                    tasks.start_soon(self._carry)
        finally:
            self._carrying = False
            for asked in self._asking:
                asked.over.set()
            self._asking.clear()
            self._idle.clear()

    async def _carry(self) -> None:
        while True:
            if not self._asking:
                idle = Event()
                self._idle.append(idle)
                await idle.wait()
            else:
                await self._fly()

    async def _fly(self) -> None:
        """Take along those who have waited longest. When that fails, those who still wait need not try."""
        party: list[_Asked] = []
        while self._asking and len(party) < AT_ONCE:
            asked = self._asking.popleft()
            if not asked.over.is_set():
                party.append(asked)
        if not party:
            return
        try:
            with Patience(self._timeout) as patience:
                answers = await self._run(scripts.RESERVE, [asked.command for asked in party])
        except (RedisError, OSError, TimeoutError):
            party += self._asking
            self._asking.clear()
        else:
            self._judge(patience.waited, len(party))
            for asked, answer in zip(party, answers, strict=True):
                asked.answer = answer
        finally:
            for asked in party:
                asked.over.set()

    def _judge(self, seconds: float, commands: int) -> None:
        slow = seconds > self._timeout * SLOW_SHARE + commands * COMMAND_SECONDS
        self.slow_in_a_row = self.slow_in_a_row + 1 if slow else 0

    async def _run(self, script: str, commands: Sequence[_Command]) -> list[Any]:
        """Run a script for each command, in one exchange. A server that does not have the script is given it."""
        sha = _name_of(script)
        for _ in range(2):
            async with self._redis.pipeline(transaction=False) as pipe:
                for keys, args in commands:
                    pipe.evalsha(sha, len(keys), *keys, *args)
                answers: list[Any] = await pipe.execute(raise_on_error=False)
            if not any(isinstance(answer, NoScriptError) for answer in answers):
                return answers
            # What did run is not run again: every script knows what it has done by its reservation or batch.
            await self._redis.script_load(script)
        raise ConnectionError("Redis does not keep its scripts")

    def _outcome(self, answer: object) -> Outcome:
        now, refused, wait, *held = _numbers(answer)
        self._hear(now)
        if refused == CALLED_OFF:
            raise StoreUnavailable("The reservation was called off before Redis heard of it.", retry_after=1.0)
        return Outcome(tuple(held), refused - 1 if refused else None, wait / 1000)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Settle in one exchange; those that are not known, or were settled, change nothing. Raises StoreUnavailable."""
        answers = await self._ask(self._run(scripts.SETTLE, [self._settling(one) for one in settlements]), _settled)
        if self._observe is None:
            return
        for settlement, (_, *pairs) in zip(settlements, answers, strict=True):
            for index, bucket in enumerate(settlement.buckets[: len(pairs) // 2]):
                if bucket.watched:
                    self._observe(bucket, pairs[2 * index], pairs[2 * index + 1])

    def _settling(self, one: Settlement) -> _Command:
        keys = [self._key("r", one.reservation), *(self._key("c", bucket.key) for bucket in one.buckets)]
        return keys, [one.reservation, self._argument(one.buckets, one.actual)]

    async def used(self, buckets: Sequence[Bucket]) -> tuple[int, ...]:
        """Give what each bucket holds now. Raises StoreUnavailable."""
        keys = [self._key("c", bucket.key) for bucket in buckets]
        args: list[Argument] = ["", self._argument(buckets, [0] * len(buckets))]
        ((_, *used),) = await self._ask(self._run(scripts.USED, [(keys, args)]), _figures)
        return tuple(used)

    async def charge(self, batches: Sequence[Batch], *, least: bool = False) -> None:
        """Add what was counted elsewhere, once for each name of a batch; `least`: see to it that so much is there.

        Raises StoreUnavailable.
        """
        commands: list[_Command] = []
        for batch in batches:
            for start in range(0, len(batch.charges), AT_ONCE):
                part = batch.charges[start : start + AT_ONCE]
                keys = [self._key("b", f"{batch.name}:{start}"), *(self._key("c", charge.key) for charge in part)]
                values = [value for charge in part for value in (charge.slot, charge.amount, charge.ends)]
                commands.append((keys, ["least" if least else "add", *values]))
        while commands:
            together = takewhile(lambda keys: keys <= AT_ONCE, accumulate(len(keys) - 1 for keys, _ in commands))
            count = max(1, sum(1 for _ in together))
            await self._ask(self._run(scripts.CHARGE, commands[:count]), _figures_of_one)
            del commands[:count]

    async def renew(self, held: Sequence[tuple[Bucket, str]]) -> None:
        """Give a sign of life for (bucket, reservation) pairs that hold a place. Raises StoreUnavailable."""
        for start in range(0, len(held), AT_ONCE):
            part = held[start : start + AT_ONCE]
            keys = [self._key("c", bucket.key) for bucket, _ in part]
            args: list[Argument] = [self._lease, *(reservation for _, reservation in part)]
            await self._ask(self._run(scripts.RENEW, [(keys, args)]), _figures_of_one)

    async def first(self, name: str, seconds: float) -> bool:
        """Whether nobody has said `name` in the last so many seconds. Raises StoreUnavailable."""
        saying = self._redis.set(self._key("f", name), b"1", nx=True, px=max(1, math.ceil(seconds * 1000)))
        return await self._ask(saying, bool)

    async def identify(self, epoch: str) -> tuple[bool, str]:
        """Give (whether it knew nothing, who it is); afterwards it knows `epoch`. Raises StoreUnavailable.

        Who it is changes when Redis is emptied, restarted, or replaced by another.
        """
        return await self._ask(self._identify(epoch), _identity)

    async def _identify(self, epoch: str) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            key = self._key("e", "epoch")
            pipe.set(key, epoch, nx=True)
            pipe.get(key)
            pipe.info("server")
            pipe.time()
            answers: list[Any] = await pipe.execute()
        seconds, micro = answers[3]
        self._offset = seconds + micro / 1e6 - self._clock.wall()
        return answers

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._pool.disconnect()

    def _hear(self, now_ms: int) -> None:
        self._offset = now_ms / 1000 - self._clock.wall()

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self._prefix}{kind}:{name}".encode("utf-8", "surrogatepass")

    def _argument(self, buckets: Sequence[Bucket], amounts: Sequence[int]) -> str:
        """Say in one text how long things are kept, and all that the scripts need to know of the counters."""
        said = [f"{KEEP_MS} {self._lease};"]
        for bucket, amount in zip(buckets, amounts, strict=True):
            kind, edges = self._place(bucket.window)
            said.append(f"{kind} {bucket.limit if bucket.hard else -1} {amount} {edges};")
        return "".join(said)

    def _place(self, window: Window | None) -> tuple[str, str]:
        if window is None:
            return "z", "0 0 0 0"
        if isinstance(window, Rolling):
            return "r", f"{window.width!r} {SLOTS} 0 0"
        now = self.now
        since, until, edges = self._edges.get(window, (0, 0, ""))
        if not since <= now < until:
            span = span_at(window, now)
            before, after = span_at(window, span.start - 1), span_at(window, span.end)
            edges = f"{before.start} {span.start} {span.end} {after.end}"
            self._edges[window] = (span.start, span.end, edges)
        return "c", edges

    async def _ask(self, asking: Awaitable[Any], read: Callable[[Any], _T]) -> _T:
        """Wait for the answer of one exchange, and read it."""
        try:
            with Patience(self._timeout):
                return read(await asking)
        except _FAULTS as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    """A server that speaks but answers nonsense is as good as none."""
    return StoreUnavailable(f"Redis cannot be asked ({type(error).__name__}).", retry_after=1.0)


@cache
def _name_of(script: str) -> str:
    """Give what Redis calls a script that it was given."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def _numbers(answer: object) -> list[int]:
    """Read what a script said. Raises TypeError for what is no text: an error that the server sent in its place."""
    if not isinstance(answer, bytes):
        raise TypeError(f"a script said {type(answer).__name__}")
    return [int(number) for number in answer.split()]


def _figures(answers: Iterable[object]) -> list[list[int]]:
    return [_numbers(answer) for answer in answers]


def _settled(answers: Iterable[Any]) -> list[list[int]]:
    """Read what settlements gave. One that Redis will never take is let go: those behind it would wait for it for good."""
    refused = [answer for answer in answers if type(answer) is ResponseError]
    if refused:
        log.error("limits.redis.settlement_refused", settlements=len(refused), reason=str(refused[0]))
    return _figures(b"0" if type(answer) is ResponseError else answer for answer in answers)


def _figures_of_one(answers: Iterable[Any]) -> list[int]:
    return [int(answer) for answer in answers]


def _identity(answers: list[Any]) -> tuple[bool, str]:
    made, epoch, server, _ = answers
    return bool(made), f"{epoch.decode()} {server['run_id']}"
