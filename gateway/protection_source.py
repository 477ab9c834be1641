"""Where data protection comes from: opened with each generation of the configuration that asks for it, and closed with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config import ConfigError, Fault, Settings
from gateway.config.protection_settings import ModerationSettings, SchemaGuardSettings
from gateway.core.clock import Clock
from gateway.core.responder import Responder
from gateway.pipeline.route import Route
from gateway.protection.judgements import Judgements

if TYPE_CHECKING:
    from gateway.pipeline.guarded_build import Protection


class Asked:
    """Answers for the models of one generation in the operator's name. Its routes are known only when all of it is built."""

    def __init__(self) -> None:
        self.routes: Mapping[str, Route] = {}

    def __call__(self, model: str) -> Responder:
        """Give what answers for a model."""
        return self.routes[model].unasked


def open_protection(settings: Settings, judgements: Judgements, asked: Asked, clock: Clock) -> Protection | None:
    """Make what the settings ask for; None where they ask for nothing. Raises ConfigError."""
    if settings.protection is None:
        return None
    # The detectors' patterns take a tenth of a second, which only those pay who protect something.
    from gateway.pipeline.guarded_build import Protection, Surroundings  # noqa: PLC0415

    surroundings = Surroundings(providers=settings.providers, judgements=judgements, ask=asked, wall=clock.wall)
    return Protection(settings.protection, surroundings)


def check_moderators(settings: Settings, routes: Mapping[str, Route]) -> None:
    """See to it that the models that guardrails ask do moderations. Raises ConfigError."""
    guards = {} if settings.protection is None else settings.protection.guardrails
    faults = [
        Fault(
            file="",
            path=f"protection.guardrails.{name}.model",
            message=f"no target of the model '{guard.model}' does moderations",
        )
        for name, guard in guards.items()
        if isinstance(guard, ModerationSettings) and not routes[guard.model].serves("moderate")
    ]
    if faults:
        raise ConfigError(faults)


def schema_documents(settings: Settings) -> dict[str, Path]:
    """Give the documents that guardrails read, by the paths of their settings."""
    guards = {} if settings.protection is None else settings.protection.guardrails
    return {
        f"protection.guardrails.{name}.document": guard.document
        for name, guard in guards.items()
        if isinstance(guard, SchemaGuardSettings)
    }
