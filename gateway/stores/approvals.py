"""The port of approvals: people's answers, each counted once, of which one resolution wins everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.core.errors import Conflict
from gateway.stores.runs import Run, RunItem
from gateway.stores.tool_calls import Approval, ApprovalState, Notice, Vote


class AlreadyDecided(Conflict):
    """The approval was decided, has expired or was cancelled before. The message says by whom and when, and which response goes on."""

    code = "approval_decided"


class EditedMeanwhile(Conflict):
    """The arguments are no longer those that the voter saw."""

    code = "approval_edited"


class VotedAlready(Conflict):
    """This person has voted on this version."""

    code = "approval_voted"


class NotAnswered(Conflict):
    """The run asks something that nobody has answered yet; the message names what."""

    code = "approval_pending"


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a vote: the approval as it is now, its votes, and whether this vote decided it."""

    approval: Approval
    votes: Sequence[Vote]
    decided: bool


class SameCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call as clients make it again: the tool as it is defined now, and the hash of the arguments."""

    server: str
    tool: str
    definition: str
    arguments_hash: str


class ApprovalStore(Protocol):
    """Keeps approvals. New ones come with the entry of a run (`Entry.approvals`). Everything raises StoreUnavailable."""

    async def find(self, tenant: str | None, approval: str) -> Approval | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        ...

    async def of_run(self, run: str) -> Sequence[Approval]:
        """Give the approvals that a run asked for, the oldest first."""
        ...

    async def votes(self, approval: str) -> Sequence[Vote]:
        """Give what people said, the oldest first."""
        ...

    async def list(
        self, tenant: str | None, *, state: ApprovalState | None = None, after: str = "", limit: int = 50, run: str = ""
    ) -> Sequence[Approval]:
        """Give a page, the newest first. `after` is the id of the last one before."""
        ...

    async def pending_of(self, tenant: str, call: SameCall) -> Sequence[Approval]:
        """Give those pending that are about this call, the newest first, and those about this tool whose arguments were edited since."""
        ...

    async def vote(
        self,
        vote: Vote,
        *,
        version: int | None = None,
        edited: tuple[str, str] | None = None,
        notices: Sequence[Notice] = (),
    ) -> Resolution:
        """Count a vote, in one transaction with its consequences: state, the call's state, `notices` (only when it decides).

        One denial denies, and closes what others are asked about the same call; approvals count until there are `quorum` of one version. `edited` (canonical arguments, their sha256) replaces the arguments: the version
        grows and votes for the earlier one do not count any more; this vote, which approves, is for the new one. `version` is the one that the approver saw.
        Raises NotFound, AlreadyDecided (also for one whose time is over at `vote.at`), EditedMeanwhile, VotedAlready, and InvalidRequest for a
        denial that edits.
        """
        ...

    async def continue_by(self, asked_by: str, run: Run, items: Sequence[RunItem]) -> bool:
        """Add `run` (queued, or with a lease) with its input as what goes on after the run `asked_by`; False when another does already.

        Every approval of `asked_by` then names it as its `continuation`, and `asked_by` is completed. Raises NotAnswered while one of
        them is pending, NotFound where the tenant has no such run, and Conflict where it does not wait.
        """
        ...

    async def ready(self, before: float, *, most: int = 100) -> Sequence[str]:
        """Give runs that wait although all they asked was answered before then, and with which nobody has gone on: whoever would have has ended."""
        ...

    async def expire(self, now: float, *, most: int = 100) -> Sequence[Approval]:
        """Let those pending expire whose time is over, each with its call and a notice of kind `approval`; give them."""
        ...
