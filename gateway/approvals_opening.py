"""Where people's answers come from: desk, notices, Slack, put together for one application. It does none of their work."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Protocol

import msgspec
from anyio import CancelScope, create_task_group

from gateway.agents.answers import Answers
from gateway.agents.running import Running
from gateway.api import slack_interactions
from gateway.api.admin_runs import Watching
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.config import Settings
from gateway.core.clock import Clock
from gateway.notices.counts import Counts
from gateway.notices.delivery import Deliver
from gateway.notices.expiring import Expiring
from gateway.notices.sender import Sender
from gateway.notices.spreading import APPROVAL, SLACK, WEBHOOK, Spreading
from gateway.notices.webhook import Webhooks
from gateway.slack.api import SlackApi
from gateway.slack.clicking import Clicking
from gateway.slack.incident_telling import IncidentTelling
from gateway.slack.posting import Posting
from gateway.stores.approval_messages import ApprovalMessages
from gateway.stores.approvals import ApprovalStore
from gateway.stores.audit_log import AuditLog
from gateway.stores.incident_threads import IncidentThreads
from gateway.stores.incidents import IncidentStore
from gateway.stores.incidents_rows import INCIDENT
from gateway.stores.outbox import Letter, Outbox
from gateway.stores.runs import RunStore
from gateway.stores.tool_calls import Approval, ToolJournal


class Kept(Protocol):
    """The stores that it takes."""

    @property
    def runs(self) -> RunStore:
        """What asks."""
        ...

    @property
    def calls(self) -> ToolJournal:
        """What is asked about."""
        ...

    @property
    def approvals(self) -> ApprovalStore:
        """What is asked."""
        ...

    @property
    def messages(self) -> ApprovalMessages:
        """Where it is asked."""
        ...

    @property
    def incidents(self) -> IncidentStore:
        """What triggers were sent, which may be what is asked about."""
        ...

    @property
    def threads(self) -> IncidentThreads:
        """Where people are told of it."""
        ...

    @property
    def outbox(self) -> Outbox:
        """What is to be said."""
        ...

    @property
    def audit(self) -> AuditLog:
        """What was answered."""
        ...


class _InThreads:
    """Has what goes to Slack said in threads of incidents, where there are any."""

    def __init__(self, settings: Settings, api: SlackApi | None, kept: Kept, clock: Clock) -> None:
        slack = settings.slack
        self.telling = (
            None
            if api is None or slack is None or slack.incidents is None
            else IncidentTelling(
                slack,
                api,
                incidents=kept.incidents,
                threads=kept.threads,
                runs=kept.runs,
                calls=kept.calls,
                clock=clock,
            )
        )

    async def deliver(self, letter: Letter) -> None:
        """Tell of an incident; where there are no threads, that is nothing."""
        if self.telling is not None:
            await self.telling(letter)

    async def channel_for(self, approval: Approval) -> str:
        """Give the channel of the thread of an approval, empty where there is none."""
        return "" if self.telling is None else await self.telling.channel_for(approval)

    async def place_of(self, approval: Approval, channel: str) -> str:
        """Give the message in whose thread an approval is asked for, empty where it stands on its own."""
        return "" if self.telling is None else await self.telling.place_of(approval, channel)


class Approvals(msgspec.Struct, frozen=True, kw_only=True):
    """What an application has whose runs ask people: nothing where there are no runs, and `clicking` only with Slack."""

    edge: Edge
    watching: Watching | None = None
    answers: Answers | None = None
    sender: Sender | None = None
    expiring: Expiring | None = None
    api: SlackApi | None = None
    clicking: Clicking | None = None

    @property
    def endpoints(self) -> Mapping[str, AsgiApp]:
        """Give the endpoints besides those of the admin API."""
        if self.clicking is None:
            return {}
        return {slack_interactions.PATH: slack_interactions.endpoint(self.edge, self.clicking.take)}

    async def run(self) -> None:
        """Send notices, let questions expire, and tell people what became of their clicks; until cancelled."""
        try:
            async with create_task_group() as tasks:
                for part in (self.sender, self.expiring, self.clicking):
                    if part is not None:
                        tasks.start_soon(part.run)
        finally:
            if self.api is not None:
                with CancelScope(shield=True):
                    await self.api.aclose()


def open_approvals(
    settings: Settings, edge: Edge, counts: Counts, runs: Running | None, kept: Kept | None
) -> Approvals:
    """Put it together; nothing runs yet. `counts` is what the metrics read, `runs` None where there are none."""
    if runs is None or kept is None or runs.approvals is None:
        return Approvals(edge=edge)
    asked, slack, clock, desk = settings.approvals, settings.slack, edge.clock, runs.approvals
    store, outbox = kept.approvals, kept.outbox
    api = None if slack is None else SlackApi(slack, clock)
    threads = _InThreads(settings, api, kept, clock)
    messages = kept.messages
    deliver: dict[str, Deliver] = {
        APPROVAL: Spreading(
            asked, slack, approvals=store, messages=messages, outbox=outbox, clock=clock, thread_of=threads.channel_for
        ),
        WEBHOOK: Webhooks(asked.webhooks, store, clock),
        INCIDENT: threads.deliver,
    }
    if slack is not None and api is not None:
        deliver[SLACK] = Posting(
            slack, api, approvals=store, messages=messages, clock=clock, new_id=edge.new_id, place=threads.place_of
        )
    sender = Sender(
        outbox, deliver, tries=asked.tries, poll=asked.poll, counts=counts, clock=clock, jitter=random.random
    )
    answers = Answers(desk, store, outbox, kept.audit, told=sender.wake, counts=counts, clock=clock)
    desk.heard = answers.heard
    expiring = Expiring(store, outbox, desk.expired, poll=asked.poll, told=sender.wake, counts=counts, clock=clock)
    clicking = None
    if slack is not None and api is not None:
        clicking = Clicking(slack, api, answers, kept.messages, counts=counts, clock=clock)
    watching = Watching(desk=runs, runs=kept.runs, calls=kept.calls, approvals=store, travel=runs.travel)
    return Approvals(
        watching=watching, answers=answers, sender=sender, expiring=expiring, edge=edge, api=api, clicking=clicking
    )
