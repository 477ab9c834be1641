"""The names of the OpenTelemetry conventions for generative AI that our spans use, in one place: they are still moving.

Source: OpenTelemetry semantic conventions 1.41 (gen_ai.*, status: development); those of our own begin with "switchgear.".
"""

from __future__ import annotations

from typing import Final

from gateway.config import ProviderSettings
from gateway.config.provider_settings import LitellmSettings

ERROR_TYPE: Final = "error.type"
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_creation.input_tokens"
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"

CALL_ID: Final = "switchgear.call.id"
CALLER: Final = "switchgear.caller"
COST: Final = "switchgear.cost_dollars"
DIALECT: Final = "switchgear.dialect"
CACHE: Final = "switchgear.cache"
DEGRADED: Final = "switchgear.degraded"
DROPPED: Final = "switchgear.dropped_parameters"
EMULATED: Final = "switchgear.emulated_parameters"
FOUND: Final = "switchgear.protection.found"
GUARDS: Final = "switchgear.guardrails"
ROUTE: Final = "switchgear.route"
STATUS: Final = "switchgear.status"
USAGE_ESTIMATED: Final = "switchgear.usage.estimated"

# Of the record's parameters; both spellings of a limit are one attribute.
PARAMETERS: Final = {
    "dimensions": "gen_ai.embeddings.dimension.count",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "n": "gen_ai.request.choice.count",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "temperature": "gen_ai.request.temperature",
    "top_k": "gen_ai.request.top_k",
    "top_p": "gen_ai.request.top_p",
}

# The conventions name three; an operation that they lack keeps our name, as they provide for.
_OPERATIONS: Final = {"generate": "chat", "embed": "embeddings"}
_KINDS: Final = {"azure": "azure.ai.openai", "gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
_LITELLM: Final = {
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
}


def operation_name(operation: str, dialect: str) -> str:
    """Give gen_ai.operation.name for an operation of ours that came in a dialect."""
    return "text_completion" if dialect == "openai_completions" else _OPERATIONS.get(operation, operation)


def provider_name(settings: ProviderSettings) -> str:
    """Give gen_ai.provider.name for a configured provider: the vendor, not the name that the operator chose."""
    if isinstance(settings, LitellmSettings):
        return _LITELLM.get(settings.provider, settings.provider)
    return _KINDS.get(settings.kind, settings.kind)
