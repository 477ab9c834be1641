"""Keeps the messages in Slack as the approvals are: posts one, and changes it whenever the approval is another.

A message shows a state, not an event: whichever notice comes last, and however late, the message ends up right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from gateway.config.slack_settings import SlackSettings
from gateway.core.clock import Clock
from gateway.core.ids import NewId
from gateway.notices.approval_view import mark
from gateway.notices.delivery import Undeliverable, Undelivered
from gateway.slack.api import SlackApi
from gateway.slack.message import closed, message
from gateway.stores.approval_messages import ApprovalMessage, ApprovalMessages
from gateway.stores.approvals import ApprovalStore
from gateway.stores.outbox import Letter
from gateway.stores.tool_calls import Approval

log = structlog.get_logger()

_CHANGES: Final = 10
_QUIET: Final = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none"}
_POSTING_SECONDS: Final = 90.0
"""How long a message may be on its way before nobody waits for it any more."""


Place = Callable[[Approval, str], Awaitable[str]]
"""Gives the message in whose thread an approval is asked for in a channel; empty where it stands on its own."""


async def _nowhere(approval: Approval, channel: str) -> str:
    """Say that there are no threads."""
    del approval, channel
    return ""


class Posting:
    """Delivers letters of kind `slack`: `approval` and `channel`. `place` says in which thread."""

    def __init__(
        self,
        settings: SlackSettings,
        api: SlackApi,
        *,
        approvals: ApprovalStore,
        messages: ApprovalMessages,
        clock: Clock,
        new_id: NewId,
        place: Place = _nowhere,
    ) -> None:
        self._settings = settings
        self._api = api
        self._approvals = approvals
        self._messages = messages
        self._clock = clock
        self._new_id = new_id
        self._place = place

    async def __call__(self, letter: Letter) -> None:
        """Deliver one."""
        approval, channel = str(letter.body.get("approval")), str(letter.body.get("channel"))
        known = next((one for one in await self._messages.of(approval) if one.channel == channel), None)
        for _ in range(_CHANGES):
            shown = await self._show(approval, channel, known)
            if shown is None or shown == known:
                return
            known = shown
        msg = "the approval changes faster than its message"
        raise Undelivered(msg)

    async def _show(self, identifier: str, channel: str, known: ApprovalMessage | None) -> ApprovalMessage | None:
        """Have the message show the approval as it is now; None where there is none to be shown."""
        approval = await self._approvals.find(None, identifier)
        if approval is None:
            await self._close(known)
            return None
        if approval.tenant != self._settings.tenant:
            return None
        votes = await self._approvals.votes(identifier)
        said, now = mark(approval, votes), self._clock.wall()
        if known is None or not known.ts:
            if approval.state != "pending":
                self._look_for_late(known, now)
                return None
            thread = await self._place(approval, channel)
            if known is None:
                # Known before it is posted: nobody can click on what is not known.
                known = ApprovalMessage(approval=identifier, channel=channel, nonce=self._new_id(""), at=now)
                await self._messages.keep(known)
            content = message(approval, votes, known.nonce, show_url=self._settings.show_url)
            return await self._kept(known, await self._post(channel, thread, content), said)
        if known.shown == said:
            return known
        content = message(approval, votes, known.nonce, show_url=self._settings.show_url)
        await self._update(known, content)
        return await self._kept(known, known.ts, said)

    async def _post(self, channel: str, thread: str, content: dict[str, Any]) -> str:
        """Post a message, and give its name."""
        arguments = {"channel": channel, **content, **_QUIET}
        if thread:
            try:
                answer = await self._api.call("chat.postMessage", {**arguments, "thread_ts": thread})
                return str(answer.get("ts", ""))
            except Undeliverable as error:
                # The thread is deleted, or locked: a question that nobody sees would only expire.
                log.warning("slack.thread_gone", channel=channel, reason=error.reason)
        answer = await self._api.call("chat.postMessage", arguments)
        return str(answer.get("ts", ""))

    async def _close(self, known: ApprovalMessage | None) -> None:
        """Take the buttons from a message whose approval is gone, and forget it."""
        if known is None:
            return
        if not known.ts:
            self._look_for_late(known, self._clock.wall())
        else:
            await self._update(known, closed(known.approval))
        await self._messages.remove(known.approval, known.channel)

    async def _update(self, known: ApprovalMessage, content: dict[str, Any]) -> None:
        try:
            await self._api.call("chat.update", {"channel": known.channel, "ts": known.ts, "parse": "none", **content})
        except Undeliverable as error:
            if error.reason != "message_not_found":
                raise
            # Somebody deleted it: there is nothing to click on.

    def _look_for_late(self, known: ApprovalMessage | None, now: float) -> None:
        """Raise Undelivered when a message may still be on its way: it would come with buttons."""
        if known is not None and now - known.at < _POSTING_SECONDS:
            msg = "the message is on its way"
            raise Undelivered(msg, after=2.0)

    async def _kept(self, known: ApprovalMessage, ts: str, shown: str) -> ApprovalMessage:
        kept = ApprovalMessage(
            approval=known.approval, channel=known.channel, nonce=known.nonce, ts=ts, shown=shown, at=known.at
        )
        await self._messages.keep(kept)
        return kept
