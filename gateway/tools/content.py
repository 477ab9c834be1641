"""What a model reads of a tool's result: the blocks of an MCP answer as one text. Pure.

Text is taken as it is. What a text cannot hold (images, sound, binary resources) is named with its type and size, and never
written out: a model would read a megabyte of base64 for nothing.
"""

from __future__ import annotations

import msgspec

from gateway.core.items import Json
from gateway.core.tools import ToolOutput

_MOST_OF_A_LINK = 2000


def output_of(result: dict[str, Json]) -> ToolOutput:
    """Give the output of a `tools/call` result, whatever is in it."""
    blocks = result.get("content")
    structured = result.get("structuredContent")
    text = "\n".join(_text(block) for block in blocks) if isinstance(blocks, list) else ""
    if not text and structured is not None:
        # Servers should give both. Where one does not, the model is not to read nothing.
        text = msgspec.json.encode(structured).decode()
    whole = tuple(block for block in blocks if isinstance(block, dict)) if isinstance(blocks, list) else ()
    return ToolOutput(text=text, structured=structured, blocks=whole, is_error=result.get("isError") is True)


def failure(text: str) -> ToolOutput:
    """Give an output that says what went wrong."""
    return ToolOutput(text=text, is_error=True)


def _text(block: Json) -> str:
    if not isinstance(block, dict):
        return "[a block that is none]"
    kind = block.get("type")
    if kind == "text":
        return str(block.get("text", ""))
    if kind in ("image", "audio"):
        return f"[{kind}: {_word(block.get('mimeType'))}, {_bytes(block.get('data'))}; it is not shown]"
    if kind == "resource_link":
        said = ", ".join(_word(block[name]) for name in ("name", "mimeType", "description") if block.get(name))
        return f"[resource: {_word(block.get('uri'))}{f' ({said})' if said else ''}]"
    if kind == "resource":
        return _resource(block.get("resource"))
    return f"[a block of type {_word(kind)}; it is not shown]"


def _resource(resource: Json) -> str:
    if not isinstance(resource, dict):
        return "[a resource that is none]"
    where = _word(resource.get("uri"))
    if isinstance(resource.get("text"), str):
        return f"[resource: {where}]\n{resource['text']}"
    return f"[resource: {where}, {_word(resource.get('mimeType'))}, {_bytes(resource.get('blob'))}; it is not shown]"


def _word(value: Json) -> str:
    return str(value or "unknown").replace("\n", " ")[:_MOST_OF_A_LINK]


def _bytes(data: Json) -> str:
    return f"{len(data) * 3 // 4:,} bytes" if isinstance(data, str) else "no data"
