"""Rules between the settings of continuation and the rest that no single type can say."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.finding import Finding
from gateway.config.model_parts import parts_of
from gateway.config.prefill import prefill_of
from gateway.config.settings import Settings, TargetSettings

_ENSEMBLES = ("cascade", "vote")


def continuation_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models that are to be gone on with, and have no target that can."""
    for part in parts_of(settings):
        written = part.written("continuation")
        if written is not None and part.strategy in _ENSEMBLES:
            message = f"the strategy is {part.strategy}, in which nobody goes on with another's answer"
            yield Finding(path=written[0], needs=("routing",), message=message)
        elif written is not None and not any(_goes_on(settings, target) for target in part.targets):
            message = "no target is known to go on with a beginning: where one does, write abilities: {prefill: true}"
            yield Finding(path=written[0], needs=("models", "providers"), message=message)


def _goes_on(settings: Settings, target: TargetSettings) -> bool:
    provider = settings.providers.get(target.provider)
    written = None if target.abilities is None else target.abilities.prefill
    return provider is not None and prefill_of(provider, target.model, written=written) is not None
