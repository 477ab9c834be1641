"""What a run costs beside its model: the journal's time for a step, and how long a token takes to who follows, with many runs at once.

    python benchmarks/run_journal.py [--postgres URL] [--runs 100] [--tokens 100] [--pace 0.05] [--ramp 2]

The model is a function in this process that says when it said each token; followers read along in the same process, as the
endpoints do. One core is enough to ask: taskset -c 0 python benchmarks/run_journal.py
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio

from gateway.agents.counts import Counts
from gateway.agents.desk import Draft
from gateway.agents.executor import Executor
from gateway.agents.listeners import Listeners
from gateway.agents.means import Means
from gateway.agents.running import Running
from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.run_settings import RunSettings
from gateway.config.secret import Secret
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.ids import new_id
from gateway.core.items import Message, Text
from gateway.core.responder import Send
from gateway.core.usage import Usage
from gateway.policies.authorizer import Authorizer
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import open_database
from gateway.stores.runs import RunEvent
from gateway.stores.runs_sql import SqlRuns
from gateway.telemetry.metrics import Histogram

now = time.perf_counter
CALLER = Caller(id="benchmark")


class Model:
    """Says `tokens` tokens, each the time at which it is said; `spent` collects the time that it takes by itself."""

    def __init__(self, tokens: int, pace: float) -> None:
        self.tokens = tokens
        self.pace = pace

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer."""
        await send(Started(id=call.id, model=call.model, created=0, target="up/model"))
        await send(ItemStarted(index=0, item=Message(role="assistant", parts=())))
        said = []
        for _ in range(self.tokens):
            if self.pace:
                await anyio.sleep(self.pace)
            said.append(f" {now():.6f}")
            await send(TextDelta(index=0, text=said[-1]))
        await send(ItemFinished(index=0, item=Message(role="assistant", parts=(Text(text="".join(said)),))))
        await send(Finished(usage=Usage(input=10, output=self.tokens)))


class Deaf:
    """Takes what is said, and does nothing with it."""

    def asking(self) -> None:
        """Nothing."""

    def started(self, started: Started) -> None:
        """Nothing."""


async def nowhere(event: RunEvent) -> None:
    """Take an event."""


def draft(**fields: Any) -> Draft:
    """Give a request."""
    body = {"model": "model", "input": "Say when.", **fields}
    return Draft(caller=CALLER, model="model", fields=body, received=now())


async def alone(desk: Running, model: Model, times: int) -> None:
    """One run after the other: what each costs beside a model that takes no time."""
    model.tokens, model.pace = 20, 0.0
    for label, one in (("foreground", partial(foreground, desk)), ("background", partial(background, desk))):
        took = []
        for _ in range(times):
            began = now()
            await one()
            took.append((now() - began) * 1000)
        took.sort()
        print(
            f"{label:10} a step of 20 tokens, whole: median {statistics.median(took):6.1f} ms, "
            f"p95 {took[int(len(took) * 0.95)]:6.1f} ms"
        )


async def foreground(desk: Running) -> None:
    """Answer one who waits."""
    await desk.answer(draft(), nowhere, Deaf())


async def background(desk: Running) -> None:
    """Begin one, and follow it to its end."""
    run = await desk.begin(draft(background=True))
    await desk.follow(CALLER.tenant, run.id, nowhere)


async def together(desk: Running, model: Model, options: argparse.Namespace) -> None:
    """Many at once, each with somebody who follows."""
    model.tokens, model.pace = options.tokens, options.pace
    late: list[float] = []

    async def one(number: int) -> None:
        await anyio.sleep(options.ramp * number / options.runs)
        run = await desk.begin(draft(background=True, stream=True))

        async def hear(event: RunEvent) -> None:
            if event.name == "response.output_text.delta":
                said = event.data.rpartition(b'"delta":" ')[2].partition(b'"')[0]
                late.append((now() - float(said)) * 1000)

        await desk.follow(CALLER.tenant, run.id, hear)

    began, cpu = now(), time.process_time()
    async with anyio.create_task_group() as tasks:
        for number in range(options.runs):
            tasks.start_soon(one, number)
    took, used = now() - began, time.process_time() - cpu
    late.sort()
    ideal = options.tokens * options.pace + options.ramp
    print(
        f"{options.runs} background runs at once, {options.tokens} tokens each, one in {options.pace * 1000:g} ms: {took:.2f} s "
        f"(begun within {options.ramp:g} s; the model alone {ideal:.2f} s), {used / took:.0%} of a core\n"
        f"a token reaches who follows after: median {statistics.median(late):.1f} ms, p95 {late[int(len(late) * 0.95)]:.1f} ms, "
        f"p99 {late[int(len(late) * 0.99)]:.1f} ms, at most {late[-1]:.1f} ms"
    )


async def main(options: argparse.Namespace) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        where = SqliteSettings(path=str(Path(folder) / "runs.db"))
        database = await open_database(
            PostgresSettings(url=Secret(options.postgres, source="argument")) if options.postgres else where
        )
        model, counts = Model(20, 0.0), Counts()
        route = SimpleNamespace(responder=model, subject=None)
        generation = SimpleNamespace(
            authorizer=Authorizer(None, wall=time.time),
            routes={"model": route},
            hold=lambda: None,
            release=lambda: None,
        )
        means = Means(
            runs=SqlRuns(database),
            conversations=SqlConversations(database),
            settings=RunSettings(),
            current=lambda: generation,
            known=lambda caller: caller,
            counts=counts,
            listeners=Listeners(counts),
            clock=SYSTEM_CLOCK,
            new_id=new_id,
            owner="benchmark",
        )
        executor = Executor(means)
        desk = Running(means, executor)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(executor.run)
            await anyio.sleep(0.1)
            await alone(desk, model, options.times)
            counts.writing = means.counts.writing = Histogram("together", "", (1.0,))
            await together(desk, model, options)
            [*_, total, count] = [line.rpartition(" ")[2] for line in counts.writing.render()]
            print(f"{count} writes of events, {float(total) / int(count) * 1000:.1f} ms each")
            tasks.cancel_scope.cancel()
        await database.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", default="")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--pace", type=float, default=0.05)
    parser.add_argument("--ramp", type=float, default=2.0, help="seconds in which all of them begin")
    parser.add_argument("--times", type=int, default=50)
    anyio.run(main, parser.parse_args(), backend_options={"use_uvloop": True})
