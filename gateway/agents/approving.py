"""The desk of approvals: how people and programs answer, whatever channel they come through. It knows no HTTP and no Slack.

A vote that decides has its consequences here: when the last question of a run that waits is answered, what goes on after it is
added to the journal, once, whoever answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.stores.tool_calls import Approval, Vote

Channel = Literal["api", "admin", "cli", "slack", "console"]


class Ballot(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `edited` are arguments to be used in place of those that were asked about; with it `approve` is true.

    `version` is the version of the approval that the person saw, None where the channel does not say. `reason` goes to the model
    when it is a denial, and is the answer itself for a question.
    """

    approval: str
    approve: bool
    reason: str = ""
    edited: dict[str, Json] | None = None
    version: int | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a ballot. `decided` says whether this one decided; `continuation` is the run that goes on, empty where none does yet."""

    approval: Approval
    votes: Sequence[Vote]
    decided: bool
    continuation: str = ""


class ApprovalDesk(Protocol):
    """Takes answers. What a tenant does not have is not found, whoever has it."""

    def objection(self, approver: Caller, approval: Approval) -> str:
        """Say why this person may not answer; empty where it is allowed. Rights of the administration are the endpoint's business."""
        ...

    async def vote(self, approver: Caller, ballot: Ballot, *, channel: Channel) -> Verdict:
        """Count an answer, and go on where it was the last that a run waited for.

        Raises NotFound; Forbidden for one who may not answer, and for edited arguments that the policies do not allow; InvalidRequest
        for those that the tool does not take; Conflict where it was decided before (its message says by whom, when, and which response goes on),
        the person has voted, or the approval was changed since `version`.
        """
        ...

    async def expired(self, approvals: Sequence[Approval]) -> None:
        """Go on with the runs that waited for these, which have just expired: that counts as a denial."""
        ...
