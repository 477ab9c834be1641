"""Settings of the server, its models and its telemetry, and the whole. Plain values: reading and checking are `load`'s.

Only the composition root sees `Settings`; every other component is given its own section.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.access_settings import AccessSettings
from gateway.config.agent_settings import AgentsSettings
from gateway.config.approval_settings import ApprovalSettings
from gateway.config.audit_settings import AuditSettings
from gateway.config.batch_settings import BatchSettings
from gateway.config.cache_settings import SHORTHAND as CACHE_SHORTHAND
from gateway.config.cache_settings import CacheSettings, ModelCacheSettings
from gateway.config.database_settings import PostgresSettings, RedisSettings, SqliteSettings
from gateway.config.knowledge_settings import KnowledgeName, KnowledgeSettings
from gateway.config.ledger_settings import LedgerSettings
from gateway.config.limit_settings import LimitRuleSettings
from gateway.config.mcp_settings import McpEndpointSettings
from gateway.config.memory_settings import MemoryName, MemorySettings
from gateway.config.policy_settings import PolicySettings
from gateway.config.prompt_settings import PromptsSettings
from gateway.config.protection_settings import ProtectionSettings
from gateway.config.provider_settings import HeaderName, HeaderValue, HttpUrl, ProviderSettings, TimeoutSettings
from gateway.config.rollout_settings import RolloutSettings
from gateway.config.routing_settings import AbilitySettings, RoutingSettings
from gateway.config.run_settings import RunSettings
from gateway.config.secret import Secret
from gateway.config.secrets_settings import SecretsSettings
from gateway.config.shadow_settings import ShadowSettings
from gateway.config.shapes import Expected, Reference, Shorthand
from gateway.config.slack_settings import SlackSettings
from gateway.config.structured_settings import StructuredSettings
from gateway.config.tool_settings import ToolHubSettings
from gateway.config.trigger_settings import AnyTriggerSettings, TriggerName

ProviderName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
    Expected(words="a name of letters, digits, dots, dashes and underscores"),
]
ModelName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[!-~]+$"), Expected(words="a name of visible ASCII characters, no spaces")
]


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much a client may send and how long it may take. What is beyond is refused with a clear error."""

    body_bytes: Annotated[
        int, Meta(ge=1024, le=4 * 1024**3, description="Largest request body, in bytes (default 32 MiB).")
    ] = 32 * 1024 * 1024
    header_bytes: Annotated[
        int, Meta(ge=1024, le=16 * 1024**2, description="Most bytes of request headers together (default 64 KiB).")
    ] = 64 * 1024
    header_count: Annotated[int, Meta(ge=8, le=10_000, description="Most request headers.")] = 128
    header_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds for a request's headers to arrive whole.")
    ] = 10.0
    body_timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds for a request's body to arrive whole.")] = (
        60.0
    )
    json_depth: Annotated[int, Meta(ge=8, le=500, description="Deepest nesting of a JSON body, in levels.")] = 100
    connections: Annotated[int, Meta(ge=1, le=1_000_000, description="Most client connections at once.")] = 4096
    idle_timeout: Annotated[
        float, Meta(gt=0, le=86_400, description="Seconds to keep a connection open that sends no request.")
    ] = 75.0


class WebSocketSettings(msgspec.Struct, frozen=True, kw_only=True):
    """WebSockets on /v1/responses. Changes take effect with a restart."""

    most: Annotated[int, Meta(ge=0, le=1_000_000, description="Most that are open at once; 0 has none.")] = 1024
    lifetime: Annotated[
        float, Meta(gt=0, le=604_800, description="Seconds that one lasts; what is under way then is answered first.")
    ] = 3600.0
    idle_timeout: Annotated[
        float, Meta(gt=0, le=604_800, description="Seconds without a request after which one is closed.")
    ] = 600.0
    ping_interval: Annotated[
        float,
        Meta(
            gt=0, le=3600, description="Seconds after which a client is asked if it lives, and that it has to say so."
        ),
    ] = 30.0
    remembered_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1_073_741_824,
            description="Most bytes of responses with `store: false` that one remembers, to go on from.",
        ),
    ] = 8_388_608


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens, and whom it answers."""

    host: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._:%-]+$",
            description="Address to listen on. Anything but loopback needs keys. Changing it needs a restart.",
        ),
        Expected(words="an IP address or a host name"),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="TCP port; 0 takes a free one. Changing it needs a restart.")
    ] = 8080
    keys: Annotated[
        tuple[Secret, ...],
        Meta(
            description="Keys that clients must send, each env:NAME or file:path. None: no key is asked, on loopback only."
        ),
    ] = ()
    limits: Annotated[LimitSettings, Meta(description="How much a client may send and how long it may take.")] = (
        LimitSettings()
    )
    websockets: Annotated[WebSocketSettings, Meta(description="WebSockets: how many, and for how long.")] = (
        WebSocketSettings()
    )
    drain_timeout: Annotated[
        float, Meta(ge=0, le=86_400, description="Seconds that answers in flight get to finish when the server stops.")
    ] = 30.0
    keep_alive_interval: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds of silence in a stream before a comment keeps it open; 0 sends none."),
    ] = 15.0


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The log, on standard error. It never holds prompt text or secrets."""

    format: Annotated[
        Literal["auto", "json", "console"], Meta(description="auto is console on a terminal and json elsewhere.")
    ] = "auto"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least important events that are written.")
    ] = "info"
    calls: Annotated[bool, Meta(description="Whether to write one line for each model call.")] = True


class OtlpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An OpenTelemetry collector. Needs the extra: pip install 'switchgear[otlp]'."""

    endpoint: Annotated[HttpUrl, Meta(description="Address of the collector (OTLP over HTTP), without /v1/traces.")]
    headers: Annotated[
        dict[HeaderName, HeaderValue | Secret],
        Meta(description="Headers for the collector; a value may be env:NAME or file:path."),
    ] = msgspec.field(default_factory=dict)
    sample: Annotated[float, Meta(ge=0, le=1, description="Share of calls that become a span, from 0 to 1.")] = 1.0
    service_name: Annotated[str, Meta(min_length=1, description="The resource's service.name.")] = "switchgear"


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves for other systems. Prometheus metrics are always at /metrics."""

    otlp: Annotated[OtlpSettings | None, Meta(description="Send one span for each call; null sends none.")] = None


class TargetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream model that can answer for a model of ours."""

    provider: Annotated[
        str, Meta(description="Name of a provider of this file."), Reference(to="providers", noun="provider")
    ]
    model: Annotated[str, Meta(min_length=1, description="The model's name at the provider.")]
    abilities: Annotated[
        AbilitySettings | None, Meta(description="What it can do, where the built-in table does not know or is wrong.")
    ] = None
    concurrency: Annotated[
        int | None,
        Meta(
            ge=1,
            le=1_000_000,
            description="Most calls that it has at once, from all models together; null has no limit.",
        ),
    ] = None
    weight: Annotated[
        float, Meta(ge=0, le=1_000_000, description="Its share beside the others, where the strategy goes by weight.")
    ] = 1.0
    timeouts: Annotated[TimeoutSettings | None, Meta(description="Instead of the model's timeouts.")] = None
    name: Annotated[
        str | None, Meta(min_length=1, description="What rules call it; provider/model where nothing is written.")
    ] = None
    handles: Annotated[
        float,
        Meta(ge=0, le=1, description="How hard calls may look for it, from 0 to 1, where the strategy is complexity."),
    ] = 1.0


class VersionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model: targets of its own, and what it does not route as its model does."""

    targets: Annotated[tuple[TargetSettings, ...], Meta(min_length=1, description="What answers for this version.")]
    routing: Annotated[
        RoutingSettings | None, Meta(description="Where it is not routed as its model; fallbacks are the model's.")
    ] = None


VersionName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
    Expected(words="a name of at most 64 letters, digits, dots, dashes and underscores"),
]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A model that clients may ask for, and what answers it: `targets`, or `versions` that each have some."""

    targets: Annotated[
        tuple[TargetSettings, ...],
        Meta(min_length=1, description="What answers; in which order they are asked, `routing` says."),
    ] = ()
    description: Annotated[str, Meta(description="A sentence for people, shown in /v1/models.")] = ""
    on_unsupported: Annotated[
        Literal["error", "drop", "emulate"],
        Meta(
            description=(
                "A parameter that the target does not know: refuse the call (error), leave it out and say so (drop), or do its work "
                "here where that can be done honestly (emulate)."
            )
        ),
    ] = "error"
    routing: Annotated[
        RoutingSettings | None, Meta(description="Which target is asked, and what else if it fails.")
    ] = None
    shadow: Annotated[
        ShadowSettings | None, Meta(description="Another model that gets copies of calls, to compare its answers.")
    ] = None
    timeouts: Annotated[TimeoutSettings | None, Meta(description="Instead of the provider's timeouts.")] = None
    tokenizer: Annotated[
        Path | None,
        Meta(description="The model's tokenizer.json: limits then estimate a prompt by it, and not by its length."),
    ] = None
    structured: Annotated[
        StructuredSettings, Meta(description="How answers are held to the form that a call asks for.")
    ] = StructuredSettings()
    cache: Annotated[
        ModelCacheSettings | None,
        CACHE_SHORTHAND,
        Meta(description="Which of its answers are kept, for whom and how long; null: what `cache.models` says."),
    ] = None
    versions: Annotated[
        dict[VersionName, VersionSettings], Meta(description="Versions by name, instead of targets.")
    ] = msgspec.field(default_factory=dict)
    active: Annotated[
        str | None,
        Meta(
            description="The version that has all calls, where neither a rollout nor ab says otherwise; null is the first."
        ),
    ] = None
    rollout: Annotated[
        RolloutSettings | None, Meta(description="One version takes over from another, step by step.")
    ] = None
    ab: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1_000_000)]],
        Meta(description="A fixed split: versions and their weights."),
    ] = msgspec.field(default_factory=dict)

    @property
    def every_target(self) -> tuple[TargetSettings, ...]:
        """All targets, those of all versions among them, as often as they are written."""
        return (*self.targets, *(target for version in self.versions.values() for target in version.targets))


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in US dollars per million tokens; null is unknown, and makes the cost of a call unknown, not zero."""

    input: Annotated[float | None, Meta(ge=0, description="US dollars per million input tokens.")] = None
    output: Annotated[float | None, Meta(ge=0, description="US dollars per million output tokens.")] = None
    cache_read: Annotated[
        float | None, Meta(ge=0, description="US dollars per million input tokens read from the vendor's cache.")
    ] = None
    cache_write: Annotated[
        float | None, Meta(ge=0, description="US dollars per million input tokens written to the vendor's cache.")
    ] = None


def expand_target(text: str) -> dict[str, Any]:
    """Return the long form of "provider/model", split at the first slash. Raises ValueError for other text."""
    provider, _, model = text.partition("/")
    if not provider or not model:
        raise ValueError("expected provider/model, for example local/smollm2-135m-instruct, or a mapping with targets")
    return {"targets": [{"provider": provider, "model": model}]}


_TARGET_SHORTHAND = Shorthand(
    expand=expand_target, pattern="^[^/]+/.+$", description="provider/model: the one target that answers."
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration of a server."""

    server: Annotated[ServerSettings, Meta(description="Where the server listens, and whom it answers.")] = (
        ServerSettings()
    )
    logging: Annotated[LoggingSettings, Meta(description="The log.")] = LoggingSettings()
    telemetry: Annotated[TelemetrySettings, Meta(description="What leaves for other systems.")] = TelemetrySettings()
    providers: Annotated[
        dict[ProviderName, ProviderSettings],
        Meta(min_length=1, description="The upstreams, by the names that targets use."),
    ]
    models: Annotated[
        dict[ModelName, Annotated[ModelSettings, _TARGET_SHORTHAND]],
        Meta(min_length=1, description="The models that clients may ask for, by name."),
    ]
    routing: Annotated[RoutingSettings, Meta(description="Routing of all models that do not say otherwise.")] = (
        RoutingSettings()
    )
    prices: Annotated[
        dict[str, PriceSettings],
        Meta(description="Prices that overrule the built-in table, by provider/model or by the model's name upstream."),
    ] = msgspec.field(default_factory=dict)
    database: Annotated[
        SqliteSettings | PostgresSettings | None,
        Meta(description="Where keys, users, the ledger and the audit log live; null keeps nothing."),
    ] = None
    redis: Annotated[
        RedisSettings | None,
        Meta(description="What several replicas count their limits in, and keep cached answers in."),
    ] = None
    cache: Annotated[CacheSettings, Meta(description="The cache of answers.")] = CacheSettings()
    access: Annotated[AccessSettings, Meta(description="Who is let in.")] = AccessSettings()
    policies: Annotated[PolicySettings | None, Meta(description="Authorization by Cedar; null permits everything.")] = (
        None
    )
    limits: Annotated[
        dict[str, LimitRuleSettings], Meta(description="Limits and budgets, by the names that errors and metrics use.")
    ] = msgspec.field(default_factory=dict)
    protection: Annotated[ProtectionSettings | None, Meta(description="Data protection; null looks at nothing.")] = None
    secrets: Annotated[SecretsSettings, Meta(description="Secrets that the database keeps, encrypted.")] = (
        SecretsSettings()
    )
    ledger: Annotated[LedgerSettings, Meta(description="The ledger.")] = LedgerSettings()
    audit: Annotated[AuditSettings, Meta(description="The audit log.")] = AuditSettings()
    runs: Annotated[
        RunSettings | None, Meta(description="Stored responses, and runs in the background; null has neither.")
    ] = None
    tools: Annotated[ToolHubSettings, Meta(description="Servers whose tools runs may use.")] = ToolHubSettings()
    batches: Annotated[BatchSettings | None, Meta(description="Files and batches; null has neither.")] = None
    agents: Annotated[AgentsSettings | None, Meta(description="Agents that the server is; null has none.")] = None
    memories: Annotated[
        dict[MemoryName, MemorySettings], Meta(description="Memories that agents refer to, by name.")
    ] = msgspec.field(default_factory=dict)
    prompts: Annotated[PromptsSettings | None, Meta(description="Prompt templates; null has none.")] = None
    knowledge: Annotated[
        dict[KnowledgeName, KnowledgeSettings],
        Meta(description="Knowledge bases, folders of texts that agents and MCP clients search, by name."),
    ] = msgspec.field(default_factory=dict)
    approvals: Annotated[ApprovalSettings, Meta(description="People's leave for what agents do.")] = ApprovalSettings()
    slack: Annotated[SlackSettings | None, Meta(description="Approvals in Slack; null has no Slack.")] = None
    triggers: Annotated[
        dict[TriggerName, AnyTriggerSettings],
        Meta(description="What starts runs of agents without a person asking, by name."),
    ] = msgspec.field(default_factory=dict)
    mcp: Annotated[
        McpEndpointSettings | None, Meta(description="Tools and agents for MCP clients, at /mcp; null serves none.")
    ] = None
