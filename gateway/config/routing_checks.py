"""Rules between the settings of routing that no single type can say: weights that add up, fallbacks that lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.config.finding import Finding
from gateway.config.model_parts import parts_of
from gateway.config.routing_settings import BreakerSettings, RetrySettings, RoutingSettings
from gateway.config.settings import Settings, TargetSettings

_BY_WEIGHT = ("weighted", "sticky", "prefix", "least_busy")
_LISTS = ("general", "context", "content")


def target_findings(settings: Settings) -> Iterator[Finding]:
    """Yield targets that are there twice, models that go by weight and have none, and weights that nothing goes by."""
    for part in parts_of(settings):
        yield from _of_targets(part.path, part.targets, part.strategy)


def _of_targets(path: tuple[str | int, ...], targets: tuple[TargetSettings, ...], strategy: str) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for number, target in enumerate(targets):
        if (target.provider, target.model) in seen:
            message = (
                f"{target.provider}/{target.model} is a target of this model already; retries are said in `routing`"
            )
            yield Finding(path=(*path, "targets", number), message=message)
        seen.add((target.provider, target.model))
    if strategy in _BY_WEIGHT:
        if not any(target.weight for target in targets):
            message = f"every target has weight 0, so that {strategy} could choose none"
            yield Finding(path=(*path, "targets"), needs=("routing",), message=message)
        return
    if strategy == "vote":  # a weight decides between answers that as many give
        return
    for number, target in enumerate(targets):
        if target.weight != 1:
            message = f"the strategy is {strategy}, which knows no weights: write routing: {{strategy: weighted}}"
            yield Finding(path=(*path, "targets", number, "weight"), needs=("routing",), message=message)


def fallback_findings(settings: Settings) -> Iterator[Finding]:
    """Yield fallbacks to models that there are not, and those that lead back."""
    everywhere = settings.routing.fallbacks
    if everywhere is not None and any(getattr(everywhere, cause) for cause in _LISTS):
        message = "write fallbacks at the models: for all of them alike a model would be its own fallback"
        yield Finding(path=("routing", "fallbacks"), message=message)
        return
    for cause in _LISTS:
        graph = {name: _named(model.routing, cause) for name, model in settings.models.items()}
        for name, others in graph.items():
            for number, other in enumerate(others):
                path = ("models", name, "routing", "fallbacks", cause, number)
                if other not in graph:
                    yield Finding(path=path, message=f"there is no model '{other}'")
                elif loop := way_back(name, other, graph):
                    yield Finding(path=path, message=f"a fallback must not lead back: {' -> '.join((name, *loop))}")


def retry_findings(retry: RetrySettings) -> Iterator[Finding]:
    """Yield waits that contradict each other."""
    if retry.base > retry.longest:
        yield Finding(path=("base",), message=f"the first wait is longer than the longest ({retry.longest:g} s)")


def breaker_findings(breaker: BreakerSettings) -> Iterator[Finding]:
    """Yield times that contradict each other."""
    if breaker.open > breaker.longest:
        yield Finding(path=("open",), message=f"this is longer than the longest ({breaker.longest:g} s)")


def _named(routing: RoutingSettings | None, cause: str) -> tuple[str, ...]:
    if routing is None or routing.fallbacks is None:
        return ()
    found: tuple[str, ...] = getattr(routing.fallbacks, cause)
    return found


def way_back(start: str, begin: str, graph: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Give the way from `begin` to `start`, empty where there is none."""
    ways: list[tuple[str, ...]] = [(begin,)]
    seen = {begin}
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        for following in graph.get(way[-1], ()):
            if following not in seen:
                seen.add(following)
                ways.append((*way, following))
    return ()
