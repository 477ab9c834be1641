"""What a client of 2025-11-25 answers to a request of the server's: a message of its own, which may come to any replica.

Its id is that of the question, which its own session was asked and nobody else's: it is resolved in the journal, as any other answer is, and who
waits for it, in whatever replica, hears of it from there. A question is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from gateway.agents.calling import Calling
from gateway.api.mcp.sessions import Session
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, InvalidRequest
from gateway.core.items import Json

log = structlog.get_logger()

_ACCEPT: Final = "accept"


def is_reply(message: Any) -> bool:
    """Whether a message is an answer."""
    return isinstance(message, dict) and "method" not in message and "id" in message


async def reply_to(calling: Calling, caller: Caller, session: Session, message: Mapping[str, Any]) -> None:
    """Count an answer. Raises NotFound for what this session was not asked, Forbidden, and InvalidRequest for what is no answer to it."""
    name, result = message["id"], message.get("result")
    if not isinstance(name, str):
        msg = "Nothing was asked under this id."
        raise InvalidRequest(msg)
    content: dict[str, Json] | None = result if isinstance(result, dict) else None
    if content is not None and isinstance(action := content.get("action"), str):
        # Of a person, who may have said no; a form that is empty, or a page, is answered by saying yes.
        inner = content.get("content")
        content = None if action != _ACCEPT else inner if isinstance(inner, dict) else {}
    try:
        await calling.reply(caller, name, session.id, content)
    except Conflict as error:
        # Somebody was faster, or it has come twice: the first answer counts.
        log.info("mcp.answered_already", question=name, reason=error.message)
