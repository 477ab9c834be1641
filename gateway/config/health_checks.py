"""Rules between the settings of health checks, and those of what they check."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.finding import Finding
from gateway.config.health_settings import HealthCheckSettings
from gateway.config.provider_settings import VllmSettings


def health_check_findings(check: HealthCheckSettings) -> Iterator[Finding]:
    """Yield times that contradict each other."""
    if check.timeout > check.every:
        message = (
            f"a check may take {check.timeout:g} s, longer than there is between two of them ({check.every:g} s): make timeout smaller, "
            "or every larger"
        )
        yield Finding(path=("timeout",), needs=("every", "timeout"), message=message)


def spawned_findings(settings: VllmSettings) -> Iterator[Finding]:
    """Yield a check of a server that is watched anyway."""
    if settings.spawn is not None and settings.health_check is not None:
        message = "a spawned vLLM is watched as a process of ours: remove health_check"
        yield Finding(path=("health_check",), message=message)
