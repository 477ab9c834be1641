"""Tells of the targets whose providers watch them why a call should not go there now. It starts no watching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.core.target import Target
from gateway.providers.provider import Health, Provider, Watched

_LONGEST: Final = 200
"""Characters of a reason: it stands in every decision until the target is well."""


def watched_by(providers: Mapping[str, Provider], targets: Sequence[Target]) -> dict[str, Callable[[], str]]:
    """Give for each target that is watched, by its name, what says why it is not well; an empty text when it is."""
    found = {}
    for target in targets:
        provider = providers[target.provider]
        if isinstance(provider, Watched) and provider.watched:
            found[target.name] = _teller(provider, target.model)
    return found


def is_well(health: Health) -> bool:
    """Whether calls should go there: a model that is cold starts with its first call, and who answers oddly still answers."""
    return health.state in ("ready", "cold") or health.answers


def _teller(provider: Provider, model: str) -> Callable[[], str]:
    def tell() -> str:
        health = provider.health(model)
        if is_well(health):
            return ""
        reason = health.detail or "nothing more is known"
        return f"{health.state}: {reason[:_LONGEST]}"

    return tell
