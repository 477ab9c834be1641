"""Answers to approvals on their way to the desk: each goes into the audit log, and whoever shows the approval hears of it.

Every channel in which people answer comes through here, but for the Responses API: its answers are part of a run that goes on, and are
only heard of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from gateway.agents.approving import ApprovalDesk, Ballot, Channel, Verdict
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import Conflict, Forbidden, NotFound, SwitchgearError
from gateway.notices.approval_view import mark
from gateway.notices.counts import Counts
from gateway.notices.spreading import APPROVAL
from gateway.stores.approvals import ApprovalStore
from gateway.stores.audit import AuditActor, AuditObject
from gateway.stores.audit_log import AuditLog
from gateway.stores.outbox import Outbox
from gateway.stores.tool_calls import Approval, Notice, Vote

log = structlog.get_logger()


class Answers:
    """Takes them. `told` is called when there may be something to send."""

    def __init__(
        self,
        desk: ApprovalDesk,
        approvals: ApprovalStore,
        outbox: Outbox,
        audit: AuditLog,
        *,
        told: Callable[[], None],
        counts: Counts,
        clock: Clock,
    ) -> None:
        self.approvals = approvals
        self._desk = desk
        self._outbox = outbox
        self._audit = audit
        self._told = told
        self._counts = counts
        self._clock = clock

    def objection(self, approver: Caller, approval: Approval) -> str:
        """Say why this person may not answer; empty where it is allowed."""
        return self._desk.objection(approver, approval)

    async def answer(
        self, approver: Caller, ballot: Ballot, *, channel: Channel, address: str = "", actor: Caller | None = None
    ) -> Verdict:
        """Count an answer. `actor` is who is written into the audit log, where that is not simply the approver.

        Raises what the desk raises, and StoreUnavailable where the audit log cannot be written: then nothing is counted.
        """
        approval = await self.approvals.find(approver.tenant, ballot.approval)
        if approval is None:
            msg = "There is no such approval here."
            raise NotFound(msg)
        by = AuditActor.of(actor or approver, address=address)
        about = AuditObject(kind="approval", id=approval.id, tenant=approval.tenant)
        action = "approval.edited" if ballot.edited is not None else f"approval.{_verb(ballot)}"
        details = _details(approval, ballot, approver, channel)
        try:
            async with self._audit.around(action, actor=by, about=about, details=details) as found:
                verdict = await self._desk.vote(approver, ballot, channel=channel)
                found.update(_came_of(verdict))
        except (Conflict, Forbidden) as error:
            refused = {**details, "code": error.code, "why": error.message}
            self._audit.record_later("approval.refused", actor=by, about=about, details=refused)
            raise
        self._counts.answers.add((_verb(ballot), channel))
        log.info("approval.answered", approval=approval.id, verdict=_verb(ballot), by=approver.user or approver.id)
        await self.tell(verdict.approval, verdict.votes)
        return verdict

    def heard(self, caller: Caller, approval: Approval, ballot: Ballot, verdict: Verdict) -> None:
        """Note an answer that came with a request for a response, and was counted. Never raises."""
        self._audit.record_later(
            f"approval.{_verb(ballot)}",
            actor=AuditActor.of(caller),
            about=AuditObject(kind="approval", id=approval.id, tenant=approval.tenant),
            details={**_details(approval, ballot, caller, "api"), **_came_of(verdict)},
        )
        self._counts.answers.add((_verb(ballot), "api"))
        self._told()

    async def tell(self, approval: Approval, votes: Sequence[Vote]) -> None:
        """See to it that whoever shows the approval shows it as it is now. Never raises: the answer is counted."""
        said = mark(approval, votes)
        notice = Notice(kind=APPROVAL, dedupe=f"{APPROVAL}:{approval.id}:{said}", body={"approval": approval.id})
        try:
            await self._outbox.put([notice], at=self._clock.wall())
        except SwitchgearError as error:
            log.warning("approval.not_told", approval=approval.id, reason=error.message)
        self._told()


def _verb(ballot: Ballot) -> str:
    return "approved" if ballot.approve else "denied"


def _details(approval: Approval, ballot: Ballot, approver: Caller, channel: str) -> Mapping[str, Any]:
    edited = None if ballot.edited is None else msgspec.json.encode(ballot.edited, order="sorted").decode()
    return {
        "run": approval.run,
        "call": approval.call,
        "server": approval.server,
        "tool": approval.tool,
        "approver": approver.user or approver.id,
        "channel": channel,
        "reason": ballot.reason,
        "version": approval.version if ballot.version is None else ballot.version,
        "arguments_sha256": approval.arguments_hash,
        **({} if edited is None else {"edited": edited}),
    }


def _came_of(verdict: Verdict) -> dict[str, Any]:
    return {
        "state": verdict.approval.state,
        "decided": verdict.decided,
        "arguments_sha256_after": verdict.approval.arguments_hash,
        "continuation": verdict.continuation,
    }
