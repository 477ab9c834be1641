"""Rules between the settings of continuation and the rest that no single type can say."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.finding import Finding
from gateway.config.prefill import prefill_of
from gateway.config.settings import Settings, TargetSettings


def continuation_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models that are to be gone on with, and have no target that can."""
    for name, model in settings.models.items():
        if model.routing is None or model.routing.continuation is None:
            continue
        if not any(_goes_on(settings, target) for target in model.targets):
            message = "no target is known to go on with a beginning: where one does, write abilities: {prefill: true}"
            yield Finding(
                path=("models", name, "routing", "continuation"), needs=("models", "providers"), message=message
            )


def _goes_on(settings: Settings, target: TargetSettings) -> bool:
    provider = settings.providers.get(target.provider)
    written = None if target.abilities is None else target.abilities.prefill
    return provider is not None and prefill_of(provider, target.model, written=written) is not None
