"""The port of the threads in which people are told of incidents: where each stands, and how far it has come."""

from __future__ import annotations

from typing import Protocol

import msgspec


class IncidentThread(msgspec.Struct, frozen=True, kw_only=True):
    """The thread of an incident. There is at most one.

    `ts` is the channel's own name for its first message, empty while nobody knows whether it was posted; `shown` says which state that message
    shows. `told_seq` is the number of the last event of the incident that was told, `asked` are the approvals before which was told what was done so far.
    """

    incident: str
    channel: str
    ts: str = ""
    shown: str = ""
    told_seq: int = 0
    asked: tuple[str, ...] = ()


class IncidentThreads(Protocol):
    """Keeps them. Everything raises StoreUnavailable."""

    async def find(self, incident: str) -> IncidentThread | None:
        """Give the thread of an incident."""
        ...

    async def claim(self, incident: str, channel: str, *, now: float, until: float) -> IncidentThread | None:
        """Have the thread to oneself until then, a new one where there is none; None while another one has it. What is told in it has an order."""
        ...

    async def keep(self, thread: IncidentThread) -> None:
        """Write how far it has come."""
        ...

    async def release(self, incident: str) -> None:
        """Let others have it."""
        ...

    async def incident_of(self, run: str) -> str:
        """Give the incident that a run was begun for; empty for a run that none was."""
        ...
