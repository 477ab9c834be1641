"""Settings of routing: which target of a model is asked, what happens when it fails, and what it is spared."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.choosing_settings import RuleSettings
from gateway.config.continuation_settings import ContinuationSettings
from gateway.config.ensemble_settings import CascadeSettings, VoteSettings
from gateway.config.hedge_settings import HedgeSettings
from gateway.config.overload_settings import QueueSettings, Steps
from gateway.core.target import Parameter

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]
Strategy: TypeAlias = Literal[
    "fallback", "weighted", "latency", "least_busy", "cheapest", "headroom", "sticky", "prefix", "rules",
    "complexity", "cascade", "vote",
]  # fmt: skip


class AbilitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a target can do. null is as the built-in table says, and where it says nothing, that it can."""

    vision: Annotated[bool | None, Meta(description="Whether it takes images.")] = None
    audio: Annotated[bool | None, Meta(description="Whether it takes sound.")] = None
    documents: Annotated[bool | None, Meta(description="Whether it takes PDFs and other files.")] = None
    tools: Annotated[bool | None, Meta(description="Whether it calls tools.")] = None
    json_schema: Annotated[bool | None, Meta(description="Whether it keeps to a JSON schema.")] = None
    prefill: Annotated[
        bool | None,
        Meta(description="Whether it goes on with an answer whose beginning it is given, as `continuation` needs it."),
    ] = None
    context: Annotated[int | None, Meta(ge=1, description="Tokens that fit into it, prompt and answer together.")] = (
        None
    )
    without: Annotated[
        tuple[Parameter, ...],
        Meta(description="Parameters that it does not take although its API has them, and `system`: instructions."),
    ] = ()


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a target that failed is asked again. Other targets are always asked first."""

    attempts: Annotated[
        int, Meta(ge=1, le=20, description="Most tries of one call in all; every target gets one in any case.")
    ] = 3
    base: Annotated[
        Seconds, Meta(description="Seconds that the first repeated try waits at most; each further one twice as long.")
    ] = 0.25
    longest: Annotated[Seconds, Meta(description="Seconds that a repeated try waits at most, however late.")] = 8.0
    retry_after: Annotated[
        float,
        Meta(
            ge=0, le=3600, description="Longest Retry-After, in seconds, that is waited for. A longer one is passed on."
        ),
    ] = 2.0
    budget: Annotated[
        Share, Meta(description="Repeated tries as a share of a model's calls, so that retries never double an outage.")
    ] = 0.2


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a target is spared, and how it comes back. Faults of a target count; refusals of a request do not."""

    failures: Annotated[int, Meta(ge=1, le=10_000, description="Faults in a row that open the breaker.")] = 5
    share: Annotated[
        float, Meta(gt=0, le=1, description="Share of faults in the window that opens it, from `least` calls on.")
    ] = 0.5
    least: Annotated[int, Meta(ge=1, le=1_000_000, description="Calls in the window below which no share counts.")] = 20
    window: Annotated[Seconds, Meta(description="Seconds over which the share is taken.")] = 30.0
    open: Annotated[
        Seconds,
        Meta(description="Seconds before an open breaker lets a probe through; twice as long after each that fails."),
    ] = 5.0
    longest: Annotated[Seconds, Meta(description="Seconds that it stays open at most.")] = 120.0
    probes: Annotated[int, Meta(ge=1, le=100, description="Calls at once that probe a target whose time is over.")] = 1
    most_ejected: Annotated[
        Share,
        Meta(
            description="Share of a model's targets that breakers may take out at once; further ones are asked anyway."
        ),
    ] = 0.5


class StickySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps going to the same target."""

    by: Annotated[
        tuple[Literal["session", "user", "caller"], ...],
        Meta(
            min_length=1,
            description=(
                "The first of these that a call has: its x-session-id header or conversation (session), the end user that it "
                "names (user), the key or token it came with (caller)."
            ),
        ),
    ] = ("session", "user", "caller")


class FallbackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Other models that are asked when all targets of a model have failed, by the cause of the last failure."""

    general: Annotated[tuple[str, ...], Meta(description="Models to ask when the targets are down or busy.")] = ()
    context: Annotated[
        tuple[str, ...], Meta(description="Models to ask when the prompt is too long for the target.")
    ] = ()
    content: Annotated[
        tuple[str, ...], Meta(description="Models to ask when the target's own content policy refuses the call.")
    ] = ()


class RoutingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's targets are used. What is left out is as in the top-level `routing`, and else as described here."""

    strategy: Annotated[
        Strategy | None,
        Meta(
            description="Which target is asked first: the first that is well (fallback), or by one of the other strategies."
        ),
    ] = None
    retry: Annotated[RetrySettings | None, Meta(description="When a target that failed is asked again.")] = None
    breaker: Annotated[BreakerSettings | None, Meta(description="When a target is spared.")] = None
    sticky: Annotated[StickySettings | None, Meta(description="What keeps going to the same target.")] = None
    fallbacks: Annotated[FallbackSettings | None, Meta(description="Other models that help out, by cause.")] = None
    deadline: Annotated[
        Seconds | None, Meta(description="Seconds for all tries of a call together, waits included (default 600).")
    ] = None
    rules: Annotated[
        tuple[RuleSettings, ...] | None,
        Meta(description="Which calls go to which targets, for the strategy rules; the first that holds counts."),
    ] = None
    time_zone: Annotated[
        str | None,
        Meta(
            min_length=1, description="The time zone of `hour` and `weekday` in rules, as Europe/Vienna (default UTC)."
        ),
    ] = None
    queue: Annotated[
        QueueSettings | None, Meta(description="How calls wait when every target that could answer them is full.")
    ] = None
    degrade: Annotated[
        Steps | None,
        Meta(
            description="What is done, in order, when the model cannot answer as asked. null is [queue] where there is one."
        ),
    ] = None
    hedge: Annotated[
        HedgeSettings | None,
        Meta(description="When a second target is asked beside one that is slow to begin; null never."),
    ] = None
    cascade: Annotated[
        CascadeSettings | None, Meta(description="For cascade: when the next larger target is asked.")
    ] = None
    vote: Annotated[VoteSettings | None, Meta(description="For vote: who votes, and how it is decided.")] = None
    continuation: Annotated[
        ContinuationSettings | None,
        Meta(description="Whether another target goes on with a streamed text that breaks off; null does not."),
    ] = None
