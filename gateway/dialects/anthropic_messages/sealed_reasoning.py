"""Reasoning of other APIs inside thinking blocks, which an Anthropic client returns unchanged.

What such a block has no place for (OpenAI's `encrypted_content`, item ids, the line between a summary and thinking in the
clear) travels in its opaque field: `signature` of a thinking block, `data` of a redacted one; the visible text stays in the
block. A block that Anthropic itself made is never touched, unless its own opaque field begins with our prefix (two gateways
in a row): then it is wrapped once more.
"""

from __future__ import annotations

from gateway.core.items import Reasoning
from gateway.dialects.anthropic_messages.names import NAME
from gateway.dialects.sealed_reasoning import PREFIX, Envelope, Shown, others, unwrap, wrap

SUMMARY_GAP = "\n\n"


def shown_of(item: Reasoning) -> Shown:
    """Say what a client gets to see of `item`: the summary where there is one, as it comes first in streams too."""
    return "summary" if any(item.summary) else "text" if item.text else "nothing"


def is_native(item: Reasoning) -> bool:
    """Whether `item` came from this API, so that its opaque part can stand as it is."""
    return item.origin == NAME and not (item.signature or item.encrypted or "").startswith(PREFIX)


def seal(item: Reasoning, shown: Shown) -> str:
    """Give the opaque text that `unseal` needs, beside the shown one, to make `item` again."""
    envelope = Envelope(
        origin=item.origin,
        shown=shown,
        lengths=tuple(len(part) for part in item.summary) if shown == "summary" else (),
        text="" if shown == "text" else item.text,
        summary=() if shown == "summary" else item.summary,
        signature=item.signature,
        encrypted=item.encrypted,
        redacted=item.redacted,
        id=item.id,
        rest=others(item, NAME),
    )
    return wrap(envelope)


def unseal(opaque: str, visible: str, path: str) -> Reasoning:
    """Make the item again. Raises InvalidRequest for `path` when the opaque text was damaged on the way."""
    found = unwrap(opaque, path)
    return Reasoning(
        text=visible if found.shown == "text" else found.text,
        summary=_cut(visible, found.lengths) if found.shown == "summary" else found.summary,
        signature=found.signature,
        encrypted=found.encrypted,
        redacted=found.redacted,
        origin=found.origin,
        id=found.id,
        rest=found.rest,
    )


def _cut(visible: str, lengths: tuple[int, ...]) -> tuple[str, ...]:
    parts: list[str] = []
    start = 0
    for length in lengths:
        parts.append(visible[start : start + length])
        start += length + len(SUMMARY_GAP)
    # A text that was changed on the way does not fit any more; it is kept in one piece.
    return tuple(parts) if SUMMARY_GAP.join(parts) == visible else (visible,)
