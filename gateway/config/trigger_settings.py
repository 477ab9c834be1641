"""Settings of triggers: what starts runs of agents without a person asking, in whose name, and how often at most. Nothing is started here."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret
from gateway.config.shapes import Expected
from gateway.core.caller import DEFAULT_TENANT

TriggerName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$"),
    Expected(words="a name of at most 64 small letters, digits, dashes and underscores"),
]
FieldName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$"),
    Expected(words="a name of at most 100 letters, digits, _ . and -"),
]
Pointer: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(/([^~/]|~[01])*)+$"),
    Expected(words="a JSON Pointer (RFC 6901), such as /incident/id"),
]
Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]


class RunAsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name a trigger's runs act. It is nobody who can log in: a service identity, known to policies, limits and the ledger."""

    tenant: Annotated[str, Meta(min_length=1, max_length=128, description="The tenant that the runs belong to.")] = (
        DEFAULT_TENANT
    )
    user: Annotated[
        str, Meta(max_length=128, description="The service account's name for policies; empty: the trigger's.")
    ] = ""
    team: Annotated[str, Meta(max_length=128, description="The team, for limits and the ledger.")] = ""
    groups: Annotated[tuple[Words, ...], Meta(description="The groups that policies see it in.")] = ()
    tools: Annotated[
        tuple[Words, ...],
        Meta(description="Patterns of the tools that it may use (`*` ends a prefix); none is all of the agent's."),
    ] = ()
    tags: Annotated[dict[FieldName, Words], Meta(description="Tags for limits and the ledger.")] = msgspec.field(
        default_factory=dict
    )


class TriggerLimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a trigger may use, beside what its agent says; the narrower counts."""

    steps: Annotated[int | None, Meta(ge=1, le=100_000, description="Most answers of its model.")] = None
    tool_calls: Annotated[int | None, Meta(ge=0, le=100_000, description="Most calls of tools.")] = None
    tokens: Annotated[int | None, Meta(ge=1, description="Most tokens, in and out.")] = None
    cost: Annotated[float | None, Meta(gt=0, description="Most US dollars.")] = None
    seconds: Annotated[float | None, Meta(gt=0, description="Most seconds that it executes.")] = None


class StormSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs a trigger begins. What is beyond is kept, and one run is told of all of it together."""

    per_minute: Annotated[int, Meta(ge=1, le=10_000, description="Most runs that begin within a minute.")] = 10
    at_once: Annotated[
        int, Meta(ge=1, le=10_000, description="Most runs that go on at once; those that wait for people do not count.")
    ] = 5
    gather: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds to gather what is beyond before the summary's run begins.")
    ] = 30.0
    catch_up: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Most runs for what one storm left over, once there are places again; the most severe first.",
        ),
    ] = 20
    quiet: Annotated[
        float, Meta(ge=1, le=86_400, description="Seconds without anything beyond after which the storm is over.")
    ] = 600.0


class FlappingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When an alert that fires and is resolved again and again is held."""

    times: Annotated[
        int, Meta(ge=1, le=100, description="How often it may begin to fire within the window; once more holds it.")
    ] = 3
    window: Annotated[
        float, Meta(ge=1, le=86_400, description="Seconds of the window. What is held has at most one run in each.")
    ] = 600.0


class TriggerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all triggers have in common."""

    agent: Annotated[
        str,
        Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", description="The agent that runs, by its folder's name."),
        Expected(words="the name of one agent"),
    ]
    task: Annotated[
        str, Meta(max_length=20_000, description="What the agent is told to do, in the operator's words.")
    ] = ""
    run_as: Annotated[RunAsSettings, Meta(description="In whose name its runs act.")] = RunAsSettings()
    limits: Annotated[TriggerLimitSettings, Meta(description="What one run may use.")] = TriggerLimitSettings()
    session: Annotated[
        str | None,
        Meta(min_length=1, max_length=200, description="The session that its runs belong to; null: the incident."),
    ] = None
    keep_days: Annotated[
        int,
        Meta(ge=1, le=36_500, description="Days after which incidents that are over, and deliveries, are forgotten."),
    ] = 90
    storm: Annotated[StormSettings, Meta(description="How many runs it begins.")] = StormSettings()


class ReceivedSettings(TriggerSettings, frozen=True, kw_only=True):
    """What triggers have in common that are sent something."""

    window: Annotated[
        float,
        # Ahead or behind, so that it is good for twice as long: the least time for which deliveries are kept (keep_days) is no less.
        Meta(ge=1, le=43_200, description="Seconds that a signature's time may be off; a replay is known for longer."),
    ] = 300.0
    body_bytes: Annotated[int, Meta(ge=1024, le=64 * 1024**2, description="Largest body, in bytes.")] = 8 * 1024 * 1024
    value_chars: Annotated[
        int,
        Meta(ge=16, le=100_000, description="Characters of one value that the agent is given; the rest is cut off."),
    ] = 500


class AlertmanagerTriggerSettings(ReceivedSettings, frozen=True, kw_only=True):
    """Prometheus Alertmanager's webhook, version 4."""

    kind: Annotated[Literal["alertmanager"], Meta(description="What starts the runs.")] = "alertmanager"
    token: Annotated[
        Secret | None, Meta(description="The bearer token that Alertmanager sends, as env:NAME or file:path.")
    ] = None
    signing_secret: Annotated[
        Secret | None, Meta(description="The secret of the signature, where something in front of this signs.")
    ] = None
    labels: Annotated[tuple[FieldName, ...], Meta(description="Labels that the agent is given; all others are not.")] = (
        "alertname", "severity", "namespace", "service", "job", "instance", "pod", "cluster",
    )  # fmt: skip
    annotations: Annotated[tuple[FieldName, ...], Meta(description="Annotations that the agent is given.")] = (
        "summary", "description", "runbook_url",
    )  # fmt: skip
    on_resolved: Annotated[
        Literal["cancel", "append"],
        Meta(
            description="All alerts of an incident are resolved: cancel ends a run that has not acted yet; append writes it down, and tells the run (on_new_alerts)."
        ),
    ] = "append"
    on_new_alerts: Annotated[
        Literal["tell", "later"],
        Meta(
            description="Alerts that join an incident whose run goes on: tell says so before its model is asked again; later tells the next run."
        ),
    ] = "tell"
    most_alerts: Annotated[
        int, Meta(ge=1, le=100_000, description="Most alerts of one delivery that are kept; those beyond are counted.")
    ] = 10_000
    shown_alerts: Annotated[
        int, Meta(ge=1, le=1000, description="Most alerts that one run is given in full; the others are counted.")
    ] = 20
    most_runs: Annotated[
        int,
        Meta(
            ge=1, le=1000, description="Most runs of one incident: the first, and one each time that new alerts join."
        ),
    ] = 5
    flapping: Annotated[FlappingSettings, Meta(description="When alerts that come and go are held.")] = (
        FlappingSettings()
    )


class WebhookTriggerSettings(ReceivedSettings, frozen=True, kw_only=True):
    """A signed webhook of any sender, as the Standard Webhooks specification describes it."""

    kind: Annotated[Literal["webhook"], Meta(description="What starts the runs.")] = "webhook"
    secret: Annotated[
        Secret, Meta(description="The signing secret: whsec_ and base64, or any other text; env:NAME or file:path.")
    ]
    fields: Annotated[
        dict[FieldName, Pointer],
        Meta(min_length=1, description="What the agent is given: names, and where each stands in the body."),
    ]
    dedupe: Annotated[
        Pointer | None,
        Meta(
            description="Where in the body stands what tells events apart; the same again joins the one that is open."
        ),
    ] = None


class ScheduleTriggerSettings(TriggerSettings, frozen=True, kw_only=True):
    """A clock."""

    kind: Annotated[Literal["schedule"], Meta(description="What starts the runs.")] = "schedule"
    cron: Annotated[
        str, Meta(min_length=1, max_length=200, description="Minute, hour, day of month, month, day of week.")
    ]
    time_zone: Annotated[str, Meta(min_length=1, description="The time zone that it counts in.")] = "UTC"
    missed: Annotated[
        Literal["skip", "once"],
        Meta(description="Times at which no server ran: skip forgets them, once makes up for them with one run."),
    ] = "skip"
    overlap: Annotated[
        Literal["skip", "allow"], Meta(description="Whether it starts while the run before still goes on.")
    ] = "skip"
    jitter: Annotated[
        float, Meta(ge=0, le=3600, description="Most seconds that a run begins later, different for each time.")
    ] = 0.0


AnyTriggerSettings: TypeAlias = AlertmanagerTriggerSettings | WebhookTriggerSettings | ScheduleTriggerSettings
"""Each kind has a struct of its own, told apart by `kind`."""
