"""The shapes of a Messages request, as far as types go; unknown fields and values are not judged here.

Source: the types of the `anthropic` package 2.11, with the sampling parameters and `output_format` of earlier versions,
which older models and clients still use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Obj = dict[str, Any]
Objs = list[dict[str, Any]]
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Body(msgspec.Struct):
    """What `/v1/messages` and its `count_tokens` have in common. Null stands for absent."""

    model: str
    messages: Objs
    cache_control: Obj | None = None
    max_tokens: Count | None = None
    mcp_servers: Objs | None = None
    metadata: Obj | None = None
    output_config: Obj | None = None
    output_format: Obj | None = None
    service_tier: str | None = None
    speed: str | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    system: str | Objs | None = None
    temperature: Share | None = None
    thinking: Obj | None = None
    tool_choice: Obj | None = None
    tools: Objs | None = None
    top_k: Count | None = None
    top_p: Share | None = None


class Said(msgspec.Struct):
    """One message."""

    role: Literal["user", "assistant", "system"]
    content: str | Objs


class TextBlock(msgspec.Struct):
    """`text`."""

    text: str
    cache_control: Obj | None = None
    citations: Objs | None = None


class ImageBlock(msgspec.Struct):
    """`image`."""

    source: Obj
    cache_control: Obj | None = None


class DocumentBlock(msgspec.Struct):
    """`document`."""

    source: Obj
    cache_control: Obj | None = None
    title: str | None = None


class ToolUseBlock(msgspec.Struct):
    """`tool_use`."""

    id: str
    name: str
    input: Obj
    cache_control: Obj | None = None


class ToolResultBlock(msgspec.Struct):
    """`tool_result`."""

    tool_use_id: str
    content: str | Objs | None = None
    is_error: bool | None = None
    cache_control: Obj | None = None


class ThinkingBlock(msgspec.Struct):
    """`thinking`."""

    thinking: str
    signature: str


class RedactedThinkingBlock(msgspec.Struct):
    """`redacted_thinking`."""

    data: str


BLOCKS: dict[str, type[msgspec.Struct]] = {
    "text": TextBlock,
    "image": ImageBlock,
    "document": DocumentBlock,
    "tool_use": ToolUseBlock,
    "tool_result": ToolResultBlock,
    "thinking": ThinkingBlock,
    "redacted_thinking": RedactedThinkingBlock,
}


class Base64Source(msgspec.Struct, forbid_unknown_fields=True):
    """Base64 data."""

    type: str
    media_type: str
    data: str


class UrlSource(msgspec.Struct, forbid_unknown_fields=True):
    """A URL."""

    type: str
    url: str


class FileSource(msgspec.Struct, forbid_unknown_fields=True):
    """A file by id."""

    type: str
    file_id: str


SOURCES: dict[str, type[msgspec.Struct]] = {
    "base64": Base64Source,
    "url": UrlSource,
    "file": FileSource,
    "text": Base64Source,
}


class ToolDefinition(msgspec.Struct):
    """A tool with a schema (no type, or type custom)."""

    name: str
    input_schema: Obj
    description: str | None = None
    strict: bool | None = None
    cache_control: Obj | None = None
    type: str | None = None


class Choice(msgspec.Struct):
    """`tool_choice`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    """`thinking`."""

    type: str
    budget_tokens: Count | None = None
    display: str | None = None


class SchemaFormat(msgspec.Struct):
    """`output_config.format`."""

    type: Literal["json_schema"]
    schema: Obj


class OutputConfig(msgspec.Struct):
    """`output_config`."""

    effort: str | None = None
    format: Obj | None = None


class Metadata(msgspec.Struct):
    """`metadata`."""

    user_id: str | None = None
