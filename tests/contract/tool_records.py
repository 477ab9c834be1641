"""Calls, approvals and votes as the tests of their stores write them."""

import hashlib

import msgspec

from gateway.core.caller import Caller
from gateway.core.tools import Label
from gateway.stores.runs import Entry
from gateway.stores.tool_calls import Approval, Notice, ToolCall, Vote
from tests.contract.run_records import CALLER, ending, held

replace = msgspec.structs.replace
ARGUMENTS = '{"replicas":5}'
EDITED = '{"replicas":3}'


def digest(arguments: str = ARGUMENTS) -> str:
    return hashlib.sha256(arguments.encode()).hexdigest()


def call(number: int = 1, run: str = "resp_1", **changes) -> ToolCall:
    made = ToolCall(
        id=f"mcp_{number}",
        run=run,
        call_id=f"call_{number}",
        step=1,
        index=number,
        server="platform",
        tool="scale",
        arguments=ARGUMENTS,
        arguments_hash=digest(),
        definition="def_1",
        effect="once",
        key=f"key_{number}",
    )
    return replace(made, **changes)


def approval(number: int = 1, run: str = "resp_1", **changes) -> Approval:
    made = Approval(
        id=f"mcpr_{number}",
        tenant="acme",
        run=run,
        call=f"mcp_{number}",
        requester=CALLER,
        server="platform",
        tool="scale",
        arguments=ARGUMENTS,
        arguments_hash=digest(),
        definition="def_1",
        created_at=10.0 + number,
        expires_at=1000.0,
    )
    return replace(made, **changes)


SHOWN = {
    "kind": "outcome",
    "agent": "clerk",
    "requester": Caller(id="jwt_1", kind="jwt", tenant="acme", user="ada", groups=("dev",), tools=("platform/*",)),
    "effect": "idempotent",
    "reason": "policy three: больше трёх \0",
    "rules": ("policy3", "builtin:tainted_write"),
    "origins": {"/replicas": Label(source="wiki/read", integrity="untrusted"), "": Label(source="user")},
    "taint": ("wiki/read",),
    "groups": ("sre", "ops"),
    "quorum": 2,
    "four_eyes": False,
}


def vote(by: str = "ben", number: int = 1, *, approve: bool = True, at: float = 60.0, **changes) -> Vote:
    return replace(Vote(approval=f"mcpr_{number}", approver=by, approve=approve, channel="api", at=at), **changes)


def notice(dedupe: str = "mcpr_1:asked", kind: str = "slack", **body) -> Notice:
    return Notice(kind=kind, dedupe=dedupe, body=body or {"approval": "mcpr_1"})


def asking(*approvals: Approval, run: str = "resp_1", first: int = 0, **changes) -> Entry:
    """The end of a run that waits for people: each approval with its call."""
    calls = {
        one.call: call(
            number, run, id=one.call, state="unknown" if one.kind == "outcome" else "awaiting_approval", approval=one.id
        )
        for number, one in enumerate(approvals, start=1)
    }
    return replace(ending(first, "waiting"), calls=tuple(calls.values()), approvals=approvals, **changes)


def starting(
    number: int = 1, run: str = "resp_2", of: str = "mcpr_1", *, arguments: str = ARGUMENTS, **changes
) -> Entry:
    """What is committed before an approved call is done."""
    begun = call(
        number,
        run,
        approval=of,
        state="started",
        attempts=1,
        arguments=arguments,
        arguments_hash=digest(arguments),
        started_at=70.0,
    )
    begun = replace(begun, **changes)
    return Entry(calls=[begun], consume=[(of, begun.arguments_hash, begun.definition)])


async def waits(runs, *approvals: Approval, run: str = "resp_1") -> None:
    """A run asked this, and waits."""
    await runs.add(held(run), [])
    await runs.write(run, 1, asking(*(approvals or [approval(run=run)]), run=run))


async def goes_on(approvals, run: str = "resp_2", after: str = "resp_1", **changes) -> None:
    """Another run, with a lease, goes on after what was answered."""
    assert await approvals.continue_by(after, held(run, continues=after, previous=after, **changes), [])
