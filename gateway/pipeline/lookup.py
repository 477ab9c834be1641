"""Finds the route of a model by its name, or says which names are near. It knows no dialect."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from gateway.core.errors import ModelNotFound
from gateway.pipeline.route import Route


def _every(route: Route) -> bool:
    """Hide nothing."""
    del route
    return True


def find_route(routes: Mapping[str, Route], model: str, *, shown: Callable[[Route], bool] = _every) -> Route:
    """Give the route of `model`. Raises ModelNotFound, which names up to three near matches of those that are `shown`."""
    route = routes.get(model)
    if route is not None:
        return route
    close = difflib.get_close_matches(model[:200], routes, n=12, cutoff=0.5)
    near = [name for name in close if shown(routes[name])][:3]
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    msg = f"The model {model[:200]!r} does not exist here.{hint} GET /v1/models lists what there is."
    raise ModelNotFound(msg, param="model")
