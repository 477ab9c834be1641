"""The well-known model APIs of OpenAI's shape, and Anthropic's: addresses, key variables, what they speak. A pure table.

The lists of APIs are what each vendor documents as generally available; `apis` in the configuration overrules them.
"""

from typing import Final, Literal, TypeAlias

import msgspec

Api: TypeAlias = Literal["chat", "completions", "responses", "messages", "embeddings", "moderations", "rerank"]


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a kind of provider.

    `base_url` is None where the configuration must give it, `key_variable` is None where there is no customary name.
    `key_header` is the header that carries a key: "authorization" (as `Bearer KEY`), or another (as the bare key).
    `output_limit` is the chat parameter for the longest answer, for calls that are translated: OpenAI renamed it, and few
    followed.
    """

    base_url: str | None
    key_variable: str | None
    apis: tuple[Api, ...]
    key_header: str = "authorization"
    key_required: bool = True
    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


_USUAL_APIS: Final[tuple[Api, ...]] = ("chat", "completions", "embeddings")

PRESETS: Final[dict[str, Preset]] = {
    "anthropic": Preset(
        base_url="https://api.anthropic.com", key_variable="ANTHROPIC_API_KEY", key_header="x-api-key", apis=()
    ),
    "azure": Preset(
        output_limit="max_completion_tokens",
        base_url=None,
        key_variable="AZURE_OPENAI_API_KEY",
        key_header="api-key",
        apis=("chat", "completions", "responses", "embeddings"),
    ),
    "cerebras": Preset(
        output_limit="max_completion_tokens",
        base_url="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
        apis=("chat", "completions"),
    ),
    "deepseek": Preset(base_url="https://api.deepseek.com/v1", key_variable="DEEPSEEK_API_KEY", apis=("chat",)),
    "fireworks": Preset(
        base_url="https://api.fireworks.ai/inference/v1",
        key_variable="FIREWORKS_API_KEY",
        apis=("chat", "completions", "embeddings", "rerank"),
    ),
    "gemini": Preset(
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_variable="GEMINI_API_KEY",
        apis=("chat", "embeddings"),
    ),
    "groq": Preset(base_url="https://api.groq.com/openai/v1", key_variable="GROQ_API_KEY", apis=("chat",)),
    "llamacpp": Preset(
        base_url="http://127.0.0.1:8080/v1",
        key_variable="LLAMA_API_KEY",
        key_required=False,
        apis=("chat", "completions", "embeddings", "rerank"),
    ),
    "lmstudio": Preset(
        base_url="http://127.0.0.1:1234/v1",
        key_variable=None,
        key_required=False,
        apis=("chat", "completions", "embeddings"),
    ),
    "mistral": Preset(
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        apis=("chat", "embeddings", "moderations"),
    ),
    "nvidia_nim": Preset(
        base_url="https://integrate.api.nvidia.com/v1",
        key_variable="NVIDIA_API_KEY",
        apis=("chat", "completions", "embeddings"),
    ),
    "ollama": Preset(
        base_url="http://127.0.0.1:11434/v1",
        key_variable="OLLAMA_API_KEY",
        key_required=False,
        apis=("chat", "completions", "embeddings"),
    ),
    "openai": Preset(
        output_limit="max_completion_tokens",
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        apis=("chat", "completions", "responses", "embeddings", "moderations"),
    ),
    "openai_compatible": Preset(base_url=None, key_variable=None, key_required=False, apis=_USUAL_APIS),
    "openrouter": Preset(
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        apis=("chat", "completions", "embeddings"),
    ),
    "together": Preset(
        base_url="https://api.together.xyz/v1",
        key_variable="TOGETHER_API_KEY",
        apis=("chat", "completions", "embeddings", "rerank"),
    ),
    "vllm": Preset(
        base_url="http://127.0.0.1:8000/v1",
        key_variable="VLLM_API_KEY",
        key_required=False,
        apis=("chat", "completions", "responses", "embeddings", "rerank"),
    ),
    "xai": Preset(base_url="https://api.x.ai/v1", key_variable="XAI_API_KEY", apis=("chat", "responses")),
}
