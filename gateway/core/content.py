"""What a call asks for, decoded: the hub between the dialects. One record per kind of operation."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.core.items import Foreign, Item, Json


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is a JSON schema, None when the caller gave none."""

    name: str
    description: str | None = None
    parameters: dict[str, Json] | None = None
    strict: bool | None = None
    cache: dict[str, Json] | None = None
    rest: dict[str, Json] = {}


class CustomTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that takes free text, perhaps in a grammar (OpenAI's `custom`); `format` keeps the wire form."""

    name: str
    description: str | None = None
    format: dict[str, Json] | None = None
    rest: dict[str, Json] = {}


Tool = FunctionTool | CustomTool | Foreign


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """How tools are to be used. `names` are the allowed ones: exactly one for `named`, several or none otherwise."""

    mode: Literal["auto", "none", "required", "named"]
    names: tuple[str, ...] = ()
    raw: dict[str, Json] | None = None  # a form that only its own dialect knows


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The promised form of the answer's text. `schema` is set when `kind` is json_schema."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: dict[str, Json] | None = None
    strict: bool | None = None


class ReasoningOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much to think, in whichever unit the dialect has: `effort` (none … xhigh), or a `budget` in tokens.

    `mode` is Anthropic's (enabled, disabled, adaptive); `summary` is how the digest is wanted.
    """

    effort: str | None = None
    budget: int | None = None
    mode: str | None = None
    summary: str | None = None
    rest: dict[str, Json] = {}


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A request to generate. None means that the caller did not say. `rest` holds what only its dialect knows.

    System and developer instructions are the leading `Message` items with these roles.
    """

    items: tuple[Item, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning: ReasoningOptions | None = None
    verbosity: str | None = None
    user: str | None = None
    metadata: dict[str, Json] | None = None
    service_tier: str | None = None
    rest: dict[str, Json] = {}


class EmbeddingInput(msgspec.Struct, frozen=True, kw_only=True):
    """Texts (or token ids) to embed, in order."""

    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    user: str | None = None
    rest: dict[str, Json] = {}


class RerankInput(msgspec.Struct, frozen=True, kw_only=True):
    """Documents to order by how well they answer `query`; `top_n` is how many to give back."""

    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    return_documents: bool = False
    rest: dict[str, Json] = {}


class ModerationInput(msgspec.Struct, frozen=True, kw_only=True):
    """What to judge, in OpenAI's wire form (a text, texts, or multi-modal parts)."""

    input: Json
    rest: dict[str, Json] = {}


Content = Prompt | EmbeddingInput | RerankInput | ModerationInput
Operation = Literal["generate", "count_tokens", "embed", "rerank", "moderate"]
