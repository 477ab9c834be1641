"""Takes what Slack sends of clicks: a click is a vote of the person that its user is here. What a vote does is the desk's business.

Slack waits for three seconds. So the vote is counted first and the answer given then; messages and forms come after it, by
the Web API.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from anyio import Event, create_task_group, move_on_after, sleep_forever
from anyio.abc import TaskGroup

from gateway.agents.answers import Answers
from gateway.agents.approving import Ballot
from gateway.config.slack_settings import SlackSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest, SwitchgearError, Unauthenticated, Unavailable
from gateway.notices.counts import Counts
from gateway.notices.delivery import Undeliverable, Undelivered
from gateway.slack.api import SlackApi
from gateway.slack.message import ANSWER, APPROVE, DENY, REASON, modal
from gateway.slack.payload import Click, read_click
from gateway.slack.signature import is_slacks
from gateway.stores.approval_messages import ApprovalMessages
from gateway.stores.tool_calls import Approval

log = structlog.get_logger()

Job = Callable[[], Awaitable[None]]

_PATIENCE: Final = 2.2
"""Seconds: Slack's three, less the way to us and back."""
_MOST_WAITING: Final = 1000

_OUT_OF_DATE: Final = "This message is out of date: the approval is no more as it was shown here."
_TOO_SLOW: Final = "This takes long. You are told what became of it: do not answer again before that."
_CRASHED: Final = "This did not work, and the reason is in the server's log."
_COUNTED: Final = "Your answer was counted."


class Clicking:
    """Takes clicks. `run` must be running for forms to open and for people to be told why a click came to nothing."""

    def __init__(
        self,
        settings: SlackSettings,
        api: SlackApi,
        answers: Answers,
        messages: ApprovalMessages,
        *,
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._api = api
        self._answers = answers
        self._messages = messages
        self._counts = counts
        self._clock = clock
        self._tasks: TaskGroup | None = None
        self._waiting = 0

    async def take(self, headers: Mapping[bytes, bytes], body: bytes) -> dict[str, Any] | None:
        """Take one request and give the document to answer with, None for none. Raises Unauthenticated and InvalidRequest."""
        timestamp, signature = headers.get(b"x-slack-request-timestamp", b""), headers.get(b"x-slack-signature", b"")
        secret = self._settings.signing_secret.reveal()
        if not is_slacks(body, timestamp, signature, secret=secret, now=self._clock.wall()):
            self._counts.clicks.add(("unsigned",))
            msg = "This is not signed by Slack, or not within the last five minutes."
            raise Unauthenticated(msg)
        try:
            click = read_click(body)
        except InvalidRequest:
            self._counts.clicks.add(("malformed",))
            raise
        return await self._acted(click)

    async def run(self) -> None:
        """Do what was clicked, open forms and tell people, until cancelled."""
        async with create_task_group() as tasks:
            self._tasks = tasks
            try:
                await sleep_forever()
            finally:
                self._tasks = None

    @property
    def busy(self) -> bool:
        """Whether something is still to be done of what was clicked."""
        return self._waiting > 0

    async def _acted(self, click: Click) -> dict[str, Any] | None:
        """Do what was clicked, and give what Slack is to show; what takes longer than Slack waits is told when it is done."""
        done, late = Event(), Event()
        said = _CRASHED

        async def act() -> None:
            nonlocal said
            try:
                said = await self._act(click)
            finally:
                done.set()
                if late.is_set():
                    self._tell(click, said or _COUNTED)

        self._start(act)
        with move_on_after(_PATIENCE):
            await done.wait()
        if not done.is_set():
            # It goes on: to break it off now would only mean that nobody knows what became of it.
            late.set()
            return _form_error(_TOO_SLOW) if click.submitted else None
        if not said:
            return None
        if click.submitted:
            return _form_error(said)
        self._tell(click, said)
        return None

    async def _act(self, click: Click) -> str:
        """Do what was clicked; give what is to be said to who clicked, empty where nothing is."""
        try:
            approval, approver = await self._approval(click), self._approver(click)
        except SwitchgearError as error:
            return error.message
        if approval is None or click.ticket is None:
            self._counts.clicks.add(("out_of_date",))
            return _OUT_OF_DATE
        if approver is None:
            self._counts.clicks.add(("unknown",))
            return (
                f"You are not known here as somebody who may answer. An administrator adds {click.who} to slack.users."
            )
        if not click.submitted and click.action != APPROVE:
            return self._ask_for_words(click, approval, approver)
        return await self._vote(click, approver)

    async def _vote(self, click: Click, approver: Caller) -> str:
        ticket = click.ticket
        if ticket is None:
            return _OUT_OF_DATE
        ballot = Ballot(
            approval=ticket.approval,
            approve=click.action != DENY,
            reason=click.reason,
            version=ticket.version,
        )
        try:
            await self._answers.answer(approver, ballot, channel="slack")
        except SwitchgearError as error:
            self._counts.clicks.add(("refused",))
            return error.message
        self._counts.clicks.add(("counted",))
        return ""

    async def _approval(self, click: Click) -> Approval | None:
        """Give the approval that a message of ours shows; None where the click is on none. Raises StoreUnavailable."""
        if click.ticket is None:
            return None
        messages = await self._messages.of(click.ticket.approval)
        if not any(hmac.compare_digest(message.nonce.encode(), click.ticket.nonce.encode()) for message in messages):
            return None
        return await self._answers.approvals.find(self._settings.tenant, click.ticket.approval)

    def _approver(self, click: Click) -> Caller | None:
        person = self._settings.users.get(click.who)
        if person is None:
            return None
        return Caller(
            id=f"slack:{click.who}",
            kind="slack",
            tenant=self._settings.tenant,
            user=person.user,
            groups=person.groups,
            role="approver",
        )

    def _ask_for_words(self, click: Click, approval: Approval, approver: Caller) -> str:
        objection = self._answers.objection(approver, approval)
        if objection:
            self._counts.clicks.add(("refused",))
            return objection
        if approval.state != "pending" or click.ticket is None:
            self._counts.clicks.add(("out_of_date",))
            return _OUT_OF_DATE
        view = modal(click.ticket, click.channel, approve=click.action == ANSWER, kind=approval.kind)
        self._soon("views.open", {"trigger_id": click.trigger, "view": view})
        self._counts.clicks.add(("asked",))
        return ""

    def _tell(self, click: Click, said: str) -> None:
        # Shown to nobody else, and never as markup: an error's text may repeat what somebody wrote.
        text = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:2000]
        self._soon("chat.postEphemeral", {"channel": click.channel, "user": click.user, "text": text, "parse": "none"})

    def _soon(self, method: str, arguments: dict[str, Any]) -> None:
        async def job() -> None:
            try:
                await self._api.call(method, arguments)
            except (Undelivered, Undeliverable) as error:
                log.warning("slack.not_told", method=method, reason=error.reason)

        if self._waiting >= _MOST_WAITING:
            log.warning("slack.not_told", method=method, reason="too many wait")
            return
        self._start(job)

    def _start(self, job: Job) -> None:
        """Have something done, whatever becomes of the request that it came with. Raises Unavailable."""
        if self._tasks is None:
            msg = "The server is starting, or shutting down."
            raise Unavailable(msg)
        self._waiting += 1
        self._tasks.start_soon(self._do, job)

    async def _do(self, job: Job) -> None:
        try:
            await job()
        except Exception:
            log.exception("slack.job.crashed")
        finally:
            self._waiting -= 1


def _form_error(said: str) -> dict[str, Any]:
    return {"response_action": "errors", "errors": {REASON: said[:2000]}}
