"""Rules between the settings of hedging that no single type can say."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.finding import Finding
from gateway.config.hedge_settings import HedgeSettings
from gateway.config.model_parts import parts_of
from gateway.config.settings import Settings


def hedge_findings(hedge: HedgeSettings) -> Iterator[Finding]:
    """Yield waits that contradict each other."""
    if hedge.least > hedge.most:
        yield Finding(path=("least",), message=f"the shortest wait is longer than the longest ({hedge.most:g} s)")


def hedged_model_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models that are to be hedged, and have nothing to hedge with."""
    for part in parts_of(settings):
        written = part.written("hedge")
        if written is not None and written[1].share and sum(target.weight > 0 for target in part.targets) < 2:
            yield Finding(path=written[0], needs=("models",), message="there is no second target to ask")
