"""Reasoning of other APIs inside `encrypted_content`, which a client of this one sends back as it got it."""

from __future__ import annotations

import msgspec

from gateway.core.items import Reasoning
from gateway.dialects.openai_responses.written import NAME
from gateway.dialects.sealed_reasoning import PREFIX, Envelope, others, unwrap, wrap


def seal(item: Reasoning) -> str | None:
    """Give the `encrypted_content` for a client; None when nothing opaque needs to come back."""
    if item.origin in (None, NAME) and not (item.encrypted or "").startswith(PREFIX):
        return item.encrypted
    rest = others(item, NAME)
    if item.signature is None and item.encrypted is None and not rest:
        return None
    envelope = Envelope(
        origin=item.origin,
        text=item.text,  # clients may leave out thinking in the clear; the summary they keep
        signature=item.signature,
        encrypted=item.encrypted,
        redacted=item.redacted,
        rest=rest,
    )
    return wrap(envelope)


def unseal(item: Reasoning, path: str) -> Reasoning:
    """Put back what `seal` carried. Other opaque content is OpenAI's own and stays as it is. Raises InvalidRequest."""
    if item.encrypted is None or not item.encrypted.startswith(PREFIX):
        return item
    found = unwrap(item.encrypted, path)
    return msgspec.structs.replace(
        item,
        text=found.text,
        signature=found.signature,
        encrypted=found.encrypted,
        redacted=found.redacted,
        origin=found.origin,
        rest={**item.rest, **found.rest},
    )
