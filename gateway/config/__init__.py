"""Configuration: files and environment variables to frozen settings. It opens, connects and watches nothing."""

from gateway.config.diff import Change, diff, needs_restart
from gateway.config.environment import read_environment
from gateway.config.faults import ConfigError, Fault
from gateway.config.load import load, peek
from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    OpenAISettings,
    ProviderSettings,
    ScriptedSettings,
    TimeoutSettings,
    VllmSettings,
    VllmSpawnSettings,
)
from gateway.config.secret import Secret, reveal
from gateway.config.settings import (
    LimitSettings,
    LoggingSettings,
    ModelSettings,
    OtlpSettings,
    PriceSettings,
    ServerSettings,
    Settings,
    TargetSettings,
    TelemetrySettings,
)
from gateway.config.starter import starter_text

__all__ = [
    "AnthropicSettings",
    "Change",
    "ConfigError",
    "EmbeddedSettings",
    "Fault",
    "LimitSettings",
    "LitellmSettings",
    "LoggingSettings",
    "ModelSettings",
    "OpenAISettings",
    "OtlpSettings",
    "PriceSettings",
    "ProviderSettings",
    "ScriptedSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "TargetSettings",
    "TelemetrySettings",
    "TimeoutSettings",
    "VllmSettings",
    "VllmSpawnSettings",
    "diff",
    "load",
    "needs_restart",
    "peek",
    "read_environment",
    "reveal",
    "starter_text",
]
