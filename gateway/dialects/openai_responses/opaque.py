"""Carries reasoning that another dialect vouches for through clients of this one, inside `encrypted_content`.

A client sends `encrypted_content` back as it got it, so Anthropic's signed or redacted thinking survives a Responses client
that has never heard of it. The form is versioned and reversible: a prefix and base64url of a JSON object. It hides nothing
and vouches for nothing: the origin checks its own signature.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Json, Reasoning
from gateway.dialects.openai_responses.written import NAME

PREFIX = "switchgear.reasoning.v1."


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    origin: str
    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    redacted: bool = False
    rest: dict[str, Json] = {}


_decode = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode


def seal(reasoning: Reasoning) -> str | None:
    """Give the `encrypted_content` for a client; None when nothing opaque needs to come back."""
    if reasoning.origin in (None, NAME):
        return reasoning.encrypted
    rest = {key: value for key, value in reasoning.rest.items() if key != NAME}
    if reasoning.signature is None and reasoning.encrypted is None and not rest:
        return None
    envelope = _Envelope(
        origin=reasoning.origin,
        text=reasoning.text,
        signature=reasoning.signature,
        encrypted=reasoning.encrypted,
        redacted=reasoning.redacted,
        rest=rest,
    )
    return PREFIX + base64.urlsafe_b64encode(_encode(envelope)).decode().rstrip("=")


def unseal(reasoning: Reasoning, path: str) -> Reasoning:
    """Put back what `seal` carried. Other opaque content is OpenAI's own and stays as it is.

    Raises InvalidRequest when the content was changed on its way.
    """
    sealed = reasoning.encrypted
    if sealed is None or not sealed.startswith(PREFIX):
        return reasoning
    data = sealed[len(PREFIX) :]
    try:
        envelope = _decode(base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as exc:
        msg = f"`{path}` is not what this server sent."
        raise InvalidRequest(msg, param=path) from exc
    return msgspec.structs.replace(
        reasoning,
        text=envelope.text,
        signature=envelope.signature,
        encrypted=envelope.encrypted,
        redacted=envelope.redacted,
        origin=envelope.origin,
        rest={**reasoning.rest, **envelope.rest},
    )
