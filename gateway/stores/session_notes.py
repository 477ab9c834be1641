"""The port of what is kept of MCP clients' sessions: the little that a client says later than at its beginning, and only as long as the session can last.

A session without notes has no rows: most have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

MOST_RESOURCES: Final = 64
"""Resources that one session watches at most."""


class SessionNotes(Protocol):
    """Keeps them, by session. Everything raises StoreUnavailable."""

    async def level(self, session: str) -> str:
        """Give from which level on a session wants to hear what is logged; empty where it has not said so."""
        ...

    async def set_level(self, session: str, level: str, *, until: float) -> None:
        """Keep it, for as long as the session can last."""
        ...

    async def resources(self, session: str) -> Sequence[str]:
        """Give the resources that a session watches, by their URIs as its client knows them, sorted."""
        ...

    async def watch(self, session: str, uri: str, *, until: float) -> bool:
        """Have a session watch a resource; once is as good as twice. False where it watches as many as it may."""
        ...

    async def unwatch(self, session: str, uri: str) -> None:
        """Have a session no longer watch a resource."""
        ...

    async def sweep(self, now: float) -> int:
        """Forget what was kept of sessions that are over; give how much it was."""
        ...
