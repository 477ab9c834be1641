"""Sessions of clients before 2026-07-28: what a client said of itself when it began, sealed into the session's own name. Any replica opens it, and none keeps it.

Whoever brings a name that was sealed for somebody else, was changed, or is too old is told that there is no such session (404): such a client begins anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

import anyio
import msgspec
import structlog

from gateway.api.asgi import Scope
from gateway.api.mcp.states import person_key
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.stores.sealing import Seal, Unsealable
from gateway.stores.session_notes import SessionNotes

log = structlog.get_logger()

DEFAULT_LEVEL: Final = "info"
HEADER: Final = b"mcp-session-id"
SESSION: Final = "switchgear.mcp_session"
"""Where, in the scope of a request, its session stands."""
LASTS: Final = 7 * 86_400.0
"""Seconds that a session lasts: a client whose session is over begins anew by itself."""
MOST_OF_A_NAME: Final = 4096
_ASKABLE: Final = ("elicitation", "roots", "sampling")
"""What clients can be asked, by the capabilities in which they say so."""
_KNOWN: Final = frozenset({"context", "form", "tools", "url"})
_DIGITS: Final = 32


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session. `id` tells it from every other, `person` is whose it is, `can` what its client says that it can be asked; it ends at `until`."""

    id: str
    person: str
    can: dict[str, Json]
    until: float


class Sessions:
    """Begins sessions and finds them. Without a seal there are none: what clients bring is then a name like any other.

    `notes` keeps what clients say later than at the beginning.
    """

    def __init__(self, seal: Seal | None, notes: SessionNotes | None, clock: Clock, new_id: NewId) -> None:
        self._seal = seal
        self.notes = notes
        self._changes: WeakValueDictionary[str, anyio.Event] = WeakValueDictionary()
        self._clock = clock
        self._new_id = new_id

    def lasts(self, session: Session) -> bool:
        """Whether a session is not over."""
        return session.until > self._clock.wall()

    def change_of(self, session: str) -> anyio.Event:
        """Give what is set when, in this process, something is kept anew of a session."""
        return self._changes.setdefault(session, anyio.Event())

    def changed(self, session: str) -> None:
        """Something is kept anew of a session."""
        if (event := self._changes.pop(session, None)) is not None:
            event.set()

    async def level(self, session: Session | None) -> str:
        """Give from which level on a session hears what is logged: what its client has said, or `info`."""
        if session is None or self.notes is None:
            return DEFAULT_LEVEL
        try:
            return await self.notes.level(session.id) or DEFAULT_LEVEL
        except StoreUnavailable:
            return DEFAULT_LEVEL

    async def sweep(self) -> None:
        """Forget what was kept of sessions that are over."""
        if self.notes is None:
            return
        try:
            await self.notes.sweep(self._clock.wall())
        except StoreUnavailable as error:
            log.info("mcp.sessions_not_swept", reason=str(error))

    def begin(self, caller: Caller, params: Mapping[str, Any]) -> str:
        """Give the name of a session for who calls `initialize` with these parameters."""
        if self._seal is None:
            return self._new_id("mcps_")
        session = Session(
            id=self._new_id("mcps_"),
            person=person_key(caller),
            can=askable(params.get("capabilities")),
            until=self._clock.wall() + LASTS,
        )
        return self._seal.close(msgspec.json.encode(session), caller.tenant)

    def open(self, name: str, caller: Caller) -> Session | None:
        """Give the session of a name; None where there are no sessions. Raises NotFound for one that is not the caller's, or is over."""
        if self._seal is None:
            return None
        gone = NotFound("There is no such session, or it is over: begin a new one with `initialize`.")
        if len(name) > MOST_OF_A_NAME:
            raise gone
        try:
            session = msgspec.json.decode(self._seal.open(name, caller.tenant), type=Session)
        except (Unsealable, msgspec.DecodeError) as error:
            raise gone from error
        if session.person != person_key(caller) or session.until <= self._clock.wall():
            raise gone
        return session


def session_of(scope: Scope) -> Session | None:
    """Give the session that a request belongs to."""
    found: Session | None = scope.get(SESSION)
    return found


def key_of(scope: Scope) -> str:
    """Give what tells the requests of one session from those of another; empty where there is none. It is no secret."""
    session = session_of(scope)
    if session is not None:
        return session.id
    name = dict(scope.get("headers") or ()).get(HEADER, b"")
    return hashlib.sha256(name).hexdigest()[:_DIGITS] if name else ""


def askable(said: Any) -> dict[str, Json]:
    """Give, of capabilities, what a client can be asked: the words of MCP and no others."""
    found: dict[str, Json] = {}
    for name in _ASKABLE:
        one = said.get(name) if isinstance(said, Mapping) else None
        if isinstance(one, Mapping):
            found[name] = {word: {} for word in sorted(_KNOWN & one.keys()) if isinstance(one[word], Mapping)}
    return found
