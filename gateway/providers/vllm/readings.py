"""What vLLM servers say of their load, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.providers.provider import Provider
from gateway.providers.vllm.provider import VllmProvider
from gateway.telemetry.metrics import Reading


def vllm_readings(providers: Callable[[], Iterable[Provider]]) -> list[Reading]:
    """Give them for those of the providers that are vLLM's."""

    def reading(name: str, help_text: str, figure: str) -> Reading:
        def read() -> dict[tuple[str, ...], float]:
            loads = [(provider.name, provider.load()) for provider in providers() if isinstance(provider, VllmProvider)]
            return {(name,): getattr(load, figure) for name, load in loads if load is not None}

        return Reading(name, help_text, read, labels=("provider",))

    return [
        reading("switchgear_vllm_requests_running", "As vLLM says.", "running"),
        reading("switchgear_vllm_requests_waiting", "As vLLM says.", "waiting"),
        reading("switchgear_vllm_kv_cache_usage", "From 0 to 1, as vLLM says.", "kv_cache_usage"),
    ]
