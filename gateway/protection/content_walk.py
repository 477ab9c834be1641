"""Goes through everything that a call says, or an answer, text by text. What is done with each text is the caller's business.

It follows the records' own fields, so that a field that is added to them is looked at unless it is named here.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, Protocol, TypeVar

import msgspec

from gateway.core.content import CustomTool, EmbeddingInput, FunctionTool, Prompt, ToolChoice
from gateway.core.items import Audio, Document, Image, Json, ToolCall

T = TypeVar("T")

# Names and marks that others refer to, and what is no text: media, signatures, ciphers.
_LEFT_ALONE: Final = frozenset(
    {"cache", "call_id", "data", "detail", "dialect", "effort", "encrypted", "file_id", "id", "kind", "media_type", "mode",
     "origin", "role", "service_tier", "signature", "url", "verbosity"}
)  # fmt: skip
_NAMED: Final = (CustomTool, FunctionTool, ToolCall, ToolChoice)


class Change(Protocol):
    """What is done to the texts and JSON values of a call."""

    def text(self, text: str, key: str = "") -> str:
        """Give what stands instead of a text that stood under the name `key`."""
        ...

    def json(self, value: Json, key: str = "") -> Json:
        """The same for every text in a decoded JSON value."""
        ...


def walk(value: T, change: Change) -> T:
    """Give a record with every text changed; the same object where nothing changes."""
    return _walk(value, "", change)  # type: ignore[no-any-return]  # a record gives a record of its own type


def _walk(value: Any, key: str, change: Change) -> Any:
    if isinstance(value, msgspec.Struct):
        return _record(value, change)
    if isinstance(value, str):
        return change.text(value, key)
    if isinstance(value, tuple):
        items = tuple([_walk(item, key, change) for item in value])
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, (dict, list)):
        return change.json(value, key)
    return value


def _record(record: msgspec.Struct, change: Change) -> msgspec.Struct:
    changes: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if value is None or name in _LEFT_ALONE or (name in ("name", "names") and isinstance(record, _NAMED)):
            continue
        if name == "format" and isinstance(value, str):
            continue
        changed = _walk(value, name, change)
        if changed is not value:
            changes[name] = changed
    if isinstance(record, Document) and (text := _text_of(record)) is not None:
        said = change.text(text)
        if said != text:
            changes["data"] = base64.b64encode(said.encode()).decode()
    return msgspec.structs.replace(record, **changes) if changes else record


def _text_of(document: Document) -> str | None:
    """Give the text of a file that is plain text, None of any other. (Some upstreams are sent such a file in the clear.)"""
    if document.data is None or not (document.media_type or "").startswith("text/"):
        return None
    try:
        return base64.b64decode(document.data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def holds_attachment(value: object) -> bool:
    """Whether a record holds what cannot be read here: an image, a sound, a file that is not plain text, numbers of tokens."""
    if holds_tokens(value):
        return True
    if isinstance(value, (Audio, Image)) or (isinstance(value, Document) and value.text is None):
        return True
    if isinstance(value, msgspec.Struct):
        return any(holds_attachment(getattr(value, name)) for name in value.__struct_fields__)
    return isinstance(value, tuple) and any(map(holds_attachment, value))


def holds_tokens(content: object) -> bool:
    """Whether texts of a call came as numbers of tokens, which nobody reads but the model."""
    if isinstance(content, EmbeddingInput):
        return any(isinstance(text, tuple) for text in content.inputs)
    if not isinstance(content, Prompt):
        return False
    return any(isinstance(fields, dict) and _holds_number(fields.get("prompt")) for fields in content.rest.values())


def _holds_number(value: Json) -> bool:
    return any(map(_holds_number, value)) if isinstance(value, list) else isinstance(value, int)
