"""What a caller asks of the cache for one call: read from headers and from the body's `cache`. Pure.

Where several say something, all of them hold: nothing is taken from the cache, or kept, that one of them forbids.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final, NoReturn

from gateway.core.cached import CacheMode, CacheWish
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json

MODE: Final = b"x-switchgear-cache-mode"
TTL: Final = b"x-switchgear-cache-ttl"
NAMESPACE: Final = b"x-switchgear-cache-namespace"
THRESHOLD: Final = b"x-switchgear-cache-threshold"
CONTROL: Final = b"cache-control"
HEADERS: Final = frozenset({CONTROL, MODE, TTL, NAMESPACE, THRESHOLD})

LONGEST: Final = 31_536_000.0
"""Seconds: a year."""

_MODES: Final[dict[CacheMode, tuple[bool, bool]]] = {
    "on": (True, True),
    "read": (True, False),
    "write": (False, True),
    "off": (False, False),
}
"""Whether an answer may come from the cache, and whether it may be kept."""
_BY_PERMISSION: Final[dict[tuple[bool, bool], CacheMode]] = {allowed: mode for mode, allowed in _MODES.items()}
_NAMED: Final[dict[str, CacheMode]] = {str(mode): mode for mode in _MODES}
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}").fullmatch
_KNOWN: Final = ("mode", "ttl", "namespace", "threshold", "max_age")


def wish_of(headers: Mapping[bytes, bytes], option: Json) -> CacheWish | None:
    """Give what headers (of those in `HEADERS`) and the body's `cache` ask; None where they say nothing. Raises InvalidRequest."""
    if not headers and option is None:
        return None
    body = _checked(option)
    control = _control(headers.get(CONTROL, b""))
    said: tuple[CacheMode, ...] = (_mode_in(headers), body.mode, control.mode)
    modes: list[CacheMode] = [mode for mode in said if mode != "on"]
    allowed = [_MODES[mode] for mode in modes]
    return CacheWish(
        mode=_BY_PERMISSION[all(read for read, _ in allowed), all(write for _, write in allowed)],
        ttl=_number(headers, TTL, LONGEST) or body.ttl,
        max_age=min((age for age in (body.max_age, control.max_age) if age is not None), default=None),
        namespace=_namespace_in(headers) or body.namespace,
        threshold=max(
            (one for one in (body.threshold, _number(headers, THRESHOLD, 1.0)) if one is not None), default=None
        ),
    )


def _checked(option: Json) -> CacheWish:
    if option is None:
        return CacheWish()
    if not isinstance(option, dict):
        _refuse("cache", 'must be an object, for example {"mode": "off"}')
    for name in option:
        if name not in _KNOWN:
            _refuse(f"cache.{name[:100]}", f"is not known; there are {', '.join(_KNOWN)}")
    mode, namespace = option.get("mode"), option.get("namespace")
    if mode is not None and (not isinstance(mode, str) or mode not in _MODES):
        _refuse("cache.mode", f"must be one of {', '.join(_MODES)}")
    if namespace is not None and (not isinstance(namespace, str) or _NAMESPACE(namespace) is None):
        _refuse("cache.namespace", _NAMESPACE_RULE)
    return CacheWish(
        mode=mode or "on",
        ttl=_within("cache.ttl", option.get("ttl"), LONGEST, above_zero=True),
        max_age=_within("cache.max_age", option.get("max_age"), LONGEST),
        namespace=namespace or "",
        threshold=_within("cache.threshold", option.get("threshold"), 1.0),
    )


_NAMESPACE_RULE: Final = "must be 1 to 128 letters, digits and . _ : / -, the first a letter or a digit"


def _mode_in(headers: Mapping[bytes, bytes]) -> CacheMode:
    given = headers.get(MODE)
    if given is None:
        return "on"
    said = given.strip().lower().decode("latin-1")
    mode = _NAMED.get(said)
    if mode is None:
        _refuse(MODE.decode(), f"must be one of {', '.join(_MODES)}")
    return mode


def _namespace_in(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(NAMESPACE)
    if given is None:
        return ""
    namespace = given.strip().decode("latin-1")
    if _NAMESPACE(namespace) is None:
        _refuse(NAMESPACE.decode(), _NAMESPACE_RULE)
    return namespace


def _number(headers: Mapping[bytes, bytes], name: bytes, most: float) -> float | None:
    given = headers.get(name)
    if given is None:
        return None
    try:
        value: Json = float(given)
    except ValueError:
        value = given
    return _within(name.decode(), value, most, above_zero=name == TTL)


def _within(name: str, value: Json, most: float, *, above_zero: bool = False) -> float | None:
    if value is None:
        return None
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not 0 <= value <= most or (above_zero and value == 0):
        _refuse(
            name,
            f"must be a number {'above' if above_zero else 'from'} 0 {'and at most' if above_zero else 'to'} {most:.10g}",
        )
    return float(value)


def _control(value: bytes) -> CacheWish:
    """Read a Cache-Control header (RFC 9111). What it says beside no-store, no-cache and max-age is for others."""
    mode: CacheMode = "on"
    age: float | None = None
    for directive in value.lower().split(b","):
        name, _, argument = directive.strip().partition(b"=")
        if name == b"no-store":
            mode = "off"
        elif name == b"no-cache" and mode == "on":
            mode = "write"
        elif name == b"max-age" and argument.strip(b'"').isdigit() and len(argument) < 16:
            age = float(argument.strip(b'"'))
    return CacheWish(mode=mode, max_age=age)


def _refuse(name: str, rule: str) -> NoReturn:
    raise InvalidRequest(f"`{name}` {rule}.", param=name)
