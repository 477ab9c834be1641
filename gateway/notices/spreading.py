"""From one notice, that something happened to an approval, to one for each of those who are told. It sends nothing itself.

What they are told is how the approval stands when they are told: a notice that comes late says nothing that is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from gateway.config.approval_settings import ApprovalSettings
from gateway.config.slack_settings import SlackSettings
from gateway.core.clock import Clock
from gateway.notices.approval_view import mark
from gateway.stores.approval_messages import ApprovalMessages
from gateway.stores.approvals import ApprovalStore
from gateway.stores.outbox import Letter, Outbox
from gateway.stores.tool_calls import Approval, Notice

APPROVAL: Final = "approval"
SLACK: Final = "slack"
WEBHOOK: Final = "webhook"
ESCALATION: Final = "escalation"
GONE: Final = "gone"


ThreadOf = Callable[[Approval], Awaitable[str]]
"""Gives the channel of the thread that an approval is asked for in; empty where there is none."""


async def _no_thread(approval: Approval) -> str:
    """Say that there are no threads."""
    del approval
    return ""


class Spreading:
    """Delivers letters of kind `approval`: `approval` is its id, `event` may be `escalation`."""

    def __init__(
        self,
        settings: ApprovalSettings,
        slack: SlackSettings | None,
        *,
        approvals: ApprovalStore,
        messages: ApprovalMessages,
        outbox: Outbox,
        clock: Clock,
        thread_of: ThreadOf = _no_thread,
    ) -> None:
        self._settings = settings
        self._slack = slack
        self._approvals = approvals
        self._messages = messages
        self._outbox = outbox
        self._clock = clock
        self._thread_of = thread_of

    async def __call__(self, letter: Letter) -> None:
        """Deliver one."""
        approval = await self._approvals.find(None, str(letter.body.get("approval")))
        if approval is None:
            await self._tell_gone(letter)
            return
        if letter.body.get("event") == ESCALATION:
            await self._escalate(approval)
            return
        said = mark(approval, await self._approvals.votes(approval.id))
        channels = await self._asked(approval)
        await self._put(
            [*self._slack_notices(approval, channels, said), *self._webhook_notices(approval.id, approval.tenant, said)]
        )
        after = self._settings.escalate_after
        if approval.state == "pending" and after is not None:
            late = Notice(
                kind=APPROVAL, dedupe=f"{APPROVAL}:{approval.id}:{ESCALATION}", body={"approval": approval.id, "event": ESCALATION}
            )  # fmt: skip
            await self._outbox.put([late], at=approval.created_at + after)

    async def _tell_gone(self, letter: Letter) -> None:
        """Tell who was asked that the run was deleted, and its questions with it."""
        identifier = str(letter.body.get("approval"))
        slack = [
            Notice(kind=SLACK, dedupe=f"{SLACK}:{message.channel}:{identifier}:{GONE}", body={"approval": identifier, "channel": message.channel})
            for message in await self._messages.of(identifier)
        ]  # fmt: skip
        tenant = str(letter.body.get("tenant", ""))
        await self._put([*slack, *self._webhook_notices(identifier, tenant, GONE)])

    async def _escalate(self, approval: Approval) -> None:
        if approval.state != "pending":
            return
        channels: set[str] = set()
        if self._slack is not None and self._slack.tenant == approval.tenant:
            slack = self._slack
            of_groups = {slack.channels.get(group, slack.channel) for group in self._settings.escalate_to}
            channels = of_groups or {slack.escalation_channel or slack.channel}
        # With the mark of an escalation, a channel that was told already is told again of nothing new.
        notices = self._slack_notices(approval, channels, ESCALATION)
        await self._put([*notices, *self._webhook_notices(approval.id, approval.tenant, ESCALATION)])

    async def _put(self, notices: Sequence[Notice]) -> None:
        if notices:
            await self._outbox.put(notices, at=self._clock.wall())

    async def _asked(self, approval: Approval) -> Collection[str]:
        """Give the channels that hear of it: those that were asked, and while it is pending those that are to be."""
        slack = self._slack
        if slack is None or slack.tenant != approval.tenant:
            return ()
        channels = {message.channel for message in await self._messages.of(approval.id)}
        if approval.state == "pending":
            # In the thread of its incident it is asked in the place of the channel for all; groups with their own hear of it there, too.
            thread = await self._thread_of(approval)
            common = thread or slack.channel
            channels |= {slack.channels.get(group, common) for group in approval.groups} | (
                {thread} if thread else set()
            )
            channels = channels or {common}
        return channels

    def _slack_notices(self, approval: Approval, channels: Collection[str], said: str) -> list[Notice]:
        return [
            Notice(
                kind=SLACK,
                dedupe=f"{SLACK}:{channel}:{approval.id}:{said}",
                body={"approval": approval.id, "channel": channel},
            )
            for channel in sorted(channels)
        ]

    def _webhook_notices(self, approval: str, tenant: str, said: str) -> list[Notice]:
        return [
            Notice(
                kind=WEBHOOK,
                dedupe=f"{WEBHOOK}:{name}:{approval}:{said}",
                body={"approval": approval, "webhook": name, "event": _event(said)},
            )
            for name, webhook in self._settings.webhooks.items()
            if webhook.tenant in (None, tenant)
        ]


def _event(said: str) -> str:
    """Give what programs call it."""
    if said == ESCALATION:
        return "approval.escalated"
    if said == "pending:1:0":
        return "approval.requested"
    return "approval.changed" if said.startswith("pending") else "approval.resolved"
