"""The kinds of providers: settings in, Provider out. The one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    OpenAISettings,
    ProviderSettings,
    ScriptedSettings,
    VllmSettings,
)
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.embedded.provider import EmbeddedProvider
from gateway.providers.litellm.provider import LitellmProvider
from gateway.providers.openai import OpenAIProvider
from gateway.providers.provider import Provider
from gateway.providers.scripted.provider import ScriptedProvider
from gateway.providers.vllm.provider import VllmProvider

_KINDS: Mapping[type, Callable[[str, Any], Provider]] = {
    AnthropicSettings: AnthropicProvider,
    EmbeddedSettings: EmbeddedProvider,
    LitellmSettings: LitellmProvider,
    OpenAISettings: OpenAIProvider,
    ScriptedSettings: ScriptedProvider,
    VllmSettings: VllmProvider,
}


def open_provider(name: str, settings: ProviderSettings) -> Provider:
    """Make the provider that `settings` describe. Nothing is connected or started yet."""
    return _KINDS[type(settings)](name, settings)
