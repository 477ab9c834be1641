"""The port of the run journal: what is known of each run, and the only way to change it. Who executes a run holds its lease.

A run is one stored response of the Responses API and how it came about. It lives here and not in a coroutine: whoever holds the
lease folds what is written to a state, and the state says what is next. Every write names the epoch of the lease under which it
was made; a writer whose lease went to somebody else is fenced off. Events are numbered from 0, without gaps, and the terminal one
comes last and once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.core.errors import Conflict
from gateway.core.items import Json
from gateway.core.tools import Label
from gateway.stores.tool_calls import Approval, Notice, ToolCall

RunStatus = Literal["queued", "in_progress", "waiting", "completed", "incomplete", "failed", "cancelled"]
"""`waiting` is for a person: the API shows such a response as completed, with what it asks in its output. It is completed when another goes on."""

LIVE: Final[tuple[RunStatus, ...]] = ("queued", "in_progress")
"""Of what somebody executes, or is about to."""

Place = Literal["input", "output"]


class Fenced(Conflict):
    """A write under a lease that is over: the run belongs to another holder, or has ended."""

    code = "run_fenced"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may use at most; None is no limit. `nano` is in nano-dollars, `seconds` the time that it executes.

    `handoffs` is how often it may be handed over to another agent.
    """

    steps: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    nano: int | None = None
    seconds: float | None = None
    handoffs: int | None = None


class Below(msgspec.Struct, frozen=True, kw_only=True):
    """What runs have used that another one began by its calls, and those below them. `tokens` are those in and out together."""

    steps: int = 0
    tool_calls: int = 0
    tokens: int = 0
    nano: int = 0


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has used. `seconds` are those in which it was executed, not those in which it waited.

    `below` is what those have used that it began by its calls and that have ended; it is in none of the other fields.
    """

    steps: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    nano: int = 0
    seconds: float = 0.0
    below: Below = Below()


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was made from another, `run`, which had ended: a fork goes on live from a place in it, a replay does it once more with its results.

    `at` is the last step, and `after` the last event, that a fork has from the other; one of them is None. `changed` says what is otherwise than
    it was there (model, instructions, agent, policies, input). `policies` are the texts, by name, that a replay is judged by in place of those in
    force, and `loose` says that its calls get the results of their tools in order, whatever their arguments are.
    """

    kind: Literal["fork", "replay"]
    run: str
    at: int | None = None
    after: int | None = None
    changed: tuple[str, ...] = ()
    policies: dict[str, str] = {}
    loose: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run. Times are seconds since 1970, None for what has not happened.

    `request` is the body of the request as it came, without its `input`; `caller` is who asked, and in whose name its model and
    tools are called. `previous` is the response that it goes on from, `conversation` the conversation whose items come before
    its own; both empty where there is none. `continues` is the run whose approval was answered by this one. `version` is the
    version of the agent that it began with. `epoch` counts the holders of its lease: 0 when nobody held it yet. `next_seq` is
    the number of its next event. `response` is the document of a run that has ended. `lineage` says which run it was made from, if it was.
    `session` and `trace` are what its client said of the request, as in `Call`: all calls of the run belong to them.

    `parent` is the run that called an agent, and `parent_call` its call, both empty for a run that a client asked for; `depth` counts the
    runs above it.
    """

    id: str
    tenant: str
    caller: Caller
    model: str
    status: RunStatus
    created_at: float
    request: dict[str, Json] = {}
    background: bool = False
    streams: bool = False
    previous: str = ""
    conversation: str = ""
    continues: str = ""
    agent: str = ""
    version: str = ""
    parent: str = ""
    parent_call: str = ""
    depth: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    expires_at: float | None = None
    cancel_requested_at: float | None = None
    lease_owner: str = ""
    lease_until: float | None = None
    epoch: int = 0
    next_seq: int = 0
    limits: Limits = Limits()
    spent: Spent = Spent()
    response: dict[str, Json] | None = None
    lineage: Lineage | None = None
    session: str | None = None
    trace: str | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a run that another goes on from, and of those that this one goes on from."""

    id: str
    status: RunStatus
    previous: str = ""
    conversation: str = ""
    lineage: Lineage | None = None


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a run as it goes to the client: `data` is the JSON text of the server-sent event named `name`."""

    seq: int
    name: str
    data: bytes


class RunItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a run's input or output in the API's wire form. `index` counts from 0 among those of its place.

    `label` says where it came from; None is what its kind and role say by themselves. `marks` are what the model's provider put on the call of a
    tool, and wants back with it (see `gateway.agents.marks`); they are in no wire form.
    """

    id: str
    place: Place
    index: int
    body: dict[str, Json]
    label: Label | None = None
    marks: dict[str, Json] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is written at once: events that follow each other, items that are whole, what has been used by now.

    `status`, where it is set, ends the run (or puts it to wait) at `ended_at`, with these events as its last; `response` is then
    its document. It is none of `LIVE`. `calls` are calls of tools as they are now, new or known; `approvals` are new; `notices` go to the
    outbox. `consume` are approvals (id, hash of arguments, hash of definition) that are used up by this entry: where one of them is not
    approved, or for other arguments or another definition, or neither of this run nor of one that it goes on from, nothing is written and NotConsumed
    is raised. Each comes with the call in `calls` that is `started` under it (`ToolCall.approval`), with the same hashes; said again for that call,
    it counts once. `kept` are results (name, bytes) that are kept whole beside the run; one of a name that is there stays. An entry with calls, approvals or `consume` is on the disk when it is written (`synchronous=FULL`), whatever the database is set to.
    """

    events: Sequence[RunEvent] = ()
    items: Sequence[RunItem] = ()
    spent: Spent | None = None
    status: RunStatus | None = None
    ended_at: float | None = None
    response: dict[str, Json] | None = None
    calls: Sequence[ToolCall] = ()
    approvals: Sequence[Approval] = ()
    notices: Sequence[Notice] = ()
    consume: Sequence[tuple[str, str, str]] = ()
    kept: Sequence[tuple[str, bytes]] = ()


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one run, which follow each other, written under the lease of `epoch`."""

    run: str
    epoch: int
    events: Sequence[RunEvent]


class RunStore(Protocol):
    """Keeps runs. Everything raises StoreUnavailable when it cannot be asked."""

    async def add(self, run: Run, items: Sequence[RunItem], *, most_live: int | None = None) -> bool:
        """Keep a new run with its input; False when its tenant has that many live ones.

        It may come with a lease (`lease_owner`, `lease_until`, `epoch` 1 and status `in_progress`). Raises Conflict when its id is taken.
        """
        ...

    async def claim(
        self, owner: str, *, now: float, until: float, most: int, but: Collection[str] = ()
    ) -> Sequence[Run]:
        """Take leases on some runs that are queued, or in progress under a lease that is over, the oldest first.

        Each comes as it then is: in progress, with a new epoch. Two who claim at once never get the same. `but` are left as they are:
        who executes a run, and is late with its lease, does not take it from itself.
        """
        ...

    async def take(self, run: str, owner: str, *, now: float, until: float) -> Run | None:
        """Take a lease on this run, as `claim` does; None where it is held by somebody, has ended, or is not there."""
        ...

    async def children(self, run: str) -> Sequence[Run]:
        """Give the runs that a run has begun by its calls, the oldest first."""
        ...

    async def continued_by(self, run: str) -> str:
        """Give the id of the run that goes on from one that waited; empty where none does."""
        ...

    async def left_alone(self, runs: Sequence[str]) -> Sequence[str]:
        """Give those of these runs whose parent has ended, is gone, or is to end: nobody waits for them any more."""
        ...

    async def orphans(self, *, most: int = 100) -> Sequence[Run]:
        """Give runs that wait for people although their parent has ended and nobody goes on from it: nobody will go on with them."""
        ...

    async def renew(self, leases: Mapping[str, int], *, until: float) -> Mapping[str, bool]:
        """Keep leases, each of a run and its epoch, all in one transaction: a hundred runs that write do not keep each other's leases waiting.

        Gives those that are kept, and whether the end of the run has been asked for. One that is missing has gone to another holder, or its run has ended.
        """
        ...

    async def release(self, run: str, epoch: int) -> None:
        """Give a lease back, so that another may claim the run at once; who gave it back is fenced, too. Raises Fenced."""
        ...

    async def write(self, run: str, epoch: int, entry: Entry) -> None:
        """Write what happened, all of it or nothing.

        Raises Fenced when the lease is another's or the run has ended, and Conflict when the events do not begin with its next
        number and follow each other, or an item's place is taken. That its end has been asked for keeps nobody from
        writing: a holder that is faster than the news ends its run as it did end.
        """
        ...

    async def append(self, pieces: Sequence[Piece]) -> Sequence[str]:
        """Write events of several runs, at most one piece of each, in one transaction: what many runs say costs little more than what one says.

        Gives the runs of which nothing was written because `write` would refuse it; those of all others are written.
        """
        ...

    async def cancel_requested(self, runs: Sequence[str]) -> Sequence[str]:
        """Give those of these runs that are in progress and whose end has been asked for: one look for all that a process executes."""
        ...

    async def request_cancel(self, tenant: str, run: str, *, now: float, ended: Entry) -> Run | None:
        """Ask for a run's end; None when the tenant has none of that id.

        A queued run ends now, with the entry `ended`, whose events begin with number 0: nobody has written any. Of one that waits
        only the status changes, to that of `ended`: its events and its document have been given out as its last. One in progress
        is marked, for its holder to end it; one that has ended stays as it is. Gives the run as it then is.

        With a run that waits, what it asks is cancelled, its calls, and leave that was given and not used; each approval with
        a notice (`approval_notice`). Also of one that another goes on from: that one is marked, or will find nothing to use.
        """
        ...

    async def find(self, tenant: str | None, run: str) -> Run | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        ...

    async def list(
        self, tenant: str | None, *, after: str = "", limit: int = 20, status: RunStatus | None = None, agent: str = ""
    ) -> Sequence[Run]:
        """Give a page, the newest first. `after` is the id of the last one before; one that is not there gives nothing."""
        ...

    async def events(self, run: str, *, after: int = -1, limit: int = 500) -> Sequence[RunEvent]:
        """Give events that follow number `after`, in order."""
        ...

    async def chain(self, tenant: str, run: str, *, most: int) -> Sequence[Link]:
        """Give a run and those that it goes on from by `previous`, the last first, at most so many; it ends before one that the tenant does not have."""
        ...

    async def items_of(self, runs: Sequence[str]) -> Sequence[RunItem]:
        """Give the items of several runs, in their order, those of each as `items` does."""
        ...

    async def items(self, run: str, place: Place | None = None) -> Sequence[RunItem]:
        """Give the items of a run in order, its input before its output."""
        ...

    async def find_items(self, tenant: str, ids: Sequence[str]) -> Sequence[RunItem]:
        """Give those items of a tenant's runs that have these ids, each once: of several with one id the latest."""
        ...

    async def remove(self, tenant: str, run: str) -> bool:
        """Forget a run that nobody executes, and all that was written of it; False when the tenant has none of that id.

        What it still asks is cancelled, with a notice. Raises Conflict for one that is live.
        """
        ...

    async def remove_expired(self, now: float, *, most: int = 500) -> int:
        """Forget runs that nobody executes and that are to be kept no longer; give how many."""
        ...
