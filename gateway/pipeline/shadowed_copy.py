"""Makes the copy of a call for a shadow, and says which calls have none: those that would do something besides being answered. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.content import Operation
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.core.record import Record
from gateway.pipeline.authorized import provider_tools
from gateway.routing.opaque_reasoning import without

Skipped = Literal["skipped_tools", "skipped_state", "skipped_size"]

OPERATIONS: Final[frozenset[Operation]] = frozenset({"generate", "embed", "rerank", "moderate"})
MOST_BYTES: Final = 1024 * 1024
"""Bytes of a body; reading a larger one again would hold up other calls."""
SHADOW_CALLER: Final = "shadow"

_STATE: Final = ("background", "previous_response_id", "conversation", "prompt", "container", "context_management")
"""Fields that read or change what the provider keeps of a conversation: another one does not have it, or must not be told."""
_REFERENCE: Final = "item_reference"


def skipped(call: Call) -> Skipped | None:
    """Say why a call has no shadow; None where it may have one."""
    if len(call.body) > MOST_BYTES:
        return "skipped_size"
    fields = call.fields
    if any(fields.get(name) for name in _STATE) or _refers(fields.get("input")):
        return "skipped_state"
    try:
        return "skipped_tools" if any(True for _ in provider_tools(fields)) else None
    except InvalidRequest:
        return "skipped_tools"


def copied(call: Call, *, model: str, call_id: str, now: float, foreign: bool = False) -> Call:
    """Give the copy, with nothing decoded. It leaves nothing behind at its provider: `store` is off.

    A `foreign` one goes to another provider, which could not read the reasoning that the first one encrypted or signed.
    """
    if foreign:
        call, _ = without(call, lambda key: True)
    # Providers change the model's name in a body only where it is not the call's.
    fields = {**_stateless(call), "model": model}
    return msgspec.structs.replace(
        call,
        id=call_id,
        model=model,
        received=now,
        fields=fields,
        body=msgspec.json.encode(fields),
        content=None,
        shadow_of=call.id,
    )


def on_the_books(call: Call) -> Call:
    """Give the call as it is noted before it leaves: nobody's limits and budgets count it."""
    return msgspec.structs.replace(call, caller=_bookkept(call.caller))


def booked(record: Record) -> Record:
    """Give the record of a copy: the tenant and user stay, so that what is theirs can be found and deleted."""
    return msgspec.structs.replace(record, caller=SHADOW_CALLER, team="", tags=())


def _bookkept(caller: Caller) -> Caller:
    return msgspec.structs.replace(caller, id=SHADOW_CALLER, team="", tags=())


def _stateless(call: Call) -> dict[str, Json]:
    fields = call.fields
    if call.dialect == "openai_responses" and fields.get("store") is not False:
        return {**fields, "store": False}  # it would be stored without a word
    if call.dialect == "openai_chat" and "store" in fields:
        # `metadata` is refused without it.
        return {name: value for name, value in fields.items() if name not in ("store", "metadata")}
    return fields


def _refers(value: Json) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) and one.get("type") == _REFERENCE for one in value)
