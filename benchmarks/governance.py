"""Measures what governance adds to a call: CPU time of this process, stage by stage. `python benchmarks/governance.py`.

The minimum over many short repetitions, so that a busy machine does not matter. The parts are those of a server: a virtual
key on the ring, Cedar policies, two rate limits and a budget, a ledger on SQLite; Redis as well where redis-server is there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog
from governed import TARGETS, Governed, answer, governed, redis_server

from gateway.accounting.recorder import Recorder
from gateway.cli.serve import GARBAGE_THRESHOLD
from gateway.core.call import Call
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.events import Event, Started
from gateway.core.record import Record
from gateway.core.responder import Responder, Send
from gateway.pipeline.authorized import Authorized
from gateway.pipeline.limited import Limited
from gateway.pipeline.recorded import Recorded

CALLS = 500
REPEATS = 40
BATCH = 50
NEEDED_US = 20.0

Stage = Callable[[Sequence[Call]], None]


class Sink:
    """The end of a pipeline: a Send that keeps nothing."""

    async def __call__(self, event: Event) -> None:
        """Take an event."""


def drive(coroutine: Coroutine[Any, Any, object] | Awaitable[object]) -> None:
    """Run what never waits."""
    try:
        coroutine.send(None)  # type: ignore[union-attr]  # every stage is a coroutine at its end
    except StopIteration:
        return
    raise RuntimeError("this was not to wait")


class Measured:
    """The stages of one governed call, each to be run for many calls, and all of them in a row."""

    def __init__(self, parts: Governed) -> None:
        self.parts = parts
        self.records: list[Record] = []
        generation, self.limiter = parts.generation, parts.governance.limits.limiter
        kept = parts.governance.kept
        assert kept is not None
        self.ledger = kept.ledger
        self._plain: Send = Sink()
        authorizer, subject = generation.authorizer, generation.routes["gpt"].subject
        self.authorized = Authorized(self._return, authorizer=authorizer, subject=subject)
        self.limited = Limited(self._start, self.limiter)
        self.bare = self._recorded(answer, self.records.append)
        within = Authorized(Limited(answer, self.limiter), authorizer=authorizer, subject=subject)
        self.full = self._recorded(within, self._settle)

    def _recorded(self, inner: Responder, take: Callable[[Record], None]) -> Recorded:
        generation = self.parts.generation
        route, prices = generation.routes["gpt"], generation.prices
        return Recorded(
            inner, targets=route.targets, take=take, cost=prices.nano, prices=prices.version,
            clock=SYSTEM_CLOCK,
        )  # fmt: skip

    def _settle(self, record: Record) -> None:
        self.limiter.settle_soon(record)
        self.records.append(record)

    def _return(self, call: Call, send: Send) -> Awaitable[None]:
        return self._plain  # type: ignore[return-value]  # nobody awaits it

    async def _start(self, call: Call, send: Send) -> None:
        await send(_STARTED)

    def authenticate(self, calls: Sequence[Call]) -> None:
        """The virtual key."""
        caller, authorization = self.parts.identity.caller, self.parts.authorization
        for _ in calls:
            caller(authorization, None, ("127.0.0.1", 50_000), None, None)

    def decide(self, calls: Sequence[Call]) -> None:
        """The cached decision."""
        authorized, send = self.authorized, self._plain
        for call in calls:
            authorized(call, send)

    def limit(self, calls: Sequence[Call]) -> None:
        """Reserve, and the headers."""
        limited, send = self.limited, self._plain
        for call in calls:
            drive(limited(call, send))

    def settle(self, calls: Sequence[Call]) -> None:
        """Settle the records of the calls."""
        settle = self.limiter.settle
        for record in self.records:
            settle(record)

    def answer_bare(self, calls: Sequence[Call]) -> None:
        """The pipeline without governance."""
        bare, send = self.bare, self._plain
        for call in calls:
            drive(bare(call, send))

    def answer_full(self, calls: Sequence[Call]) -> None:
        """The pipeline with the key, the decision, and the limits settled."""
        full, send = self.full, self._plain
        caller, authorization = self.parts.identity.caller, self.parts.authorization
        for start in range(0, len(calls), BATCH):
            for call in calls[start : start + BATCH]:
                caller(authorization, None, ("127.0.0.1", 50_000), None, None)
                drive(full(call, send))
            self.limiter.settle_ended()  # as the recorder's batch: at a thousand calls a second there are so many

    def open(self, calls: Sequence[Call]) -> None:
        """The ledger's line, before the upstream is asked."""
        note = self.ledger.open
        for call in calls:
            note(call, TARGETS)

    def take(self, calls: Sequence[Call]) -> None:
        """Hand over the rows, off the path."""
        for start in range(0, len(self.records), BATCH):
            self.ledger.take(self.records[start : start + BATCH])


_STARTED = Started(id="1", model="gpt", created=0, target=TARGETS[0])


def cpu_us(stage: Stage, calls: Sequence[Call]) -> float:
    """Give microseconds a call."""
    began = time.process_time_ns()
    stage(calls)
    return (time.process_time_ns() - began) / 1000 / len(calls)


async def stages(parts: Governed) -> dict[str, float]:
    """Give the least CPU time of each stage, in microseconds a call."""
    measured = Measured(parts)
    least: dict[str, float] = {}
    # As `switchgear serve` has it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)

    def note(name: str, figure: float) -> None:
        least[name] = min(figure, least.get(name, figure))

    for _ in range(REPEATS):
        calls = parts.calls(CALLS)
        measured.records.clear()
        note("bare", cpu_us(measured.answer_bare, calls))
        note("key", cpu_us(measured.authenticate, calls))
        note("policy", cpu_us(measured.decide, calls))
        note("reserve and headers", cpu_us(measured.limit, calls))
        note("settle", cpu_us(measured.settle, calls))
        note("ledger: open", cpu_us(measured.open, calls))
        note("ledger: take", cpu_us(measured.take, calls))
        began = time.process_time_ns()
        await measured.ledger.flush()
        note("ledger: write", (time.process_time_ns() - began) / 1000 / CALLS)
        calls = parts.calls(CALLS)
        note("full", cpu_us(measured.answer_full, calls))
    return least


async def in_redis(parts: Governed, at_once: int, number: int) -> tuple[float, float]:
    """Give (CPU microseconds a call, median milliseconds of a reservation) with so many callers at once."""
    limiter = parts.governance.limits.limiter
    waited: list[float] = []

    async def call_on(calls: Sequence[Call]) -> None:
        for call in calls:
            began = time.perf_counter()
            await limiter.reserve(call)
            waited.append(time.perf_counter() - began)
            limiter.settle(_record(call))

    least = float("inf")
    for _ in range(6):
        calls = parts.calls(number)
        began = time.process_time_ns()
        await asyncio.gather(*(call_on(calls[start::at_once]) for start in range(at_once)))
        least = min(least, (time.process_time_ns() - began) / 1000 / number)
    return least, statistics.median(waited) * 1000


def _record(call: Call) -> Record:
    taken: list[Record] = []
    pipeline = Recorded(answer, targets=(), take=taken.append, cost=lambda target, usage: 0, clock=SYSTEM_CLOCK)
    drive(pipeline(call, Sink()))
    return taken[0]


async def redis_figures(url: str) -> None:
    """Print what limits in Redis cost."""
    async with governed(url) as parts:
        running = asyncio.ensure_future(parts.governance.limits.run())
        try:
            await asyncio.sleep(0.2)
            for at_once in (1, 32):
                cpu, median = await in_redis(parts, at_once, 20 * at_once if at_once > 1 else 200)
                print(f"limits in Redis, {at_once:2} at once   {cpu:7.1f} µs CPU   a reservation takes {median:.2f} ms")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def pauses(parts: Governed, seconds: float, rate: int) -> None:
    """Write `rate` rows a second, and print how late the event loop was meanwhile, beside how late it is without."""
    measured = Measured(parts)
    recorder = Recorder([measured.ledger.take])
    for name, rows in (("without rows", 0), (f"{rate} rows a second", rate)):
        tasks = [asyncio.ensure_future(parts.governance.run()), asyncio.ensure_future(recorder.run())]
        counts = measured.ledger.counts
        before, prepared = counts.written, parts.calls(int(rows * seconds) + 1)
        late: list[float] = []
        made = 0
        began, cpu = time.perf_counter(), time.process_time_ns()
        while (elapsed := time.perf_counter() - began) < seconds:
            calls = prepared[made : int(elapsed * rows)]
            measured.records.clear()
            measured.open(calls)
            measured.answer_bare(calls)
            for record in measured.records:
                recorder.take(record)
            made += len(calls)
            asked = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - asked - 0.001)
        await asyncio.sleep(0.2)
        spent = (time.process_time_ns() - cpu) / 1e9 / (time.perf_counter() - began)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await measured.ledger.flush()
        late.sort()
        print(
            f"{name:22} made {made}, written {counts.written - before}; loop late by {late[len(late) // 2] * 1e3:.2f} ms (median), "
            f"{late[len(late) * 99 // 100] * 1e3:.2f} (99 %), {late[-1] * 1e3:.1f} (most); {spent:.0%} of a core"
        )


async def main() -> int:
    """Measure and print; 1 when the budget is not kept."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pauses", type=float, default=0.0, metavar="SECONDS", help="write rows for so long as well")
    options.add_argument("--rate", type=int, default=2000, help="rows a second")
    options.add_argument("--no-redis", action="store_true", help="leave Redis out")
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    async with governed() as parts:
        found = await stages(parts)
        added = found["full"] - found["bare"]
        for name in ("key", "policy", "reserve and headers", "settle"):
            print(f"{name:22} {found[name]:7.2f} µs")
        print(
            f"{'all that they add':22} {added:7.2f} µs (the budget is {NEEDED_US:g}); the bare stages {found['bare']:.2f}"
        )
        for name in ("ledger: open", "ledger: take", "ledger: write"):
            print(f"{name:22} {found[name]:7.2f} µs a row")
        if chosen.pauses:
            await pauses(parts, chosen.pauses, chosen.rate)
    with redis_server() as url:
        if url is not None and not chosen.no_redis:
            await redis_figures(url)
    return 0 if added <= NEEDED_US else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
