"""Content blocks to the wire: for requests (with `Leftovers`, which judge what cannot be said) and for answers."""

from __future__ import annotations

import base64
import binascii

import msgspec

from gateway.core.items import Document, Foreign, Image, Json, Part, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.anthropic_messages.blocks_decode import UNPARSED
from gateway.dialects.anthropic_messages.names import NAME
from gateway.dialects.anthropic_messages.sealed_reasoning import SUMMARY_GAP, is_native, seal, shown_of
from gateway.dialects.data_urls import image_type
from gateway.dialects.rest import Leftovers, own

Raw = dict[str, Json]

_decode = msgspec.json.Decoder().decode

_CITATIONS = frozenset(
    {
        "char_location",
        "page_location",
        "content_block_location",
        "web_search_result_location",
        "search_result_location",
    }
)


def citations_of(part: Text) -> list[Json]:
    """Give the annotations that have Anthropic's form; others point into documents that this API never saw."""
    return [note for note in part.annotations if isinstance(note, dict) and note.get("type") in _CITATIONS]


def text_block(part: Text | Refusal) -> Raw:
    """Give the block of a text."""
    block: Raw = {"type": "text", "text": part.text}
    if isinstance(part, Text) and (citations := citations_of(part)):
        block["citations"] = citations
    return block


def tool_input(call: ToolCall) -> Raw:
    """Give a call's arguments as the object that this API wants; what is no JSON object stands whole under one key."""
    if not call.arguments.strip():
        return {}
    try:
        value = _decode(call.arguments)
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) and call.kind == "function" else {UNPARSED: call.arguments}


def call_id(text: str) -> str:
    """Give an id that this API takes (letters, digits, _ and -): any other character becomes its code in hexadecimal."""
    if text.isascii() and text.replace("_", "").replace("-", "").isalnum():
        return text
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"_{ord(c):x}" for c in text) or "_"


def thinking_block(item: Reasoning) -> Raw | None:
    """Give the block that shows `item` to a client, None when there is nothing to show or keep."""
    if is_native(item):
        if item.redacted:
            return {"type": "redacted_thinking", "data": item.encrypted or ""}
        return {"type": "thinking", "thinking": item.text, "signature": item.signature or ""}
    shown = shown_of(item)
    if shown != "nothing":
        visible = item.text if shown == "text" else SUMMARY_GAP.join(item.summary)
        return {"type": "thinking", "thinking": visible, "signature": seal(item, shown)}
    if item.encrypted or item.signature or item.id:
        return {"type": "redacted_thinking", "data": seal(item, shown)}
    return None


def request_block(part: Part, path: str, left: Leftovers) -> Raw | None:
    """Give the block of a part in a request, None when there is nothing to say or it was left out by permission."""
    if isinstance(part, Foreign):
        return foreign_block(part, path, left)
    left.foreign(part.rest, path + ".")
    block = _body(part, path, left)
    return None if block is None else marked(block, part.cache, part.rest)


def foreign_block(part: Foreign, path: str, left: Leftovers) -> Raw | None:
    """Give a foreign block of this dialect as it came; judge those of others."""
    if part.dialect == NAME:
        return part.raw
    left.alien("block", part, path)
    return None


def marked(block: Raw, cache: Raw | None, rest: Raw) -> Raw:
    """Put the cache mark and this dialect's own fields on `block`."""
    if cache is not None:
        block["cache_control"] = cache
    if rest:
        block.update(own(rest, NAME))
    return block


def _body(part: Part, path: str, left: Leftovers) -> Raw | None:
    if isinstance(part, Text):
        if len(citations_of(part)) < len(part.annotations):
            left.hint("annotations")
        return text_block(part)
    if isinstance(part, Refusal):
        return text_block(part)
    if isinstance(part, Image):
        return _image(part, path, left)
    if isinstance(part, Document):
        return _document(part, path, left)
    left.refuse(path, "Audio")
    return None


def _image(part: Image, path: str, left: Leftovers) -> Raw | None:
    if part.detail not in (None, "auto"):
        left.hint("detail")
    source: Raw
    if part.data is not None:
        media_type = image_type(part.media_type, part.data)
        if media_type is None:
            left.refuse(path, "An image without its media type")
            return None
        source = {"type": "base64", "media_type": media_type, "data": part.data}
    elif part.url is not None:
        source = {"type": "url", "url": part.url}
    else:
        source = {"type": "file", "file_id": part.file_id}
    return {"type": "image", "source": source}


def _document(part: Document, path: str, left: Leftovers) -> Raw | None:
    source = _document_source(part)
    if source is None:
        left.refuse(path, f"A document of type {part.media_type!r} (this API reads PDF and plain text)")
        return None
    block: Raw = {"type": "document", "source": source}
    if part.name is not None:
        block["title"] = part.name
    return block


def _document_source(part: Document) -> Raw | None:
    if part.text is not None:
        return {"type": "text", "media_type": part.media_type or "text/plain", "data": part.text}
    if part.data is not None:
        media_type = part.media_type or "application/pdf"
        if NAME in part.rest or not media_type.startswith("text/"):
            pdf = media_type == "application/pdf" or NAME in part.rest
            return {"type": "base64", "media_type": media_type, "data": part.data} if pdf else None
        # This API takes texts only in the clear.
        text = _clear(part.data)
        return None if text is None else {"type": "text", "media_type": "text/plain", "data": text}
    if part.url is not None:
        return {"type": "url", "url": part.url}
    return {"type": "file", "file_id": part.file_id}


def _clear(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
