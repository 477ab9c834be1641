"""Rules between settings that no single type can say: keys and addresses that fit together, and who may be let in.

Each check looks at one struct that is well formed and yields what is wrong. It knows no line, and of files it reads no more
than the first bytes of one that has to be of a certain format.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gateway.config.access_settings import AccessSettings, JwtSettings
from gateway.config.agent_checks import agents_findings, definition_findings, output_findings
from gateway.config.agent_settings import AgentOutputSettings, AgentSettings
from gateway.config.cache_checks import cache_findings
from gateway.config.choosing_checks import handling_findings, rule_findings, zone_findings
from gateway.config.continuation_checks import continuation_findings
from gateway.config.ensemble_checks import cascade_findings, ensemble_findings, vote_findings
from gateway.config.ensemble_settings import CascadeSettings, VoteSettings
from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.governance_checks import (
    access_findings,
    approval_findings,
    batch_findings,
    issuer_findings,
    limit_findings,
    pepper_findings,
    protection_findings,
    run_findings,
    secrets_findings,
)
from gateway.config.health_checks import health_check_findings, spawned_findings
from gateway.config.health_settings import HealthCheckSettings
from gateway.config.hedge_checks import hedge_findings, hedged_model_findings
from gateway.config.hedge_settings import HedgeSettings
from gateway.config.limit_settings import LimitRuleSettings
from gateway.config.mcp_checks import endpoint_findings, mcp_findings
from gateway.config.mcp_settings import McpEndpointSettings
from gateway.config.overload_checks import concurrency_findings, ladder_findings, queue_findings, step_findings
from gateway.config.overload_settings import StepSettings
from gateway.config.presets import PRESETS
from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    HttpSettings,
    OpenAISettings,
    OpenAIShapedSettings,
    VllmSettings,
)
from gateway.config.rollout_checks import targets_by_path, version_findings
from gateway.config.routing_checks import breaker_findings, fallback_findings, retry_findings, target_findings
from gateway.config.routing_settings import BreakerSettings, RetrySettings, RoutingSettings
from gateway.config.secret import HOW_TO_WRITE, Secret
from gateway.config.semantic_checks import semantic_findings
from gateway.config.settings import ModelSettings, OtlpSettings, ServerSettings, Settings
from gateway.config.shadow_checks import shadow_findings
from gateway.config.tool_checks import command_findings, grant_findings, hub_findings, oauth_findings, tool_findings
from gateway.config.tool_settings import HttpServerSettings, StdioServerSettings, ToolHubSettings, ToolServerSettings
from gateway.config.trigger_checks import (
    alertmanager_findings,
    schedule_findings,
    triggers_findings,
    webhook_findings,
)
from gateway.config.trigger_settings import (
    AlertmanagerTriggerSettings,
    ScheduleTriggerSettings,
    WebhookTriggerSettings,
)
from gateway.config.workflow_checks import until_findings, workflow_findings, workflow_step_findings
from gateway.config.workflow_settings import WorkflowStep, WorkflowUntil

KEY_CHARACTERS: Final = re.compile(r"[!-~]+\Z")
UNUSABLE_KEY: Final = "holds spaces, line breaks or characters outside ASCII, which no key has"

_GGUF: Final = b"GGUF"
_CREDENTIAL_HEADERS: Final = frozenset({"api-key", "authorization", "cookie", "proxy-authorization", "x-api-key"})
_EVERY_INTERFACE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


def complete(settings: Any, environ: Mapping[str, str]) -> Any:
    """Return provider settings with the key from the kind's customary variable, where none is written and it is set."""
    if not isinstance(settings, HttpSettings) or settings.keys or _carries_credentials(settings):
        return settings
    variable = PRESETS[_kind(settings)].key_variable
    value = environ.get(variable, "").strip() if variable else ""
    if not value:
        return settings
    return msgspec.structs.replace(settings, api_key=Secret(value, source=f"env:{variable}"))


def check(settings: msgspec.Struct) -> Iterator[Finding]:
    """Yield everything that is wrong with one settings struct, its nested structs not included."""
    for cls, rule in _RULES:
        if isinstance(settings, cls):
            # What a model says for all of its versions can be wrong for each of them, and is said once.
            yield from dict.fromkeys(rule(settings))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; names other than localhost are taken to be reachable."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _kind(settings: HttpSettings) -> str:
    kind: str = settings.kind  # type: ignore[attr-defined]  # every provider has one; the shared part leaves it open
    return kind


def _carries_credentials(settings: HttpSettings) -> bool:
    return any(name.lower() in _CREDENTIAL_HEADERS for name in settings.headers)


def _keys(settings: HttpSettings) -> Iterator[Finding]:
    needs = ("api_key", "api_keys", "headers")
    if settings.api_key is not None and settings.api_keys:
        yield Finding(path=("api_keys",), needs=needs, message="write either api_key or api_keys, not both")
    for key in settings.keys:
        if not KEY_CHARACTERS.match(key.reveal()):
            yield Finding(needs=needs, message=f"the key from {key.source} {UNUSABLE_KEY}")
    preset = PRESETS[_kind(settings)]
    if preset.key_required and not settings.keys and not _carries_credentials(settings):
        message = f"no key: set the environment variable {preset.key_variable}, or write api_key: env:NAME or file:path"
        yield Finding(needs=needs, message=message)


def _proxy(settings: HttpSettings) -> Iterator[Finding]:
    if settings.proxy is not None and settings.http == "native":
        yield Finding(
            path=("proxy",), needs=("proxy", "http"), message="a proxy needs the other client: add http: httpx2"
        )


def _headers(settings: HttpSettings | OtlpSettings | HttpServerSettings) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, value in settings.headers.items():
        if name.lower() in _CREDENTIAL_HEADERS and not isinstance(value, Secret):
            yield Finding(path=("headers", name), message=f"this header carries a credential: {HOW_TO_WRITE}")
        if name.lower() in seen:
            yield Finding(path=("headers", name), message="the same header is there already: case does not count")
        seen.add(name.lower())


def _address(settings: OpenAISettings) -> Iterator[Finding]:
    if not settings.endpoint:
        message = f"missing key 'base_url': providers of kind {settings.kind} have no customary address"
        yield Finding(needs=("base_url",), message=message)
    if settings.azure_api_version is not None and settings.kind != "azure":
        yield Finding(path=("azure_api_version",), message=f"only kind azure has this, not {settings.kind}")


def _spawn(settings: VllmSettings) -> Iterator[Finding]:
    if settings.spawn is not None and settings.base_url is not None:
        message = "a spawned vLLM listens on 127.0.0.1 at spawn.port: remove base_url, or spawn"
        yield Finding(path=("base_url",), message=message)


def _exposure(settings: Settings) -> Iterator[Finding]:
    server = settings.server
    # Where a database or an issuer of tokens is, whoever comes from elsewhere is asked for a key.
    guarded = server.keys or settings.database is not None or settings.access.jwt
    if not guarded and not is_loopback(server.host):
        message = (
            f"without keys, anyone who reaches {server.host} could use the models: "
            'set server.keys (for example ["env:SWITCHGEAR_KEY"]), or server.host to 127.0.0.1'
        )
        yield Finding(path=("server", "host"), needs=("server", "database", "access"), message=message)


def _loops(settings: Settings) -> Iterator[Finding]:
    server = settings.server
    for name, provider in settings.providers.items():
        if isinstance(provider, OpenAIShapedSettings | AnthropicSettings) and _points_at(server, _endpoint(provider)):
            message = f"this is the address that Switchgear itself listens on (port {server.port})"
            yield Finding(path=("providers", name, "base_url"), needs=("server",), message=message)


def _endpoint(provider: OpenAIShapedSettings | AnthropicSettings) -> str:
    if isinstance(provider, OpenAISettings | VllmSettings):
        return provider.endpoint
    return provider.base_url or ""


def _points_at(server: ServerSettings, address: str) -> bool:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not parts.hostname or port != server.port:
        return False
    local = is_loopback(server.host) or server.host in _EVERY_INTERFACE
    return parts.hostname == server.host or (local and is_loopback(parts.hostname))


def _weights(settings: EmbeddedSettings) -> Iterator[Finding]:
    path = settings.chat_model_path
    if path is None or settings.chat_model == "off":
        return
    try:
        with path.open("rb") as file:
            found = file.read(len(_GGUF))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        problem = "" if found == _GGUF else "is not a GGUF file"
    if problem:
        yield Finding(path=("chat_model_path",), message=f"{shown(path.name)} {problem}")


def _served_models(settings: Settings) -> Iterator[Finding]:
    for path, target in targets_by_path(settings):
        provider = settings.providers.get(target.provider)
        if not isinstance(provider, EmbeddedSettings) or target.model in (known := provider.served):
            continue
        close = difflib.get_close_matches(target.model[:100], known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f" (it has: {', '.join(known) or 'none'})"
        yield Finding(
            path=(*path, "model"),
            needs=("providers",),
            message=f"the embedded provider '{target.provider}' has no model {shown(target.model)}{hint}",
        )


def _reserved_names(settings: Settings) -> Iterator[Finding]:
    for name in settings.models:
        if name.startswith("agent/"):
            yield Finding(path=("models", name), message="names that begin with agent/ are kept for agents")


# In the order in which an operator would want to hear of them.
_RULES: Final[tuple[tuple[type[msgspec.Struct], Callable[[Any], Iterator[Finding]]], ...]] = (
    (HttpSettings, _keys),
    (HttpSettings, _proxy),
    (HttpSettings, _headers),
    (OtlpSettings, _headers),
    (HttpServerSettings, _headers),
    (ToolHubSettings, hub_findings),
    (ToolServerSettings, tool_findings),
    (HttpServerSettings, oauth_findings),
    (StdioServerSettings, command_findings),
    (OpenAISettings, _address),
    (VllmSettings, _spawn),
    (VllmSettings, spawned_findings),
    (HealthCheckSettings, health_check_findings),
    (EmbeddedSettings, _weights),
    (AccessSettings, access_findings),
    (JwtSettings, issuer_findings),
    (LimitRuleSettings, limit_findings),
    (RetrySettings, retry_findings),
    (BreakerSettings, breaker_findings),
    (ModelSettings, version_findings),
    (StepSettings, step_findings),
    (Settings, _exposure),
    (Settings, pepper_findings),
    (Settings, batch_findings),
    (Settings, run_findings),
    (Settings, agents_findings),
    (Settings, grant_findings),
    (McpEndpointSettings, mcp_findings),
    (Settings, endpoint_findings),
    (AgentSettings, definition_findings),
    (AgentSettings, workflow_findings),
    (WorkflowStep, workflow_step_findings),
    (WorkflowUntil, until_findings),
    (AgentOutputSettings, output_findings),
    (Settings, approval_findings),
    (Settings, triggers_findings),
    (AlertmanagerTriggerSettings, alertmanager_findings),
    (WebhookTriggerSettings, webhook_findings),
    (ScheduleTriggerSettings, schedule_findings),
    (Settings, protection_findings),
    (Settings, secrets_findings),
    (Settings, _loops),
    (Settings, _served_models),
    (Settings, _reserved_names),
    (Settings, target_findings),
    (Settings, fallback_findings),
    (Settings, rule_findings),
    (Settings, handling_findings),
    (RoutingSettings, zone_findings),
    (Settings, concurrency_findings),
    (Settings, queue_findings),
    (Settings, ladder_findings),
    (HedgeSettings, hedge_findings),
    (Settings, hedged_model_findings),
    (CascadeSettings, cascade_findings),
    (VoteSettings, vote_findings),
    (Settings, ensemble_findings),
    (Settings, shadow_findings),
    (Settings, continuation_findings),
    (Settings, cache_findings),
    (Settings, semantic_findings),
)
