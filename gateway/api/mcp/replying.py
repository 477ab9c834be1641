"""What a client of 2025-11-25 answers to a request of the server's: a message of its own, which may come to any replica.

Its id is the question, sealed for the session that was asked: nobody else can answer. It is resolved in the journal, as any other answer is, and who
waits for it, in whatever replica, hears of it from there. A question is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from gateway.agents.calling import Calling
from gateway.api.mcp.sessions import Session
from gateway.api.mcp.states import State, States, person_key
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, InvalidRequest
from gateway.core.items import Json

log = structlog.get_logger()

_MOST_OF_AN_ID: Final = 4096
_ACCEPT: Final = "accept"


def is_reply(message: Any) -> bool:
    """Whether a message is an answer."""
    return isinstance(message, dict) and "method" not in message and "id" in message


def question_id(states: States, caller: Caller, session: str, approval: str) -> str:
    """Give the id under which a session is asked a question."""
    return states.close(State(run=approval, caller=person_key(caller), asked=session), caller.tenant)


async def reply_to(
    calling: Calling, states: States, caller: Caller, session: Session, message: Mapping[str, Any]
) -> None:
    """Count an answer. Raises NotFound for what this session was not asked, Forbidden, and InvalidRequest for what is no answer to it."""
    asked, result = message["id"], message.get("result")
    if not isinstance(asked, str) or len(asked) > _MOST_OF_AN_ID:
        msg = "Nothing was asked under this id."
        raise InvalidRequest(msg)
    name = states.open(asked, caller, session.id).run
    content: dict[str, Json] | None = result if isinstance(result, dict) else None
    if content is not None and isinstance(action := content.get("action"), str):
        # Of a person, who may have said no; a form that is empty, or a page, is answered by saying yes.
        inner = content.get("content")
        content = None if action != _ACCEPT else inner if isinstance(inner, dict) else {}
    try:
        await calling.reply(caller, name, content)
    except Conflict as error:
        # Somebody was faster, or it has come twice: the first answer counts.
        log.info("mcp.answered_already", question=name, reason=error.message)
