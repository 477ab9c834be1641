"""Rules between the settings of overload that no single type can say: limits that agree, queues that can be needed, ladders that end."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.finding import Finding
from gateway.config.overload_settings import StepSettings
from gateway.config.rollout_checks import targets_by_path
from gateway.config.routing_checks import way_back
from gateway.config.routing_settings import RoutingSettings
from gateway.config.settings import Settings

_NO_LIMIT = "has a limit: write concurrency at a target, or leave this out"


def step_findings(step: StepSettings) -> Iterator[Finding]:
    """Yield steps that say nothing, or two things at once."""
    if sum(value is not None for value in (step.model, step.queue, step.stale, step.static)) != 1:
        yield Finding(message='a step is one of queue, stale, {model: NAME} and {static: "a text"}')


def concurrency_findings(settings: Settings) -> Iterator[Finding]:
    """Yield targets that have two different limits: all models share a target's places."""
    known: dict[str, tuple[int, str]] = {}
    for path, target in targets_by_path(settings):
        if target.concurrency is None:
            continue
        key = f"{target.provider}/{target.model}"
        limit, first = known.setdefault(key, (target.concurrency, str(path[1])))
        if limit != target.concurrency:
            message = f"all models share the places of {key}, and the model '{first}' says {limit}"
            yield Finding(path=(*path, "concurrency"), message=message)


def queue_findings(settings: Settings) -> Iterator[Finding]:
    """Yield queues, and steps that wait in one, where no target can ever be full."""
    limited = {name for name in settings.models if _has_limit(settings, name)}
    if not limited:
        for where in _queues(settings.routing):
            yield Finding(path=("routing", *where), needs=("models",), message=f"no target of any model {_NO_LIMIT}")
    for name, model in settings.models.items():
        if name not in limited and model.routing is not None:
            for where in _queues(model.routing):
                yield Finding(path=("models", name, "routing", *where), message=f"no target of this model {_NO_LIMIT}")


def ladder_findings(settings: Settings) -> Iterator[Finding]:
    """Yield steps to models that there are not, and those that lead back."""
    for number, step in enumerate(settings.routing.degrade or ()):
        if step.model is not None:
            message = "write this step at the models: for all of them alike a model would stand in for itself"
            yield Finding(path=("routing", "degrade", number), message=message)
    graph = {name: _models(model.routing) for name, model in settings.models.items()}
    for name, model in settings.models.items():
        steps = () if model.routing is None else model.routing.degrade or ()
        for number, step in enumerate(steps):
            path = ("models", name, "routing", "degrade", number)
            if step.static is not None and number + 1 < len(steps):
                yield Finding(path=path, message="a static answer never fails: nothing after it is ever reached")
            if step.model is None:
                continue
            if step.model not in graph:
                yield Finding(path=path, message=f"there is no model '{step.model}'")
            elif loop := way_back(name, step.model, graph):
                yield Finding(path=path, message=f"a step must not lead back: {' -> '.join((name, *loop))}")


def _has_limit(settings: Settings, name: str) -> bool:
    limited = {
        (target.provider, target.model) for _, target in targets_by_path(settings) if target.concurrency is not None
    }
    return any((target.provider, target.model) in limited for target in settings.models[name].every_target)


def _queues(routing: RoutingSettings) -> Iterator[tuple[str | int, ...]]:
    if routing.queue is not None:
        yield ("queue",)
    for number, step in enumerate(routing.degrade or ()):
        if step.queue is not None:
            yield "degrade", number


def _models(routing: RoutingSettings | None) -> tuple[str, ...]:
    steps = () if routing is None else routing.degrade or ()
    return tuple(step.model for step in steps if step.model is not None)
