"""Carries the reasoning of another API through an Anthropic client and back.

An Anthropic client returns thinking blocks unchanged, but has no place for OpenAI's `encrypted_content`, item ids or the
line between a summary and thinking in the clear. All of that travels in the block's opaque field (`signature` of a thinking
block, `data` of a redacted one) as `sgr1.` and base64url of JSON; the visible text stays in the block. It is an encoding,
not a secret: nothing in it was hidden from this caller. A block that Anthropic itself made is never touched, unless its own
opaque field begins with our prefix (two gateways in a row): then it is wrapped once more.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Reasoning
from gateway.dialects.anthropic_messages.names import NAME

PREFIX = "sgr1."

Shown = Literal["text", "summary", "nothing"]


class _Seal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the block cannot show. `lengths` are those of the summary's parts when that is shown."""

    origin: str | None = None
    shown: Shown = "nothing"
    lengths: tuple[int, ...] = ()
    text: str = ""
    summary: tuple[str, ...] = ()
    signature: str | None = None
    encrypted: str | None = None
    redacted: bool = False
    id: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Seal).decode
SUMMARY_GAP = "\n\n"


def shown_of(item: Reasoning) -> Shown:
    """Say what a client gets to see of `item`: the summary where there is one, as it comes first in streams too."""
    return "summary" if any(item.summary) else "text" if item.text else "nothing"


def is_native(item: Reasoning) -> bool:
    """Whether `item` came from this API, so that its opaque part can stand as it is."""
    return item.origin == NAME and not (item.signature or item.encrypted or "").startswith(PREFIX)


def seal(item: Reasoning, shown: Shown) -> str:
    """Give the opaque text that `unseal` needs, beside the shown one, to make `item` again."""
    seal_ = _Seal(
        origin=item.origin,
        shown=shown,
        lengths=tuple(len(part) for part in item.summary) if shown == "summary" else (),
        text="" if shown == "text" else item.text,
        summary=() if shown == "summary" else item.summary,
        signature=item.signature,
        encrypted=item.encrypted,
        redacted=item.redacted,
        id=item.id,
    )
    return PREFIX + base64.urlsafe_b64encode(_encode(seal_)).rstrip(b"=").decode()


def unseal(opaque: str, visible: str, path: str) -> Reasoning:
    """Make the item again. Raises InvalidRequest for `path` when the opaque text was damaged on the way."""
    text = opaque[len(PREFIX) :]
    try:
        found = _decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError) as exc:
        msg = f"`{path}` was made by this gateway and is damaged; send thinking blocks back unchanged."
        raise InvalidRequest(msg, param=path) from exc
    return Reasoning(
        text=visible if found.shown == "text" else found.text,
        summary=_cut(visible, found.lengths) if found.shown == "summary" else found.summary,
        signature=found.signature,
        encrypted=found.encrypted,
        redacted=found.redacted,
        origin=found.origin,
        id=found.id,
    )


def _cut(visible: str, lengths: tuple[int, ...]) -> tuple[str, ...]:
    parts: list[str] = []
    start = 0
    for length in lengths:
        parts.append(visible[start : start + length])
        start += length + len(SUMMARY_GAP)
    # A text that was changed on the way does not fit any more; it is kept in one piece.
    return tuple(parts) if SUMMARY_GAP.join(parts) == visible else (visible,)
