"""How one model is routed: its own settings, where it has none those for all models, and else what is customary."""

from __future__ import annotations

import msgspec

from gateway.config.continuation_settings import ContinuationSettings
from gateway.config.hedge_settings import HedgeSettings
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
    """All that `RoutingSettings` may leave out. `weights` are the targets', in their order; none are all alike."""

    strategy: Strategy = "fallback"
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    sticky: StickySettings = StickySettings()
    fallbacks: FallbackSettings = FallbackSettings()
    deadline: float = DEADLINE_SECONDS
    hedge: HedgeSettings | None = None
    continuation: ContinuationSettings | None = None
    weights: tuple[float, ...] = ()


def plan_of(model: RoutingSettings | None, everywhere: RoutingSettings, weights: tuple[float, ...]) -> RoutingPlan:
    """Put together what holds for a model: a section that it writes takes the place of the one for all models."""
    written: dict[str, object] = {}
    for name in RoutingSettings.__struct_fields__:
        own = None if model is None else getattr(model, name)
        value = getattr(everywhere, name) if own is None else own
        if value is not None:
            written[name] = value
    return msgspec.structs.replace(RoutingPlan(weights=weights), **written)
