"""resources/subscribe and resources/unsubscribe (2025-11-25): what a session watches is kept where every replica finds it, and said on the session's stream."""

from __future__ import annotations

from typing import Any

from mcp import MCPError
from mcp_types import INVALID_REQUEST

from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.offering import Answer, McpOffers
from gateway.api.mcp.resources import missing
from gateway.api.mcp.sessions import Session, session_of
from gateway.policies.facts import offered
from gateway.stores.session_notes import MOST_RESOURCES, SessionNotes


class Watching:
    """Handlers."""

    def __init__(self, desk: McpDesk, offers: McpOffers) -> None:
        self._desk = desk
        self._offers = offers

    async def watch(self, context: Any, params: Any) -> Answer:
        """Watch a resource, as far as it may be read."""
        session, notes = self._session(context)
        asker, view = self._offers.asker(context), self._offers.view()
        found = view.uris.inner(params.uri)
        if found is None or found[0] not in view.servers:
            raise missing(asker, params.uri)
        known = await self._offers.known(view)
        about = offered("resource", *found)
        if not view.may_read(asker.caller, *found, known.get(found[0])):
            self._offers.note(asker, "mcp.resource_watched", about, "not_found")
            raise missing(asker, params.uri)
        if not await notes.watch(session.id, params.uri, until=session.until):
            self._offers.note(asker, "mcp.resource_watched", about, "too_many")
            raise MCPError(INVALID_REQUEST, f"A session watches at most {MOST_RESOURCES} resources.")
        self._desk.sessions.changed(session.id)
        self._offers.note(asker, "mcp.resource_watched", about, "ok")
        return {}

    async def unwatch(self, context: Any, params: Any) -> Answer:
        """No longer watch a resource; one that was not watched is as good."""
        session, notes = self._session(context)
        await notes.unwatch(session.id, params.uri)
        self._desk.sessions.changed(session.id)
        return {}

    def _session(self, context: Any) -> tuple[Session, SessionNotes]:
        session = session_of(context.request.scope) if context.request is not None else None
        notes = self._desk.sessions.notes
        if session is None or notes is None:
            raise MCPError(INVALID_REQUEST, "Resources are watched by sessions, and this request belongs to none.")
        return session, notes
