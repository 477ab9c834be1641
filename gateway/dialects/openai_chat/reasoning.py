"""Reasoning on the wire, both ways: plain text fields, and OpenRouter's `reasoning_details` for what is opaque.

Details that a chat upstream made are its own, whatever their `format`, and go back to chat upstreams as they came. Those that
this server made for a client, out of another API's reasoning, have an id that says so and go back to that API alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gateway.core.items import Json, Reasoning
from gateway.dialects.openai_chat.names import NAME, ORIGINS, REASONING_FORMATS
from gateway.dialects.rest import note
from gateway.dialects.sealed_reasoning import PREFIX

Details = list[dict[str, Json]]


def decode_reasoning(message: dict[str, Json]) -> list[Reasoning]:
    """Give the reasoning of an assistant message: its details where it has them, else its text."""
    texts = {name: message[name] for name in ("reasoning_content", "reasoning") if message.get(name)}
    if details := message.get("reasoning_details"):
        items = [_one(run) for run in runs_of(details)]
        if texts:
            items[0].rest[NAME]["$fields"] = texts
        return items
    if not texts:
        return []
    text = next(iter(texts.values()))
    return [Reasoning(text=text, origin=NAME, rest={NAME: {"$fields": texts}})]


def runs_of(details: Details) -> list[Details]:
    """Cut details into the pieces of reasoning: those with the same id belong together, those without stand alone."""
    runs = groupby(enumerate(details), key=lambda pair: pair[1].get("id") or pair[0])
    return [[detail for _, detail in run] for _, run in runs]


def opaque_items(details: Details) -> list[Reasoning]:
    """Give the reasoning of an upstream's answer that has something opaque; all details stand with one of them, in order."""
    items: list[Reasoning] = []
    waiting: Details = []
    for run in runs_of(details):
        item = _one(run)
        waiting += run
        if item.signature is None and item.encrypted is None:
            continue
        items.append(Reasoning(**_opaque(item), origin=NAME, rest={NAME: {"$details": waiting}}))
        waiting = []
    if items:
        items[-1].rest[NAME]["$details"].extend(waiting)
    return items


def _opaque(item: Reasoning) -> dict[str, Json]:
    return {name: getattr(item, name) for name in ("text", "summary", "signature", "encrypted")}


def _one(details: Details) -> Reasoning:
    def values(kind: str, field: str) -> list[str]:
        return [d[field] for d in details if d.get("type") == kind and isinstance(d.get(field), str)]

    identity = details[0].get("id")
    made_here = isinstance(identity, str) and identity.startswith(PREFIX)
    origin = ORIGINS.get(details[0].get("format") or "", NAME) if made_here else NAME
    encrypted = values("reasoning.encrypted", "data")
    signatures = values("reasoning.text", "signature")
    return Reasoning(
        text="".join(values("reasoning.text", "text")),
        summary=tuple(values("reasoning.summary", "summary")),
        signature=signatures[-1] if signatures else None,
        encrypted=encrypted[-1] if encrypted else None,
        redacted=bool(encrypted) and origin == "anthropic_messages",
        origin=origin,
        id=identity.partition(":")[2] or None if isinstance(identity, str) and made_here else None,
        rest={NAME: {} if made_here else {"$details": details}},
    )


def encode_details(item: Reasoning, first: int) -> Details:
    """Give the details with which a client can send opaque reasoning back; [] where nothing is opaque.

    `first` is the number of the first detail within the answer.
    """
    if (given := note(item.rest, NAME, "details")) is not None:
        return list(given)
    if item.signature is None and item.encrypted is None:
        return []
    details = list(_details(item))
    shared = {"id": f"{PREFIX}{first}:{item.id or ''}", "format": REASONING_FORMATS.get(item.origin or "", "unknown")}
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
