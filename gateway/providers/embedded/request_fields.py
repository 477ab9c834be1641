"""Request fields: reads typed values out of a decoded body. A wrong value is an error that names the field; null is absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.errors import InvalidRequest, UnsupportedParameter

Body = Mapping[str, Any]

HINTS = frozenset(
    {
        *("metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("safety_identifier", "store", "user"),
    },
)
"""Fields of a generation request that change no answer here: to label, store, speed up."""


def refuse_unknown(body: Body, accepted: Iterable[str], *, what: str = "", inert: object = ()) -> None:
    """Raise UnsupportedParameter for a field that is not in `accepted` and holds something. `inert` values ask for nothing."""
    for name in body.keys() - set(accepted):
        value = body[name]
        if value is None or value in ([], {}) or (isinstance(inert, Mapping) and value in inert.get(name, ())):
            continue
        named = f"`{what}{name}`" if what else repr(name)
        message = f"{named} is not supported by the embedded model."
        raise UnsupportedParameter(message, param=f"{what}{name}")


def required(body: Body, name: str) -> Any:
    """Give a field that has to be there."""
    value = body.get(name)
    if value is None:
        raise InvalidRequest(f"Missing required parameter: `{name}`.", param=name)
    return value


def number(body: Body, name: str, low: float, high: float) -> float | None:
    """Read a number from `low` to `high`."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InvalidRequest(f"{name!r} must be a number from {low} to {high}.", param=name)
    return value


def integer(body: Body, name: str, low: int, high: int) -> int | None:
    """Read an integer from `low` to `high`."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name!r} must be an integer from {low} to {high}.", param=name)
    return value


def boolean(body: Body, name: str) -> bool | None:
    """Read true or false."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"{name!r} must be true or false.", param=name)
    return value


def text(value: Any, param: str) -> str:
    """Check that `value` is a string."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{param!r} must be a string.", param=param)
    return value


def mapping(value: Any, param: str) -> dict[str, Any]:
    """Check that `value` is an object."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"{param!r} must be an object.", param=param)
    return value


def sequence(value: Any, param: str) -> list[Any]:
    """Check that `value` is an array."""
    if not isinstance(value, list):
        raise InvalidRequest(f"{param!r} must be an array.", param=param)
    return value
