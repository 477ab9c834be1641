"""Calls of tools, people's leave for them, and what is to be said outside: what a run's entry writes beside its events.

A call is `planned` when the model has asked for it and nothing is decided; `started` is committed before the tool is asked and
`done` or `failed` after. One that was started and whose end nobody knows is `unknown` if asking again could do it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.core.errors import Conflict
from gateway.core.items import Json
from gateway.core.tools import Effect, Label, Wish

ToolCallState = Literal[
    "planned", "awaiting_approval", "approved", "denied", "started", "done", "failed", "unknown", "cancelled"
]
"""The state of a call in its run. approved and denied are of a call whose approval was answered: another run (`continues`) goes on with it."""

ApprovalState = Literal["pending", "approved", "denied", "expired", "cancelled", "consumed"]
ApprovalKind = Literal["call", "outcome", "question"]
"""call: may it be done. outcome: it was begun, and nobody knows whether it was done: approve does it again, deny says what to make of it.
question: an agent asks a person something; the answer is the reason of the vote."""


class NotConsumed(Conflict):
    """An approval that a call needs is not approved, is used already, or is for other arguments or another definition."""

    code = "approval_not_usable"


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool by a run. `id` is that of the API's item (`mcp_…`), `call_id` the model's; `step` and `index` say where it was asked for.

    `arguments` is canonical JSON (sorted names, no spaces) and `arguments_hash` its sha256 (hex); `definition` is the tool's.
    `key` is the idempotency key, the same for every try. `approval` is the approval that it waits for or was made under. What came
    of it is the run's item with the same id. `decision` is what policies and rules said when it was asked for, empty where they were not asked.
    `marks` are what the model's provider put on it, and wants back with it.

    Written again, only `state`, `attempts`, `approval`, `error` and the times change. `done`, `failed`, `approved`, `denied` and `cancelled` stay
    as they are, and `done` follows upon `started` or `unknown` alone, written before it.
    """

    id: str
    run: str
    call_id: str
    step: int
    index: int
    server: str
    tool: str
    arguments: str
    arguments_hash: str
    definition: str
    effect: Effect
    key: str
    state: ToolCallState = "planned"
    attempts: int = 0
    approval: str = ""
    error: str = ""
    decision: Literal["", "allow", "ask", "deny"] = ""
    marks: dict[str, Json] = {}
    started_at: float | None = None
    ended_at: float | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One question to people. `id` (`mcpr_…`) is that of the API's item. Times are seconds since 1970.

    `requester` is whose run asks; `groups` are who may answer (none: whoever has the right in the tenant), `quorum` how many of them, `four_eyes` that the
    requester may not. `rules` and `reason` say why it is asked; `origins` where each argument came from (path → label); `taint` what untrusted,
    and `sensitive` what sensitive things the model had read. `edited` are the canonical arguments that an approver
    put in place of `arguments`: with them `arguments_hash` is theirs. `version` grows with each edit. `continuation` is the run that goes on after the
    answer, once there is one; `consumed_by` is the call that it was used up by, of the run or of its continuation. `wish` is what a
    `question` asks for; the answer is the reason of the vote that approves.
    """

    id: str
    tenant: str
    run: str
    call: str
    kind: ApprovalKind = "call"
    agent: str = ""
    requester: Caller
    server: str
    tool: str
    arguments: str
    arguments_hash: str
    definition: str
    effect: Effect = "once"
    reason: str = ""
    rules: tuple[str, ...] = ()
    origins: dict[str, Label] = {}
    taint: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    wish: Wish | None = None
    groups: tuple[str, ...] = ()
    quorum: int = 1
    four_eyes: bool = True
    created_at: float
    expires_at: float
    state: ApprovalState = "pending"
    version: int = 1
    edited: str = ""
    decided_at: float | None = None
    continuation: str = ""
    consumed_by: str = ""


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said: approve or deny, why, through which channel (api, slack, console, cli), and when. One a person and version.

    `version` is that of the approval: the store sets it.
    """

    approval: str
    approver: str
    approve: bool
    reason: str = ""
    channel: str
    at: float
    version: int = 0


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be said outside. `kind` says to whom (slack, webhook, …); `dedupe` is the same for what must be said only once."""

    kind: str
    dedupe: str
    body: dict[str, Json]


def approval_notice(approval: Approval, state: ApprovalState) -> Notice:
    """Say that an approval has come to a state, to whoever shows it: buttons vanish everywhere at once."""
    body: dict[str, Json] = {"approval": approval.id, "run": approval.run, "tenant": approval.tenant, "state": state}
    return Notice(kind="approval", dedupe=f"{approval.id}:{state}", body=body)


class ToolJournal(Protocol):
    """Reads what entries have written of calls. Everything raises StoreUnavailable."""

    async def calls(self, run: str) -> Sequence[ToolCall]:
        """Give the calls of a run in the order in which they were asked for."""
        ...
