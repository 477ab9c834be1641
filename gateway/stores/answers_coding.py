"""How an entry is written for a store outside this process: a card that says what it is, and the text beside it.

What another version wrote, or somebody else, is not read: it counts as not there.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from gateway.stores.answers import Entry, Selection
from gateway.stores.answers_selecting import MOST_PREFIX, size_of

_T = TypeVar("_T")

VERSION: Final = b"\x01"
_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Entry))


class Card(Entry, frozen=True, kw_only=True, array_like=True, gc=False):
    """An entry without its answer, and with no more of the question than selections look at. `size` is in bytes, of what is left out."""

    size: int = 0


class Text(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a card leaves out, and whose it is."""

    id: str
    question: str
    answer: bytes


class Removal(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What replicas tell each other: which entries are meant, or which keys and ids were removed."""

    selection: Selection | None = None
    keys: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What entries are listed under."""

    tenant: str
    model: str


_encoder = msgspec.msgpack.Encoder()
_cards = msgspec.msgpack.Decoder(Card)
_texts = msgspec.msgpack.Decoder(Text)
_removals = msgspec.msgpack.Decoder(Removal)
_groups = msgspec.msgpack.Decoder(Group)


def encode_entry(entry: Entry) -> tuple[bytes, bytes]:
    """Give the card and the text of an entry. Raises ValueError for a text that is no Unicode."""
    fields = {name: getattr(entry, name) for name in _FIELDS}
    card = Card(**fields | {"question": entry.question[:MOST_PREFIX], "answer": b"", "size": size_of(entry)})
    text = Text(entry.id, entry.question, entry.answer)
    return VERSION + _encoder.encode(card), VERSION + _encoder.encode(text)


def decode_card(written: object) -> Card | None:
    """Give a card; None for what is none of this version."""
    return _decode(_cards, written)


def decode_entry(card: object, text: object) -> Entry | None:
    """Give an entry; None where one half is missing, is of another entry, or is not readable."""
    said, told = _decode(_cards, card), _decode(_texts, text)
    if said is None or told is None or said.id != told.id:
        return None
    fields = {name: getattr(said, name) for name in _FIELDS}
    return Entry(**fields | {"question": told.question, "answer": told.answer})


def encode_removal(removal: Removal) -> bytes:
    """Give a message to the other replicas."""
    return VERSION + _encoder.encode(removal)


def decode_removal(written: object) -> Removal | None:
    """Give a message; None for what is none of this version."""
    return _decode(_removals, written)


def encode_group(tenant: str, model: str) -> bytes:
    """Give the name of what entries are listed under."""
    return _encoder.encode(Group(tenant, model))


def decode_group(written: bytes) -> Group | None:
    """Give what a name stands for; None for what is none."""
    return _decode(_groups, VERSION + written)


def _decode(decoder: msgspec.msgpack.Decoder[_T], written: object) -> _T | None:
    if not isinstance(written, bytes) or not written.startswith(VERSION):
        return None
    try:
        return decoder.decode(memoryview(written)[len(VERSION) :])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
