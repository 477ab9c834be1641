"""What a call belongs to: the session, the end user or the caller that keeps going to one target. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.call import Call
from gateway.core.items import Json

_SESSION = ("conversation", "prompt_cache_key")
_USER = ("user", "safety_identifier")
MOST = 512
"""Characters of a key that count."""


def key_of(call: Call, by: Sequence[str]) -> str | None:
    """Give the first of these that the call has (session, user, caller), told apart by kind and caller; None for none."""
    for kind in by:
        found = _FINDERS[kind](call)
        if found:
            # Two callers may name their sessions alike.
            return f"{kind}\x1f{call.caller.id}\x1f{found[:MOST]}"
    return None


def key_of_session(call: Call) -> str | None:
    """Give the session or conversation that a call names, None where it names none."""
    return call.session or _named(call.fields, _SESSION)


def key_of_user(call: Call) -> str | None:
    """Give the end user that a call names, None where it names none."""
    metadata = call.fields.get("metadata")
    # Anthropic's place for it.
    return _named(call.fields, _USER) or (_text(metadata.get("user_id")) if isinstance(metadata, dict) else None)


def _caller(call: Call) -> str | None:
    return call.caller.id


_FINDERS: dict[str, Callable[[Call], str | None]] = {"session": key_of_session, "user": key_of_user, "caller": _caller}


def _named(fields: dict[str, Json], names: Sequence[str]) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, dict):
            value = value.get("id")
        if found := _text(value):
            return found
    return None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
