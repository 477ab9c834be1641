"""What the journal takes of a run that calls tools: each write by itself, median and 95th percentile in milliseconds.

    python benchmarks/tool_journal.py [--postgres URL] [--rounds 200]

One writer at a time, a database of its own; nothing is called but the stores. One core is enough to ask: taskset -c 0 python …
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.secret import Secret
from gateway.core.caller import Caller
from gateway.core.ids import new_id
from gateway.core.tools import Label
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.database import Database, open_database
from gateway.stores.runs import Entry, Run, RunEvent, RunItem
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import Approval, Notice, ToolCall, Vote

CALLER = Caller(id="benchmark")
RESULT = {"type": "mcp_call", "output": "x" * 2000}


class Clock:
    """Collects how long things take, by name."""

    def __init__(self) -> None:
        self.took: defaultdict[str, list[float]] = defaultdict(list)

    @asynccontextmanager
    async def measure(self, name: str) -> AsyncIterator[None]:
        """Measure what is done within."""
        began = time.perf_counter()
        yield
        self.took[name].append((time.perf_counter() - began) * 1000)

    def show(self) -> None:
        """Print a table."""
        for name, took in self.took.items():
            ninety_five = statistics.quantiles(took, n=20)[-1]
            print(f"{name:44} {statistics.median(took):7.2f} {ninety_five:7.2f}")


def events(first: int, count: int) -> Sequence[RunEvent]:
    """Give events as a call makes them."""
    return [RunEvent(seq=first + n, name="response.mcp_call.in_progress", data=b"x" * 300) for n in range(count)]


async def one_round(database: Database, clock: Clock) -> None:
    """One run that calls a tool, asks for leave for another, and is gone on with."""
    runs, approvals = SqlRuns(database), SqlApprovals(database)
    now = time.time()
    run = Run(
        id=new_id("resp"), tenant="t", caller=CALLER, model="m", status="in_progress", created_at=now,
        lease_owner="b", lease_until=now + 60, epoch=1,
    )  # fmt: skip
    await runs.add(run, [])
    async with clock.measure("events alone"):
        await runs.write(run.id, 1, Entry(events=events(0, 4)))
    first = ToolCall(
        id=new_id("mcp"), run=run.id, call_id="c1", step=1, index=0, server="s", tool="t", arguments="{}",
        arguments_hash="h", definition="d", effect="once", key="k", state="started", attempts=1,
    )  # fmt: skip
    async with clock.measure("a call begins"):
        await runs.write(run.id, 1, Entry(events=events(4, 4), calls=[first]))
    item = RunItem(id=first.id, place="output", index=0, body=RESULT, label=Label(source="s/t", integrity="untrusted"))
    done = msgspec.structs.replace(first, state="done")
    async with clock.measure("a call is done, with its item of 2 kB"):
        await runs.write(run.id, 1, Entry(events=events(8, 2), items=[item], calls=[done]))
    asked = msgspec.structs.replace(
        first, id=new_id("mcp"), index=1, state="awaiting_approval", approval=new_id("mcpr")
    )
    approval = Approval(
        id=asked.approval, tenant="t", run=run.id, call=asked.id, requester=CALLER, server="s", tool="t", arguments="{}",
        arguments_hash="h", definition="d", created_at=now, expires_at=now + 3600,
    )  # fmt: skip
    notices = [
        Notice(kind=kind, dedupe=f"{approval.id}:asked", body={"approval": approval.id})
        for kind in ("slack", "webhook")
    ]
    waiting = Entry(
        events=events(10, 3), status="waiting", ended_at=now, response=RESULT, calls=[asked], approvals=[approval], notices=notices
    )  # fmt: skip
    async with clock.measure("a run waits: call, approval, two notices"):
        await runs.write(run.id, 1, waiting)
    async with clock.measure("a vote decides"):
        await approvals.vote(Vote(approval=approval.id, approver="ben", approve=True, channel="api", at=now), version=1)
    following = msgspec.structs.replace(run, id=new_id("resp"), continues=run.id)
    async with clock.measure("another run goes on"):
        await approvals.continue_by(run.id, following, [])
    begun = msgspec.structs.replace(asked, id=new_id("mcp"), run=following.id, state="started", attempts=1)
    async with clock.measure("an approved call begins"):
        await runs.write(following.id, 1, Entry(events=events(0, 4), calls=[begun], consume=[(approval.id, "h", "d")]))


async def measure(arguments: argparse.Namespace) -> None:
    """Measure, and print."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings: SqliteSettings | PostgresSettings = SqliteSettings(path=str(Path(folder) / "benchmark.db"))
        if arguments.postgres:
            settings = PostgresSettings(url=Secret(arguments.postgres, source="argument"))
        database = await open_database(settings)
        for number in range(arguments.rounds + 5):
            await one_round(database, clock if number >= 5 else Clock())
        await database.aclose()
    clock.show()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", default="", help="the address of an empty database")
    parser.add_argument("--rounds", type=int, default=200)
    anyio.run(measure, parser.parse_args())
