"""Items: what conversations are made of, shaped after the Responses API because it is the richest dialect.

A field that a dialect alone understands is kept in `rest`; a whole part or item of that kind is a `Foreign`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Json = Any
"""A decoded JSON value. The only place where `Any` is at home."""

Role = Literal["system", "developer", "user", "assistant"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """`cache` is a prompt-cache mark on this element, in Anthropic's form ({"type": "ephemeral", "ttl"?: "5m" | "1h"})."""

    cache: dict[str, Json] | None = None
    rest: dict[str, Json] = {}


class Text(_Record, frozen=True, kw_only=True):
    """Plain text. `annotations` (citations) and `logprobs` keep the wire form of the dialect that made them."""

    text: str
    annotations: tuple[Json, ...] = ()
    logprobs: tuple[Json, ...] | None = None


class Image(_Record, frozen=True, kw_only=True):
    """An image: exactly one of `url`, `data` (base64, with `media_type`) or `file_id`."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    detail: str | None = None


class Document(_Record, frozen=True, kw_only=True):
    """A file: one of `url`, `data` (base64, with `media_type`), `text` or `file_id`."""

    url: str | None = None
    data: str | None = None
    text: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    name: str | None = None


class Audio(_Record, frozen=True, kw_only=True):
    """Sound: base64 `data` in `format` (wav, mp3, …)."""

    data: str
    format: str


class Refusal(_Record, frozen=True, kw_only=True):
    """The model's own words for why it does not answer."""

    text: str


class Foreign(_Record, frozen=True, kw_only=True):
    """A part or an item that only `dialect` understands, kept whole in `raw`."""

    dialect: str
    raw: dict[str, Json]


Part = Text | Image | Document | Audio | Refusal | Foreign


class Message(_Record, frozen=True, kw_only=True):
    """What somebody said."""

    role: Role
    parts: tuple[Part, ...]
    id: str | None = None
    name: str | None = None


class ToolCall(_Record, frozen=True, kw_only=True):
    """The model asks for a tool. `arguments` is the raw text: JSON for functions, free text for `custom` tools."""

    call_id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"
    id: str | None = None


class ToolResult(_Record, frozen=True, kw_only=True):
    """What a tool gave back for `call_id`."""

    call_id: str
    parts: tuple[Part, ...]
    is_error: bool = False
    kind: Literal["function", "custom"] = "function"
    id: str | None = None


class Reasoning(_Record, frozen=True, kw_only=True):
    """The model's thinking. Opaque parts are kept byte for byte and go back only to where they came from.

    `text` is thinking in the clear, `summary` a digest of it. `signature` (Anthropic) vouches for `text`; `encrypted` is
    thinking that nobody here can read: OpenAI's `encrypted_content`, or Anthropic's redacted block when `redacted`.
    `origin` names the dialect that made the opaque part.
    """

    text: str = ""
    summary: tuple[str, ...] = ()
    signature: str | None = None
    encrypted: str | None = None
    redacted: bool = False
    origin: str | None = None
    id: str | None = None


Item = Message | ToolCall | ToolResult | Reasoning | Foreign
