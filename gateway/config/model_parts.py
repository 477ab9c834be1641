"""A model as its rules are checked: whole, or version by version, with the routing that holds for each and where that is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.config.routing_settings import RoutingSettings
from gateway.config.settings import Settings, TargetSettings

Path = tuple[str | int, ...]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A model without versions, or one version of a model. `path` leads to where its targets are written.

    `layers` are the routings that hold for it and where they are written, the nearest first; the last is that for all models.
    """

    model: str
    path: Path
    targets: tuple[TargetSettings, ...]
    layers: tuple[tuple[Path, RoutingSettings], ...]

    @property
    def strategy(self) -> str:
        """The strategy by which its targets are asked."""
        found = self.find("strategy")
        return "fallback" if found is None else found[1]

    def find(self, section: str) -> tuple[Path, Any] | None:
        """Give what holds for a section of its routing, and where that is written; None where nothing is."""
        return _found(section, self.layers)

    def written(self, section: str) -> tuple[Path, Any] | None:
        """Give the same, as far as it is written for this model."""
        return _found(section, self.layers[:-1])


def parts_of(settings: Settings) -> Iterator[Part]:
    """Yield the parts of all models."""
    everywhere: tuple[Path, RoutingSettings] = (("routing",), settings.routing)
    for name, model in settings.models.items():
        path: Path = ("models", name)
        own = () if model.routing is None else (((*path, "routing"), model.routing),)
        if model.targets:
            yield Part(model=name, path=path, targets=model.targets, layers=(*own, everywhere))
        for label, version in model.versions.items():
            there: Path = (*path, "versions", label)
            nearest = () if version.routing is None else (((*there, "routing"), version.routing),)
            yield Part(model=name, path=there, targets=version.targets, layers=(*nearest, *own, everywhere))


def _found(section: str, layers: tuple[tuple[Path, RoutingSettings], ...]) -> tuple[Path, Any] | None:
    for path, routing in layers:
        value = getattr(routing, section)
        if value is not None:
            return (*path, section), value
    return None
