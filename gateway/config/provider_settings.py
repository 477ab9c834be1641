"""Settings of each kind of provider: what an operator writes below `providers`. It opens nothing and resolves nothing.

A key that is not written is filled in by `load` from the environment variable of the kind's preset.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.health_settings import HealthCheckSettings
from gateway.config.presets import PRESETS, Api
from gateway.config.secret import Secret
from gateway.config.shapes import Expected, Url

HeaderName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"), Expected(words="a header name (RFC 9110 token)")
]
HeaderValue: TypeAlias = Annotated[
    str, Meta(pattern=r"^[\t\x20-\x7e\x80-\U0010ffff]*$"), Expected(words="a header value on one line")
]
HttpUrl: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[hH][tT][tT][pP][sS]?://[^\s@?#]+$"),
    Url(),
    Expected(words="an http:// or https:// address without user, password, query or fragment"),
]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]


EMBEDDING_MODEL = "all-minilm-l6-v2"


class TimeoutSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for an upstream. A section written at a target replaces the model's, and that the provider's."""

    connect: Annotated[Seconds, Meta(description="Seconds to open a connection, TLS included.")] = 10.0
    first_token: Annotated[
        Seconds, Meta(description="Seconds from the request sent to the first event of a stream.")
    ] = 60.0
    idle: Annotated[Seconds, Meta(description="Seconds without a byte of the answer, once it has begun.")] = 60.0
    total: Annotated[Seconds, Meta(description="Seconds for the whole call, from first to last byte.")] = 600.0


class EmbeddedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Models on this machine's CPU: a chat model through llama.cpp in a child process, an embedding model by ONNX."""

    kind: Annotated[Literal["embedded"], Meta(description="The kind of provider.")] = "embedded"
    chat_model: Annotated[
        str,
        Meta(min_length=1, description="Name of the chat model, as targets name it; 'off' runs no chat model."),
    ] = "smollm2-135m-instruct"
    chat_model_path: Annotated[
        Path | None, Meta(description="GGUF file of the chat model; null takes the one that is installed as a package.")
    ] = None
    embedding: Annotated[bool, Meta(description="Whether to serve the embedding model all-minilm-l6-v2.")] = True
    context: Annotated[
        int, Meta(ge=256, le=10_000_000, description="Context window in tokens, shared by the parallel slots.")
    ] = 8192
    parallel: Annotated[int, Meta(ge=1, le=256, description="Requests computed at once; the others wait.")] = 4
    threads: Annotated[
        int | None, Meta(ge=1, le=1024, description="Threads for computing; null takes the cores less one.")
    ] = None
    load: Annotated[
        Literal["lazy", "start"], Meta(description="Load the model at its first request (lazy) or when starting.")
    ] = "lazy"
    start_timeout: Annotated[Seconds, Meta(description="Seconds for the child process to load its model.")] = 60.0

    @property
    def served(self) -> tuple[str, ...]:
        """The names of the models that are switched on."""
        chat = () if self.chat_model == "off" else (self.chat_model,)
        return (*chat, EMBEDDING_MODEL) if self.embedding else chat


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every provider reached over HTTP by our own clients has in common."""

    api_key: Annotated[
        Secret | None,
        Meta(description="The key: env:NAME or file:path. Not written, the customary variable of the kind is used."),
    ] = None
    api_keys: Annotated[
        tuple[Secret, ...],
        Meta(description="Several keys, used in turn, instead of api_key; each env:NAME or file:path."),
    ] = ()
    headers: Annotated[
        dict[HeaderName, HeaderValue | Secret],
        Meta(description="Headers to add to every request; a value may be env:NAME or file:path."),
    ] = msgspec.field(default_factory=dict)
    http: Annotated[
        Literal["native", "httpx2"],
        Meta(description="HTTP client: native (HTTP/1.1, the fast one) or httpx2 (HTTP/2, proxies)."),
    ] = "native"
    proxy: Annotated[
        HttpUrl | Secret | None,
        Meta(
            description="Proxy address; needs http: httpx2. With a password in it, write it as env:NAME or file:path."
        ),
    ] = None
    connections: Annotated[int, Meta(ge=1, le=65_535, description="Most connections open to the upstream at once.")] = (
        256
    )
    timeouts: Annotated[TimeoutSettings, Meta(description="How long to wait for the upstream.")] = TimeoutSettings()
    health_check: Annotated[
        HealthCheckSettings | None, Meta(description="Ask the server now and then whether it is well; null asks calls.")
    ] = None

    @property
    def keys(self) -> tuple[Secret, ...]:
        """The keys to use, in order; empty when the upstream needs none."""
        return (self.api_key,) if self.api_key is not None else self.api_keys


class OpenAIShapedSettings(HttpSettings, frozen=True, kw_only=True):
    """What every provider of OpenAI's shape has in common."""

    base_url: Annotated[
        HttpUrl | None, Meta(description="Address up to and with /v1. Null takes the customary one of the kind.")
    ] = None
    apis: Annotated[
        tuple[Api, ...] | None,
        Meta(
            min_length=1, description="The APIs that the upstream speaks. Null takes those that the kind is known for."
        ),
    ] = None
    stream_usage: Annotated[
        bool, Meta(description="Ask for token usage in streams (stream_options.include_usage); off for old servers.")
    ] = True


class OpenAISettings(OpenAIShapedSettings, frozen=True, kw_only=True):
    """OpenAI, and every API of its shape; the kind gives address, key variable and APIs (see presets)."""

    kind: Annotated[
        Literal[
            "openai",
            "azure",
            "mistral",
            "groq",
            "together",
            "fireworks",
            "deepseek",
            "openrouter",
            "xai",
            "cerebras",
            "nvidia_nim",
            "gemini",
            "ollama",
            "lmstudio",
            "llamacpp",
            "openai_compatible",
        ],
        Meta(description="The kind of provider; openai_compatible is any server of OpenAI's shape, by base_url."),
    ] = "openai"
    azure_api_version: Annotated[
        str | None,
        Meta(
            min_length=1,
            description="Azure only: the api-version parameter. Null for Azure's v1 API, which needs none.",
        ),
    ] = None

    @property
    def endpoint(self) -> str:
        """The base address in force, without a slash at its end; empty only for a kind that has none and was given none."""
        return self.base_url or PRESETS[self.kind].base_url or ""

    @property
    def spoken_apis(self) -> tuple[Api, ...]:
        """The APIs in force: those written, else the preset's."""
        return self.apis if self.apis is not None else PRESETS[self.kind].apis


class VllmSpawnSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A vLLM server that Switchgear starts and supervises, from a Python environment of vLLM's own."""

    python: Annotated[Path, Meta(description="Python interpreter of the environment that vLLM is installed in.")]
    model: Annotated[str, Meta(min_length=1, description="Model to serve: a hub name or a directory.")]
    args: Annotated[tuple[str, ...], Meta(description="More arguments for 'vllm serve', one word an item.")] = ()
    env: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), Expected(words="a variable name")], str | Secret
        ],
        Meta(description="Environment variables for vLLM; a value may be env:NAME or file:path."),
    ] = msgspec.field(default_factory=dict)
    port: Annotated[int, Meta(ge=1, le=65_535, description="TCP port on 127.0.0.1 that vLLM listens on.")] = 8000
    start_timeout: Annotated[Seconds, Meta(description="Seconds for vLLM to load its model and answer.")] = 300.0


class VllmSettings(OpenAIShapedSettings, frozen=True, kw_only=True):
    """A vLLM server: OpenAI's shape, and vLLM's structured outputs, tokenizer, LoRA adapters and load figures."""

    kind: Annotated[Literal["vllm"], Meta(description="The kind of provider.")] = "vllm"
    lora: Annotated[
        dict[Annotated[str, Meta(min_length=1)], Annotated[str, Meta(min_length=1)]],
        Meta(description="LoRA adapters to load: the name that targets use, and the path as the vLLM server sees it."),
    ] = msgspec.field(default_factory=dict)
    load_interval: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds between readings of /metrics for load; 0 reads none.")
    ] = 5.0
    spawn: Annotated[
        VllmSpawnSettings | None,
        Meta(description="Start and supervise vLLM as a child process; null uses a running one."),
    ] = None

    @property
    def endpoint(self) -> str:
        """The base address in force, without a slash at its end."""
        if self.spawn is not None:
            return f"http://127.0.0.1:{self.spawn.port}/v1"
        return self.base_url or PRESETS[self.kind].base_url or ""

    @property
    def spoken_apis(self) -> tuple[Api, ...]:
        """The APIs in force: those written, else the preset's."""
        return self.apis if self.apis is not None else PRESETS[self.kind].apis


class AnthropicSettings(HttpSettings, frozen=True, kw_only=True):
    """Anthropic's Messages API."""

    kind: Annotated[Literal["anthropic"], Meta(description="The kind of provider.")] = "anthropic"
    base_url: Annotated[HttpUrl, Meta(description="Address, without /v1.")] = "https://api.anthropic.com"
    version: Annotated[HeaderValue, Meta(min_length=1, description="Value of the anthropic-version header.")] = (
        "2023-06-01"
    )
    beta: Annotated[tuple[HeaderValue, ...], Meta(description="Beta features, sent in the anthropic-beta header.")] = ()


class LitellmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An API that litellm adapts (Bedrock, Vertex, Cohere …). Needs the extra: pip install 'switchgear[litellm]'."""

    kind: Annotated[Literal["litellm"], Meta(description="The kind of provider.")] = "litellm"
    provider: Annotated[str, Meta(min_length=1, description="litellm's name of the provider, for example cohere.")]
    api_base: Annotated[
        HttpUrl,
        Meta(description="Address of the API. Always written: without it litellm may send the key elsewhere."),
    ]
    api_key: Annotated[Secret | None, Meta(description="The key: env:NAME or file:path.")] = None
    extra: Annotated[
        dict[str, str | Secret],
        Meta(description="More arguments for litellm (aws_region_name …); a value may be env:NAME or file:path."),
    ] = msgspec.field(default_factory=dict)
    timeouts: Annotated[TimeoutSettings, Meta(description="How long to wait for the upstream.")] = TimeoutSettings()


class ScriptedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Answers, tool calls, delays and failures read from a document: for demonstrations and tests, and named so."""

    kind: Annotated[Literal["scripted"], Meta(description="The kind of provider.")] = "scripted"
    document: Annotated[Path, Meta(description="The YAML document with the script, relative to this file.")]


ProviderSettings: TypeAlias = (
    EmbeddedSettings | OpenAISettings | VllmSettings | AnthropicSettings | LitellmSettings | ScriptedSettings
)
