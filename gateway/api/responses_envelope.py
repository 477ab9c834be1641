"""What of a request for a response is not for a model: whether it is kept, who waits for it, and what it goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.api.stored_ids import conversation_id, response_id
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.dialects.openai_responses.kept_items import is_reference
from gateway.dialects.openai_responses.reader import Reader

MOST_METADATA: Final = 16
LONGEST_NAME: Final = 64
LONGEST_VALUE: Final = 512
PREVIOUS: Final = "previous_response_id"
CONVERSATION: Final = "conversation"
CONTEXT_MANAGEMENT: Final = "context_management"


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """`names` says that the input names items that are kept; `previous` and `conversation` are ids, empty where there is none; at most one of them is there."""

    store: bool = True
    background: bool = False
    previous: str = ""
    conversation: str = ""
    names: bool = False

    @property
    def stateless(self) -> bool:
        """Whether nothing is to be kept and nothing is referred to."""
        return not (self.store or self.previous or self.conversation or self.names)


_STATELESS: Final = Envelope(store=False)
_REFERRING: Final = (PREVIOUS, CONVERSATION, "background")


def is_stateless(fields: Mapping[str, Json]) -> bool:
    """Whether it is plain at first sight that nothing is to be kept and nothing is referred to."""
    if fields.get("store") is not False or any(fields.get(name) not in (None, False) for name in _REFERRING):
        return False
    return not names_items(fields)


def names_items(fields: Mapping[str, Json]) -> bool:
    """Whether an `input` names items that are kept."""
    given: Json = fields.get("input")
    return isinstance(given, list) and any(map(is_reference, given))


def read_envelope(fields: dict[str, Json]) -> Envelope:
    """Check what stored responses have beside the stateless ones. Raises InvalidRequest with `param`, NotFound for what can be no id."""
    if is_stateless(fields):
        return _STATELESS
    reader = Reader(fields)
    store, background = reader.boolean("store"), reader.boolean("background")
    previous, conversation = read_origins(reader)
    options = reader.inner("stream_options")
    if options is not None:
        options.boolean("include_obfuscation")
    if background and store is False:
        msg = "`background` needs a response that is kept: leave `store` out, or set it to true."
        raise InvalidRequest(msg, param="background")
    check_metadata(reader.object("metadata"))
    return Envelope(
        store=store is not False,
        background=bool(background),
        previous=previous,
        conversation=conversation,
        names=names_items(fields),
    )


def read_origins(reader: Reader) -> tuple[str, str]:
    """Give the ids of the response and of the conversation that a request goes on from; empty where it does not."""
    previous = reader.string(PREVIOUS)
    given = reader.take(CONVERSATION)
    if given is not None and not isinstance(given, str):
        given = Reader(given, CONVERSATION).needed_string("id")
    if previous is not None and given is not None:
        msg = f"`{PREVIOUS}` and `{CONVERSATION}` exclude each other: a response goes on from one of them."
        raise InvalidRequest(msg, param=PREVIOUS)
    return (
        "" if previous is None else response_id(previous, PREVIOUS),
        "" if given is None else conversation_id(given, CONVERSATION),
    )


def check_metadata(metadata: dict[str, Json] | None) -> dict[str, str]:
    """Give metadata within OpenAI's bounds: 16 pairs, names of 64 characters, values of 512. Raises InvalidRequest."""
    if metadata is None:
        return {}
    if len(metadata) > MOST_METADATA:
        msg = f"`metadata` must have at most {MOST_METADATA} entries."
        raise InvalidRequest(msg, param="metadata")
    for name, value in metadata.items():
        if not 1 <= len(name) <= LONGEST_NAME:
            msg = f"A name in `metadata` must have 1 to {LONGEST_NAME} characters."
            raise InvalidRequest(msg, param="metadata")
        path = f"metadata.{name}"
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            msg = f"`{path}` must be a string of at most {LONGEST_VALUE} characters."
            raise InvalidRequest(msg, param=path)
    return metadata
