"""Runs, events and items as the tests of the journal write them."""

import msgspec

from gateway.core.caller import Caller
from gateway.stores.runs import Below, Entry, Run, RunEvent, RunItem, Spent

CALLER = Caller(
    id="key_1", kind="key", tenant="acme", user="user_ada", tags=(("project", "apollo"),), models=("gpt-*",)
)
QUEUED = Run(id="resp_1", tenant="acme", caller=CALLER, model="gpt-5", status="queued", created_at=1.0)
SPENT = Spent(
    steps=3,
    tool_calls=2,
    input_tokens=5_000_000_000,
    output_tokens=7,
    nano=9_000_000_000_000,
    seconds=1.25,
    below=Below(steps=4, tool_calls=1, tokens=6_000_000_000, nano=7),
)
ENDED = Entry(status="cancelled", response={"status": "cancelled"})


def held(run_id: str = "resp_1", **changes) -> Run:
    """A run that begins with a lease, which is over at 100."""
    lease = {"status": "in_progress", "lease_owner": "replica-1", "lease_until": 100.0, "epoch": 1, "started_at": 1.0}
    return msgspec.structs.replace(QUEUED, id=run_id, **lease | changes)


def queued(run_id: str = "resp_1", **changes) -> Run:
    return msgspec.structs.replace(QUEUED, id=run_id, **changes)


def events(first: int, count: int = 1, name: str = "response.output_text.delta") -> list[RunEvent]:
    return [
        RunEvent(seq=seq, name=name, data=b'{"sequence_number":%d,"type":"%s"}' % (seq, name.encode()))
        for seq in range(first, first + count)
    ]


def ending(first: int, status="completed", at: float = 50.0) -> Entry:
    """The last thing that is written of a run."""
    return Entry(
        events=events(first, name=f"response.{status}"), status=status, ended_at=at, response={"status": status}
    )


def item(index: int, place="output", text: str = "Hi") -> RunItem:
    body = {"type": "message", "id": f"msg_{place}_{index}", "content": [{"type": "output_text", "text": text}]}
    return RunItem(id=f"msg_{place}_{index}", place=place, index=index, body=body)


async def numbers(runs, run: str = "resp_1", **query) -> list[int]:
    return [event.seq for event in await runs.events(run, **query)]


async def claim(runs, owner="replica-2", *, now=10.0, until=25.0, most=10, but=()):
    return await runs.claim(owner, now=now, until=until, most=most, but=but)


async def found(runs, run="resp_1"):
    kept = await runs.find("acme", run)
    assert kept is not None
    return kept
