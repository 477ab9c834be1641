"""What ids of stored responses and conversations look like: what cannot be one is not looked for."""

from __future__ import annotations

import re
from typing import Final

from gateway.agents.desk import no_conversation, no_response

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch
LONGEST: Final = 128


def is_id(text: str) -> bool:
    """Whether something could have this id."""
    return _ID(text) is not None


def response_id(text: str, param: str | None = None) -> str:
    """Give an id that may be looked for. Raises NotFound, as for one that is not there."""
    if not is_id(text):
        raise no_response(text, param)
    return text


def conversation_id(text: str, param: str | None = None) -> str:
    """Give an id that may be looked for. Raises NotFound, as for one that is not there."""
    if not is_id(text):
        raise no_conversation(text, param)
    return text
