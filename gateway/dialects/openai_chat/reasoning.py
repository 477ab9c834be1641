"""Reasoning on the wire, both ways: plain text fields, and OpenRouter's `reasoning_details` for what is opaque."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gateway.core.items import Json, Reasoning
from gateway.dialects.openai_chat.names import NAME, ORIGINS, REASONING_FORMATS


def decode_reasoning(message: dict[str, Json]) -> list[Reasoning]:
    """Give the reasoning of an assistant message: its details where it has them, else its text."""
    texts = {name: message[name] for name in ("reasoning_content", "reasoning") if message.get(name)}
    if details := message.get("reasoning_details"):
        items = decode_details(details)
        if texts:
            items[0].rest[NAME]["$fields"] = texts
        return items
    if not texts:
        return []
    text = next(iter(texts.values()))
    return [Reasoning(text=text, origin=NAME, rest={NAME: {"$fields": texts}})]


def decode_details(details: list[dict[str, Json]]) -> list[Reasoning]:
    """Give one item for each run of details with the same id; details without an id stand alone."""
    runs = groupby(enumerate(details), key=lambda pair: pair[1].get("id") or pair[0])
    return [_one([detail for _, detail in run]) for _, run in runs]


def _one(details: list[dict[str, Json]]) -> Reasoning:
    def values(kind: str, field: str) -> list[str]:
        return [d[field] for d in details if d.get("type") == kind and isinstance(d.get(field), str)]

    origin = ORIGINS.get(details[0].get("format") or "", NAME)
    encrypted = values("reasoning.encrypted", "data")
    signatures = values("reasoning.text", "signature")
    identity = details[0].get("id")
    return Reasoning(
        text="".join(values("reasoning.text", "text")),
        summary=tuple(values("reasoning.summary", "summary")),
        signature=signatures[-1] if signatures else None,
        encrypted=encrypted[-1] if encrypted else None,
        redacted=bool(encrypted) and origin == "anthropic_messages",
        origin=origin,
        id=identity if isinstance(identity, str) else None,
        rest={NAME: {"$details": details}},
    )


def encode_details(item: Reasoning, first: int) -> list[dict[str, Json]]:
    """Give the details with which a client can send opaque reasoning back; [] where nothing is opaque.

    `first` is the number of the first detail within the answer.
    """
    if item.signature is None and item.encrypted is None:
        return []
    details = list(_details(item))
    shared = {"id": item.id, "format": REASONING_FORMATS.get(item.origin or "", "unknown")}
    return [{**detail, **shared, "index": first + number} for number, detail in enumerate(details)]


def _details(item: Reasoning) -> Iterator[dict[str, Json]]:
    for text in item.summary:
        yield {"type": "reasoning.summary", "summary": text}
    if item.text or item.signature is not None:
        yield {"type": "reasoning.text", "text": item.text, "signature": item.signature}
    if item.encrypted is not None:
        yield {"type": "reasoning.encrypted", "data": item.encrypted}


def plain_text(item: Reasoning) -> str:
    """Give what can be read of it: the thinking itself, else its summary."""
    return item.text or "\n\n".join(item.summary)
