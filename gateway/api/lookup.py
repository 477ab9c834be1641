"""Finds the route of a model by its name, or says which names are near. It knows no dialect."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from gateway.core.errors import ModelNotFound
from gateway.pipeline.build import Route


def find_route(routes: Mapping[str, Route], model: str) -> Route:
    """Give the route of `model`. Raises ModelNotFound, which names up to three near matches."""
    route = routes.get(model)
    if route is not None:
        return route
    near = difflib.get_close_matches(model[:200], routes, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    msg = f"The model {model[:200]!r} does not exist here.{hint} GET /v1/models lists what there is."
    raise ModelNotFound(msg, param="model")
