"""Reads JSON from upstreams: leniently where that loses nothing, because a stream must not die of an odd character."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.core.errors import UpstreamBroken

_decode = msgspec.json.Decoder().decode


def decode_upstream(data: bytes) -> dict[str, Any]:
    """Decode one JSON object. Lone surrogates become U+FFFD, NaN is let in. Raises UpstreamBroken for anything else."""
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = _decode_odd(data)
    if not isinstance(value, dict):
        msg = "The upstream sent JSON that is not an object."
        raise UpstreamBroken(msg)
    return value


def _decode_odd(data: bytes) -> Any:
    try:
        return _mended(json.loads(data.decode("utf-8", "replace")))
    except (ValueError, RecursionError) as exc:
        msg = "The upstream sent something that is not JSON."
        raise UpstreamBroken(msg) from exc


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(element) for element in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(element) for name, element in value.items()}
    return value
