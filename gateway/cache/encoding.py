"""Writes an answer as bytes and reads it back, with nothing lost that a client could have seen. Pure."""

from __future__ import annotations

import msgspec

from gateway.core.answer import Answer, Result
from gateway.core.events import Embeddings, Finished, Moderations, Ranking, Started, TokenCount
from gateway.core.items import Item


class _Written(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An answer. New fields go to the end, and have a default; what changes its meaning needs another `key.VERSION`."""

    id: str
    model: str
    created: int
    target: str
    items: tuple[Item, ...]
    finished: Finished
    embeddings: Embeddings | None = None
    ranking: Ranking | None = None
    moderations: Moderations | None = None
    tokens: TokenCount | None = None
    dropped: tuple[str, ...] = ()
    emulated: tuple[str, ...] = ()
    structured: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Written).decode


def encode(answer: Answer) -> bytes:
    """Write an answer: all of it but for how it came (waiting, headers, limits). Raises ValueError for what cannot be written."""
    started, result = answer.started, answer.result
    written = _Written(
        id=started.id,
        model=started.model,
        created=started.created,
        target=started.target,
        items=answer.items,
        finished=answer.finished,
        embeddings=result if isinstance(result, Embeddings) else None,
        ranking=result if isinstance(result, Ranking) else None,
        moderations=result if isinstance(result, Moderations) else None,
        tokens=result if isinstance(result, TokenCount) else None,
        dropped=started.dropped,
        emulated=started.emulated,
        structured=started.structured,
    )
    try:
        return _encode(written)
    except (OverflowError, RecursionError, TypeError) as exc:
        msg = "the answer holds what cannot be written"
        raise ValueError(msg) from exc


def decode(data: bytes) -> Answer:
    """Read an answer. Raises ValueError for what `encode` has not written."""
    try:
        written = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        msg = "what was kept is no answer"
        raise ValueError(msg) from exc
    result: Result | None = written.embeddings or written.ranking or written.moderations or written.tokens
    return Answer(
        started=Started(
            id=written.id,
            model=written.model,
            created=written.created,
            target=written.target,
            dropped=written.dropped,
            emulated=written.emulated,
            structured=written.structured,
        ),
        items=written.items,
        result=result,
        finished=written.finished,
    )
