"""Measures what choosing and surviving add to a call: CPU time of this process. `python benchmarks/routing.py`.

Two targets by weight, with breakers, retries and a deadline, against the same target asked directly; the minimum over many short
repetitions. Calls are answered at once: in one piece, or as a stream whose every piece is passed on by itself (real ones go from
connection to connection, and cost less). A hedged model is measured in a real event loop, which its alarm needs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from governance import Sink, drive

from gateway.cli.serve import GARBAGE_THRESHOLD
from gateway.config.choosing_settings import RuleSettings
from gateway.config.hedge_settings import HedgeSettings
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.events import Finished, Started, Verbatim
from gateway.core.ids import new_id
from gateway.core.items import Json
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.pipeline.recorded import Recorded
from gateway.routing.condition import Conditions
from gateway.routing.opening import open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from gateway.routing.timing import Timing

CALLS = 500
STREAMS = 20
CHUNKS = 100
REPEATS = 60
NEEDED_US = 25.0
NEEDED_CHUNK_US = 5.0
NEEDED_FOR_LIMITS_US = 5.0
TARGETS = (Target(provider="a", model="m"), Target(provider="b", model="m"))
RULES = (
    RuleSettings(when="tags.env == 'dev' or has_images", use=("b/m",)),
    RuleSettings(when="temperature > 1 and stream", use=("b/m",)),
    RuleSettings(use=("a/m", "b/m")),
)
ASKED: dict[str, Json] = {
    "messages": [
        {"role": "user", "content": "Translate into German, please: the meeting has been moved to Thursday at ten."}
    ]
}
_START = Started(id="1", model="m", created=0, target="a/m", content_type="application/json")
LOOP: asyncio.AbstractEventLoop = uvloop.new_event_loop()
_CHUNK = Verbatim(b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n')
_END = Finished(reason="stop", usage=Usage(input=240, output=80))


async def answer(call: Call, send: Send) -> None:
    """A target that answers at once."""
    del call
    await send(_START)
    await send(Verbatim(b"{}"))
    await send(_END)


async def stream(call: Call, send: Send) -> None:
    """A target that streams at once."""
    del call
    await send(_START)
    for _ in range(CHUNKS):
        await send(_CHUNK)
    await send(_END)


async def never(seconds: float) -> None:
    """Nobody waits here."""
    raise RuntimeError(seconds)


def recorded(inner: Responder) -> Recorded:
    """Put the stage around it that every call has."""
    return Recorded(inner, targets=TARGETS, take=lambda record: None, cost=lambda target, usage: 0, clock=SYSTEM_CLOCK)


def calls(number: int) -> list[Call]:
    """Give fresh calls."""
    return [
        Call(
            id=new_id("call_"), operation="generate", dialect="openai_chat", model="m", stream=False, caller=ANONYMOUS,
            received=SYSTEM_CLOCK.monotonic(), body=b"{}", fields=ASKED,
        )
        for _ in range(number)
    ]  # fmt: skip


def pipelines(answering: Responder) -> dict[str, Responder]:
    """Give what is measured, by name: a target asked directly, alone in a pool, and two by each strategy."""
    timing = Timing(now=SYSTEM_CLOCK.monotonic, sleep=never, chance=random.random)
    targets = [(target, answering) for target in TARGETS]
    lone = RoutingPlan()
    pool = open_pool("m", targets[:1], lone, Conditions(random.random))
    found: dict[str, Responder] = {
        "direct": recorded(answering),
        "one target": recorded(open_routed(pool, lone, timing, {})),
    }
    for strategy in ("fallback", "weighted", "latency", "sticky", "rules", "complexity"):
        plan = RoutingPlan(strategy=strategy, weights=(3, 1), rules=RULES, handles={"a/m": 0.2})  # type: ignore[arg-type]  # they are strategies
        pool = open_pool("m", targets, plan, Conditions(random.random))
        found[strategy] = recorded(open_routed(pool, plan, timing, {}))
    for number in (1, 2):
        plan = RoutingPlan(concurrency=(10, 10)[:number])
        pool = open_pool("m", targets[:number], plan, Conditions(random.random))
        found[f"limit of {number}"] = recorded(open_routed(pool, plan, timing, {}))
    found["hedged"] = hedged(answering)
    return found


def hedged(answering: Responder) -> Responder:
    """Give a hedged model whose first target is always in time."""

    def spawn(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        raise RuntimeError(run)

    plan = RoutingPlan(hedge=HedgeSettings(share=1))
    timing = Timing(now=SYSTEM_CLOCK.monotonic, sleep=never, chance=random.random, spawn=spawn)
    pool = open_pool("m", [(target, answering) for target in TARGETS], plan, Conditions(random.random))
    return recorded(open_routed(pool, plan, timing, {}))


def drive_all(pipeline: Responder, made: list[Call], send: Send) -> None:
    """Run calls that wait for nothing."""
    for call in made:
        drive(pipeline(call, send))


def in_loop(pipeline: Responder, made: list[Call], send: Send) -> None:
    """Run them in an event loop."""

    async def run() -> None:
        for call in made:
            await pipeline(call, send)

    LOOP.run_until_complete(run())


def measure(repeats: int) -> dict[str, float]:
    """Give the least CPU microseconds a request and a chunk of each pipeline, such as "weighted request"."""
    ways = {
        f"{name} {unit}": (pipeline, number, number * each)
        for unit, target, number, each in (("request", answer, CALLS, 1), ("chunk", stream, STREAMS, CHUNKS))
        for name, pipeline in pipelines(target).items()
    }
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    least: dict[str, float] = {}
    send = Sink()
    for _ in range(repeats):
        for name, (pipeline, number, units) in ways.items():
            made = calls(number)
            began = time.process_time_ns()
            (in_loop if name.startswith("hedged") else drive_all)(pipeline, made, send)
            spent = (time.process_time_ns() - began) / 1000 / units
            least[name] = min(spent, least.get(name, spent))
    return least


def main() -> int:
    """Measure and print; 1 when the budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures for programs, and always exit 0")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="repetitions, of which the least counts")
    asked = parser.parse_args()
    least = measure(asked.repeats)
    if asked.json:
        print(json.dumps(least))
        return 0
    for name, spent in least.items():
        unit = name.rpartition(" ")[2]
        print(f"{name:18} {spent:6.2f} µs, {spent - least[f'direct {unit}']:+.2f}")
    limits = max(
        least["limit of 1 request"] - least["one target request"],
        least["limit of 2 request"] - least["fallback request"],
    )
    print(f"limits of concurrency {limits:+.2f} µs a call that does not wait")
    good = least["weighted request"] - least["direct request"] <= NEEDED_US and limits <= NEEDED_FOR_LIMITS_US
    return 0 if good and least["weighted chunk"] - least["direct chunk"] <= NEEDED_CHUNK_US else 1


if __name__ == "__main__":
    sys.exit(main())
