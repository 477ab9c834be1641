"""How one model is routed: its own settings, where it has none those for all models, and else what is customary."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.config.choosing_settings import RuleSettings
from gateway.config.continuation_settings import ContinuationSettings
from gateway.config.ensemble_settings import CascadeSettings, VoteSettings
from gateway.config.hedge_settings import HedgeSettings
from gateway.config.overload_settings import QueueSettings, Steps
from gateway.config.routing_settings import (
    BreakerSettings,
    FallbackSettings,
    RetrySettings,
    RoutingSettings,
    StickySettings,
    Strategy,
)

DEADLINE_SECONDS = 600.0


class RoutingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that `RoutingSettings` may leave out. `weights` are the targets', in their order; none are all alike.

    `handles` is how hard calls may look for a target, `labels` are the names that rules call them by; both lead to or from
    "provider/model".
    `concurrency` are the calls that each target may have at once, None where there is no limit; none are all without.
    """

    strategy: Strategy = "fallback"
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    sticky: StickySettings = StickySettings()
    fallbacks: FallbackSettings = FallbackSettings()
    deadline: float = DEADLINE_SECONDS
    hedge: HedgeSettings | None = None
    continuation: ContinuationSettings | None = None
    weights: tuple[float, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    time_zone: str = "UTC"
    handles: Mapping[str, float] = {}
    labels: Mapping[str, str] = {}
    concurrency: tuple[int | None, ...] = ()
    queue: QueueSettings = QueueSettings()
    degrade: Steps | None = None
    cascade: CascadeSettings = CascadeSettings()
    vote: VoteSettings = VoteSettings()


def plan_of(
    model: RoutingSettings | None,
    everywhere: RoutingSettings,
    weights: tuple[float, ...],
    concurrency: tuple[int | None, ...] = (),
) -> RoutingPlan:
    """Put together what holds for a model: a section that it writes takes the place of the one for all models."""
    written: dict[str, object] = {}
    for name in RoutingSettings.__struct_fields__:
        own = None if model is None else getattr(model, name)
        value = getattr(everywhere, name) if own is None else own
        if value is not None:
            written[name] = value
    return msgspec.structs.replace(RoutingPlan(weights=weights, concurrency=concurrency), **written)


def merged(model: RoutingSettings | None, everywhere: RoutingSettings) -> RoutingSettings:
    """Give the routing of a model as its versions have it where they say nothing."""
    own = {
        name: value for name in RoutingSettings.__struct_fields__ if (value := getattr(model, name, None)) is not None
    }
    return msgspec.structs.replace(everywhere, **own)
