"""Tells of incidents in Slack: one message each, and all that follows in its thread, in order. What is to be told it reads from the database.

Whichever notice comes, and however late, the thread is brought to where the incident is: what was told is known by its number. One process at a
time does so for an incident. What is killed between a message and the note that it was posted posts it once more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, Final

import anyio
import msgspec

from gateway.config.slack_settings import IncidentThreadSettings, SlackSettings
from gateway.core.clock import Clock
from gateway.notices.delivery import Undeliverable, Undelivered
from gateway.slack.api import SlackApi
from gateway.slack.incident_message import Message, Standing, head, reply, so_far, standing
from gateway.stores.incident_threads import IncidentThread, IncidentThreads
from gateway.stores.incidents import Incident, IncidentEvent, IncidentStore
from gateway.stores.outbox import Letter
from gateway.stores.runs import Run, RunStore
from gateway.stores.tool_calls import Approval, ToolJournal
from gateway.triggers.acting import deeds, words_of
from gateway.triggers.following import DEED

_HELD_SECONDS: Final = 60.0
_BUSY: Final = 2.0
"""Seconds until another look, where another process tells of the same incident."""
_FARTHEST: Final = 16
"""Runs between one that asks and the one that a trigger began: those that it goes on from, and those that called it."""
_QUIET: Final = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none"}


class IncidentTelling:
    """Delivers letters of kind `incident`, and says in which thread an approval is asked for."""

    def __init__(
        self,
        settings: SlackSettings,
        api: SlackApi,
        *,
        incidents: IncidentStore,
        threads: IncidentThreads,
        runs: RunStore,
        calls: ToolJournal,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._own = settings.incidents or IncidentThreadSettings()
        self._channel = self._own.channel or settings.channel
        self._api = api
        self._incidents = incidents
        self._threads = threads
        self._runs = runs
        self._calls = calls
        self._clock = clock
        self._locks: dict[str, anyio.Lock] = {}

    async def __call__(self, letter: Letter) -> None:
        """Deliver one."""
        incident = await self._incidents.find(self._settings.tenant, str(letter.body.get("incident")))
        if incident is not None and self._is_told(incident):
            await self._tell(incident, None)

    async def channel_for(self, approval: Approval) -> str:
        """Give the channel of the thread that an approval is asked for in; empty where there is none."""
        incident = await self._incident_of(approval)
        return "" if incident is None else self._channel

    async def place_of(self, approval: Approval, channel: str) -> str:
        """Give the message in whose thread an approval is to be asked for in a channel, once all before it is told; empty where there is none."""
        incident = await self._incident_of(approval) if channel == self._channel else None
        if incident is None:
            return ""
        thread = await self._tell(incident, approval)
        return thread.ts

    def _is_told(self, incident: Incident) -> bool:
        names = self._own.triggers
        return incident.trigger in names if names else incident.kind != "tick"

    async def _incident_of(self, approval: Approval) -> Incident | None:
        """Give the incident that an approval belongs to: its run, or one that this goes on from or was called by, was begun for it."""
        if approval.tenant != self._settings.tenant:
            return None
        name = approval.run
        for _ in range(_FARTHEST):
            if found := await self._threads.incident_of(name):
                incident = await self._incidents.find(self._settings.tenant, found)
                return incident if incident is not None and self._is_told(incident) else None
            run = await self._runs.find(approval.tenant, name)
            name = "" if run is None else run.continues or run.parent
            if not name:
                return None
        return None

    async def _tell(self, incident: Incident, asked: Approval | None) -> IncidentThread:
        async with self._alone(incident.id):
            now = self._clock.wall()
            thread = await self._threads.claim(incident.id, self._channel, now=now, until=now + _HELD_SECONDS)
            if thread is None:
                msg = "another process tells of the incident"
                raise Undelivered(msg, after=_BUSY)
            try:
                # As it is now: it may have been told of since.
                found = await self._incidents.find(incident.tenant, incident.id) or incident
                return await self._told(found, thread, asked)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._threads.release(incident.id)

    async def _told(self, incident: Incident, thread: IncidentThread, asked: Approval | None) -> IncidentThread:
        events = await self._incidents.events(incident.id)
        run = await self._runs.find(incident.tenant, incident.run) if incident.run else None
        stands = await self._stands(incident, run, events)
        shown = f"{stands.state}|{stands.result}|{incident.firing}|{incident.alerts}|{incident.run if self._own.link else ''}"
        if not thread.ts or thread.shown != shown:
            alerts = await self._incidents.alerts(incident.id, most=1)
            content = head(incident, alerts, stands, self._own)
            thread = await self._headed(thread, content)
            thread = await self._kept(msgspec.structs.replace(thread, shown=shown))
        for some in _together(event for event in events if event.seq > thread.told_seq):
            said = reply(some, await self._words(incident, some[-1]), self._own)
            if said is not None:
                await self._reply(thread, said)
            thread = await self._kept(msgspec.structs.replace(thread, told_seq=some[-1].seq))
        if asked is not None and asked.id not in thread.asked:
            before = await self._so_far(asked)
            if before is not None:
                await self._reply(thread, before)
            thread = await self._kept(msgspec.structs.replace(thread, asked=(*thread.asked, asked.id)))
        return thread

    async def _stands(self, incident: Incident, run: Run | None, events: Sequence[IncidentEvent]) -> Standing:
        ended = "" if run is None else run.status
        words = await self._last_words(run) if run is not None and not incident.phase else ""
        return standing(incident, ended, words, [event for event in events if event.name == DEED])

    async def _words(self, incident: Incident, event: IncidentEvent) -> str:
        """Give the words that the run of an event ended with, or why it failed."""
        name = event.body.get("run")
        if not event.name.startswith("run.") or event.name in ("run.begun", "run.waiting", "run.continued") or not name:
            return ""
        run = await self._runs.find(incident.tenant, str(name))
        return "" if run is None else await self._last_words(run)

    async def _last_words(self, run: Run) -> str:
        words = words_of(await self._runs.items(run.id, "output"))
        error: Any = (run.response or {}).get("error")
        return words or (str(error.get("message") or "") if isinstance(error, dict) else "")

    async def _so_far(self, asked: Approval) -> Message | None:
        items = await self._runs.items(asked.run, "output")
        return so_far(deeds(asked.run, await self._calls.calls(asked.run), items), words_of(items))

    async def _headed(self, thread: IncidentThread, content: Message) -> IncidentThread:
        """Have the first message say this."""
        if not thread.ts:
            answer = await self._api.call("chat.postMessage", {"channel": thread.channel, **content, **_QUIET})
            return msgspec.structs.replace(thread, ts=str(answer.get("ts", "")))
        try:
            arguments = {"channel": thread.channel, "ts": thread.ts, "parse": "none", **content}
            await self._api.call("chat.update", arguments)
        except Undeliverable as error:
            if error.reason != "message_not_found":
                raise
            # Somebody deleted it: what follows is still said, where Slack lets it.
        return thread

    async def _reply(self, thread: IncidentThread, content: Message) -> None:
        arguments = {"channel": thread.channel, "thread_ts": thread.ts, **content, **_QUIET}
        await self._api.call("chat.postMessage", arguments)

    async def _kept(self, thread: IncidentThread) -> IncidentThread:
        await self._threads.keep(thread)
        return thread

    @asynccontextmanager
    async def _alone(self, incident: str) -> AsyncIterator[None]:
        """Wait for one's turn among those of this process: to ask the database again and again would cost more."""
        lock = self._locks.setdefault(incident, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._locks.pop(incident, None)


def _together(events: Iterator[IncidentEvent]) -> Iterator[list[IncidentEvent]]:
    """Give events in lists: alerts that come one after the other are one reply."""
    for name, some in groupby(events, key=lambda event: event.name):
        if name.startswith("alerts."):
            yield list(some)
        else:
            yield from ([event] for event in some)
