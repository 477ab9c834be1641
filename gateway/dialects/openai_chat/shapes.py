"""The shapes of a chat completion request, as far as types go; unknown fields and values are not judged here."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Obj = dict[str, Any]
Objs = list[dict[str, Any]]


class StreamOptions(msgspec.Struct):
    """`stream_options`."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Body(msgspec.Struct):
    """The top level. Null stands for absent everywhere: clients send it so."""

    model: str
    messages: Objs
    audio: Obj | None = None
    frequency_penalty: float | None = None
    function_call: str | Obj | None = None
    functions: Objs | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: Obj | None = None
    modalities: list[str] | None = None
    moderation: Obj | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    prediction: Obj | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Obj | None = None
    prompt_cache_retention: str | None = None
    reasoning: Obj | None = None
    reasoning_effort: str | None = None
    response_format: Obj | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    tool_choice: str | Obj | None = None
    tools: Objs | None = None
    top_k: int | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: Obj | None = None


class Said(msgspec.Struct):
    """A system, developer or user message."""

    content: str | Objs
    name: str | None = None


class FunctionText(msgspec.Struct):
    """The function of a tool call."""

    name: str
    arguments: str


class CustomText(msgspec.Struct):
    """The custom tool of a tool call."""

    name: str
    input: str


class FunctionCall(msgspec.Struct, tag_field="type", tag="function"):
    """A call of a function."""

    id: str
    function: FunctionText


class CustomCall(msgspec.Struct, tag_field="type", tag="custom"):
    """A call of a custom tool."""

    id: str
    custom: CustomText


class Assistant(msgspec.Struct):
    """What the model said. `reasoning_content` is DeepSeek's and vLLM's, `reasoning` and its details OpenRouter's."""

    content: str | Objs | None = None
    name: str | None = None
    refusal: str | None = None
    audio: Obj | None = None
    function_call: FunctionText | None = None
    tool_calls: list[FunctionCall | CustomCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Objs | None = None


class ToolAnswer(msgspec.Struct):
    """The result of a tool call."""

    content: str | Objs
    tool_call_id: str


class FunctionAnswer(msgspec.Struct):
    """The result of a deprecated function call."""

    name: str
    content: str | None


MESSAGES: dict[str, type[msgspec.Struct]] = {
    "system": Said,
    "developer": Said,
    "user": Said,
    "assistant": Assistant,
    "tool": ToolAnswer,
    "function": FunctionAnswer,
}


class TextPart(msgspec.Struct):
    """`text`."""

    text: str
    cache_control: Obj | None = None


class ImageUrl(msgspec.Struct):
    """Where an image is."""

    url: str
    detail: str | None = None


class ImagePart(msgspec.Struct):
    """`image_url`."""

    image_url: ImageUrl
    cache_control: Obj | None = None


class Sound(msgspec.Struct):
    """Sound in base64."""

    data: str
    format: str


class AudioPart(msgspec.Struct):
    """`input_audio`."""

    input_audio: Sound
    cache_control: Obj | None = None


class FileSource(msgspec.Struct):
    """A file by id, or its content."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class FilePart(msgspec.Struct):
    """`file`."""

    file: FileSource
    cache_control: Obj | None = None


class RefusalPart(msgspec.Struct):
    """`refusal`."""

    refusal: str


PARTS: dict[str, type[msgspec.Struct]] = {
    "text": TextPart,
    "image_url": ImagePart,
    "input_audio": AudioPart,
    "file": FilePart,
    "refusal": RefusalPart,
}


class FunctionDefinition(msgspec.Struct):
    """What a function is."""

    name: str
    description: str | None = None
    parameters: Obj | None = None
    strict: bool | None = None


class CustomDefinition(msgspec.Struct):
    """What a custom tool is."""

    name: str
    description: str | None = None
    format: Obj | None = None


class FunctionTool(msgspec.Struct):
    """A tool of type function."""

    function: FunctionDefinition
    cache_control: Obj | None = None


class CustomTool(msgspec.Struct):
    """A tool of type custom."""

    custom: CustomDefinition


TOOLS: dict[str, type[msgspec.Struct]] = {"function": FunctionTool, "custom": CustomTool}


class Named(msgspec.Struct):
    """A name."""

    name: str


class NamedFunction(msgspec.Struct):
    """`tool_choice` of type function."""

    function: Named


class NamedCustom(msgspec.Struct):
    """`tool_choice` of type custom."""

    custom: Named


class AllowedTools(msgspec.Struct):
    """What may be used."""

    mode: Literal["auto", "required"]
    tools: Objs


class Allowed(msgspec.Struct):
    """`tool_choice` of type allowed_tools."""

    allowed_tools: AllowedTools


CHOICES: dict[str, type[msgspec.Struct]] = {"function": NamedFunction, "custom": NamedCustom, "allowed_tools": Allowed}


class JsonSchema(msgspec.Struct):
    """A named schema."""

    name: str
    description: str | None = None
    schema: Obj | None = None
    strict: bool | None = None


class SchemaFormat(msgspec.Struct):
    """`response_format` of type json_schema."""

    json_schema: JsonSchema
