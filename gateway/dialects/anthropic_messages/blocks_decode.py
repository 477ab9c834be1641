"""Content blocks from the wire: of requests and of answers. What the hub has no name for becomes a Foreign, whole."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Document, Foreign, Image, Json, Part, Reasoning, Text, ToolCall, ToolResult
from gateway.dialects.anthropic_messages.names import NAME, rest_of
from gateway.dialects.anthropic_messages.shapes import BLOCKS, SOURCES
from gateway.dialects.rest import extras
from gateway.dialects.shapes import check, kind_of

Raw = dict[str, Json]
Block = Part | ToolCall | ToolResult | Reasoning

UNPARSED = "unparsed_arguments"
"""The one key of a tool input whose arguments were not a JSON object: the text stands there, so that nothing is lost."""

_encode = msgspec.json.Encoder().encode


def decode_block(raw: Raw, path: str) -> Block:
    """Translate one block. Raises InvalidRequest with the path of the fault."""
    kind = kind_of(raw, path, "A content block")
    if kind not in BLOCKS:
        return Foreign(dialect=NAME, raw=raw)
    check(raw, BLOCKS[kind], path)
    return _DECODERS[kind](raw, path)


def arguments_text(value: Raw) -> str:
    """Give a tool's input as the raw text that the hub keeps."""
    if len(value) == 1 and isinstance(text := value.get(UNPARSED), str):
        return text
    return _encode(value).decode()


def _text(raw: Raw, _: str) -> Text:
    return Text(
        text=raw["text"],
        annotations=tuple(raw.get("citations") or ()),
        cache=raw.get("cache_control"),
        rest=rest_of(extras(raw, {"type", "text", "citations", "cache_control"})),
    )


def _source(raw: Raw, path: str, kinds: tuple[str, ...]) -> Raw | None:
    """Give the checked source, None when it is of a kind or has fields that the hub has no name for."""
    source: Raw = raw["source"]
    kind = kind_of(source, f"{path}.source", "A source")
    if kind not in kinds:
        return None
    shape = SOURCES[kind]
    if not set(source) <= set(shape.__struct_fields__):
        return None
    check(source, shape, f"{path}.source")
    return source


def _image(raw: Raw, path: str) -> Image | Foreign:
    source = _source(raw, path, ("base64", "url", "file"))
    if source is None:
        return Foreign(dialect=NAME, raw=raw)
    return Image(
        url=source.get("url"),
        data=source.get("data"),
        media_type=source.get("media_type"),
        file_id=source.get("file_id"),
        cache=raw.get("cache_control"),
        rest=rest_of(extras(raw, {"type", "source", "cache_control"})),
    )


def _document(raw: Raw, path: str) -> Document | Foreign:
    source = _source(raw, path, ("base64", "url", "file", "text"))
    if source is None:
        return Foreign(dialect=NAME, raw=raw)
    is_text = source["type"] == "text"
    return Document(
        url=source.get("url"),
        data=None if is_text else source.get("data"),
        text=source["data"] if is_text else None,
        media_type=source.get("media_type"),
        file_id=source.get("file_id"),
        name=raw.get("title"),
        cache=raw.get("cache_control"),
        rest=rest_of(extras(raw, {"type", "source", "title", "cache_control"})),
    )


def _tool_use(raw: Raw, _: str) -> ToolCall:
    return ToolCall(
        call_id=raw["id"],
        name=raw["name"],
        arguments=arguments_text(raw["input"]),
        cache=raw.get("cache_control"),
        rest=rest_of(extras(raw, {"type", "id", "name", "input", "cache_control"})),
    )


def _tool_result(raw: Raw, path: str) -> ToolResult:
    content = raw.get("content")
    unknown = extras(raw, {"type", "tool_use_id", "content", "is_error", "cache_control"})
    parts: tuple[Part, ...] = ()
    if isinstance(content, str):
        parts = (Text(text=content),)
    elif content is not None:
        parts = tuple(_inner(block, f"{path}.content[{number}]") for number, block in enumerate(content))
        unknown["$blocks"] = True
    if raw.get("is_error") is False:
        unknown["$is_error"] = False
    return ToolResult(
        call_id=raw["tool_use_id"],
        parts=parts,
        is_error=raw.get("is_error") or False,
        cache=raw.get("cache_control"),
        rest=rest_of(unknown),
    )


def _inner(raw: Raw, path: str) -> Part:
    block = decode_block(raw, path)
    if isinstance(block, ToolCall | ToolResult | Reasoning):
        msg = f"A tool result cannot contain a block of type {raw['type']!r}: `{path}.type`."
        raise InvalidRequest(msg, param=f"{path}.type")
    return block


def _thinking(raw: Raw, _: str) -> Reasoning:
    return Reasoning(
        text=raw["thinking"],
        signature=raw["signature"],
        origin=NAME,
        cache=raw.get("cache_control"),
        rest=rest_of(extras(raw, {"type", "thinking", "signature", "cache_control"})),
    )


def _redacted(raw: Raw, _: str) -> Reasoning:
    return Reasoning(
        encrypted=raw["data"],
        redacted=True,
        origin=NAME,
        cache=raw.get("cache_control"),
        rest=rest_of(extras(raw, {"type", "data", "cache_control"})),
    )


_DECODERS: dict[str, Callable[[Raw, str], Block]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
