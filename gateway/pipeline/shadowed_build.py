"""Puts shadows around the routes of a generation that ask for them. What a shadow's own copies would be is never asked: they have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from gateway.config.shadow_settings import ShadowSettings
from gateway.core.usage import Usage
from gateway.pipeline.route import Route, Surroundings
from gateway.pipeline.shadowed import Shadowed
from gateway.pipeline.shadowed_plan import ShadowPlan

_ONE = Usage(input=1, output=1)


def with_shadows(
    routes: Mapping[str, Route],
    wanted: Mapping[str, ShadowSettings],
    surroundings: Surroundings,
    *,
    hold: Callable[[], None],
    release: Callable[[], None],
) -> dict[str, Route]:
    """Give the routes, those with a shadow surrounded by it. `hold` and `release` are the generation's."""
    shadowing, found = surroundings.shadowing, dict(routes)
    if shadowing is None:
        return found
    for name, settings in wanted.items():
        route, other = routes[name], routes[settings.model]
        guards = surroundings.guards
        plan = ShadowPlan(
            model=name,
            settings=settings,
            answer=other.beside,
            relays=other.relays,
            priced=all(surroundings.cost(target.name, _ONE) is not None for target in other.targets),
            foreign={target.provider for target in route.targets} != {target.provider for target in other.targets},
            cost=surroundings.cost,
            clean=None if guards is None else guards.cleaner({name: route.targets, settings.model: other.targets}),
            hold=hold,
            release=release,
        )
        found[name] = replace(route, responder=Shadowed(route.responder, plan, shadowing, surroundings.chance))
    return found
