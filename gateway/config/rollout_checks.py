"""Rules between the settings of versions: which of them there are, and that what splits calls between them can."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gateway.config.finding import Finding
from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings, Settings, TargetSettings

_WHOLE = 100
Path = tuple[str | int, ...]


def targets_by_path(settings: Settings) -> Iterator[tuple[Path, TargetSettings]]:
    """Yield every target, those of versions among them, and where it is written."""
    for name, model in settings.models.items():
        for number, target in enumerate(model.targets):
            yield ("models", name, "targets", number), target
        for label, version in model.versions.items():
            for number, target in enumerate(version.targets):
                yield ("models", name, "versions", label, "targets", number), target


def version_findings(model: ModelSettings) -> Iterator[Finding]:
    """Yield that a model has neither targets nor versions, or both, and splits between versions that cannot be."""
    needs = ("targets", "versions")
    if not model.targets and not model.versions:
        message = "missing key 'targets': write targets, or versions that each have some"
        yield Finding(needs=needs, message=message)
    elif model.targets and model.versions:
        yield Finding(path=("versions",), needs=needs, message="write either targets or versions, not both")
    elif model.versions:
        yield from _of_versions(model)
    else:
        for key, written in (("rollout", model.rollout), ("ab", model.ab), ("active", model.active)):
            if written:
                message = f"{key} is between versions, and this model has targets: write versions instead"
                yield Finding(path=(key,), needs=needs, message=message)


def _of_versions(model: ModelSettings) -> Iterator[Finding]:
    for label, version in model.versions.items():
        for key in ("fallbacks", "degrade"):
            if getattr(version.routing, key, None) is not None:
                message = f"write {key} at the model: they are the same for all of its versions"
                yield Finding(path=("versions", label, "routing", key), message=message)
    if model.rollout is not None and model.ab:
        yield Finding(path=("ab",), message="write either rollout or ab, not both")
        return
    if model.active is not None:
        yield from _known(model, ("active",), model.active)
        if model.rollout is not None or model.ab:
            message = "a rollout, or ab, says which versions have the calls: remove active"
            yield Finding(path=("active",), message=message)
    if model.rollout is not None:
        yield from _of_rollout(("rollout",), model, model.rollout)
    for label in model.ab:
        yield from _known(model, ("ab", label), label)
    if model.ab and not any(model.ab.values()):
        yield Finding(path=("ab",), message="every version has weight 0, so that none could have a call")


def _of_rollout(path: Path, model: ModelSettings, rollout: RolloutSettings) -> Iterator[Finding]:
    yield from _known(model, (*path, "stable"), rollout.stable)
    yield from _known(model, (*path, "challenger"), rollout.challenger)
    if rollout.stable == rollout.challenger:
        yield Finding(path=(*path, "challenger"), message="a version cannot take over from itself")
    steps = rollout.steps
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield Finding(path=(*path, "steps"), message="every step must be larger than the one before it")
    elif steps[-1] != _WHOLE:
        yield Finding(path=(*path, "steps"), message="the last step must be 100: there the challenger has taken over")


def _known(model: ModelSettings, path: Path, label: str) -> Iterator[Finding]:
    if label not in model.versions:
        yield Finding(
            path=path,
            needs=("versions",),
            message=f"there is no version '{label}' (there are: {', '.join(model.versions)})",
        )
