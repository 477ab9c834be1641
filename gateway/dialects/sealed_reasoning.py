"""Carries reasoning that one API vouches for through a client of another, and back.

A client returns the opaque field of reasoning (Anthropic's `signature` or `data`, OpenAI's `encrypted_content`) as it got it,
so what the client's own API has no place for travels there: `sgr1.` and base64url of JSON. It is an encoding, not a secret:
nothing in it was hidden from this caller; and it vouches for nothing: the origin checks its own signature.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Json, Reasoning

PREFIX = "sgr1."
"""How everything begins that this server puts into an opaque field, or into an id that has to come back."""

Shown = Literal["text", "summary", "nothing"]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the client cannot show or would not send back.

    `shown` says what it does show, and so is not in here; `lengths` are those of the summary's parts when that is shown as
    one text. `rest` holds other dialects' own fields.
    """

    origin: str | None = None
    shown: Shown = "nothing"
    lengths: tuple[int, ...] = ()
    text: str = ""
    summary: tuple[str, ...] = ()
    signature: str | None = None
    encrypted: str | None = None
    redacted: bool = False
    id: str | None = None
    rest: dict[str, Json] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Envelope).decode


def others(item: Reasoning, dialect: str) -> dict[str, Json]:
    """Give the fields in the `rest` of `item` that are not those of `dialect`, the client's own."""
    return {name: fields for name, fields in item.rest.items() if name != dialect and fields}


def wrap(envelope: Envelope) -> str:
    """Give the opaque text."""
    return PREFIX + base64.urlsafe_b64encode(_encode(envelope)).rstrip(b"=").decode()


def unwrap(opaque: str, path: str) -> Envelope:
    """Read what `wrap` wrote. Raises InvalidRequest for `path` when it was damaged on the way."""
    data = opaque[len(PREFIX) :]
    try:
        return _decode(base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as exc:
        msg = f"`{path}` was made by this gateway and is damaged; send reasoning back unchanged."
        raise InvalidRequest(msg, param=path) from exc
