"""What servers log in the midst of a call, for the client that made it. Of 2026-07-28 a request says from which level on; before, a session does (logging/setLevel)."""

from __future__ import annotations

from typing import Any

from mcp import MCPError
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    LOG_LEVEL_META_KEY,
    LoggingMessageNotification,
    LoggingMessageNotificationParams,
)

from gateway.api.mcp.asking import Answer, Asked, Context
from gateway.api.mcp.sessions import Sessions, session_of
from gateway.core.items import Json
from gateway.tools.logged import LEVELS, Hearing


async def hearing_of(context: Context, asked: Asked, sessions: Sessions) -> Hearing | None:
    """Give from where on the client of a call hears what its server logs; None where it does not want to."""
    if asked.modern:
        said = asked.meta(LOG_LEVEL_META_KEY)
        level = said if isinstance(said, str) and said in LEVELS else ""
    else:
        level = await sessions.level(session_of(_scope(context)))

    async def take(message: dict[str, Json]) -> None:
        params = LoggingMessageNotificationParams.model_validate(message)
        # With the id of the request it goes where the answer to that goes.
        await context.session.send_notification(LoggingMessageNotification(params=params), context.request_id)

    return Hearing(level, take) if level else None


class Levels:
    """logging/setLevel."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def __call__(self, context: Context, params: Any) -> Answer:
        """Keep from which level on a session wants to hear what is logged; every replica knows it then."""
        session = session_of(_scope(context))
        if session is None or self._sessions.notes is None:
            raise MCPError(INVALID_REQUEST, "A level is a session's, and this request belongs to none.")
        if params.level not in LEVELS:
            raise MCPError(INVALID_PARAMS, f"A level is one of {', '.join(LEVELS)}.")
        await self._sessions.notes.set_level(session.id, params.level, until=session.until)
        return {}


def _scope(context: Context) -> dict[str, Any]:
    return {} if context.request is None else dict(context.request.scope)
