"""The runs that requests of clients begin, found again by what the client itself said: so any replica finds them, and nobody else can. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from gateway.core.caller import Caller

_DIGITS: Final = 24


def run_of_request(caller: Caller, session: str, request: str | int) -> str:
    """Give the id of the run that a request of a session begins."""
    return _run_id(caller, session, f"{type(request).__name__}:{request}")


def run_of_key(caller: Caller, key: str) -> str:
    """Give the id of the run that a request with an idempotency key begins."""
    return _run_id(caller, "key", key)


def _run_id(caller: Caller, *words: str) -> str:
    said = "\x00".join((caller.tenant, caller.id, *words))
    return f"resp_{hashlib.sha256(said.encode()).hexdigest()[:_DIGITS]}"
