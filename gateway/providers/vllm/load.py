"""vLLM's load, read off its Prometheus text. It fetches nothing and decides nothing."""

from __future__ import annotations

import math
import re

import msgspec

from gateway.core.errors import UpstreamBroken

_SAMPLE = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|(?:gpu_cache|kv_cache)_usage_perc)(?:\{[^}]*\})? +(\S+)",
    re.MULTILINE,
)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a vLLM server is: requests being computed, requests waiting, and how full its key-value cache is (0 to 1).

    `at` is the wall-clock time of the reading, in seconds since 1970. With several engines, requests are added up and the
    fullest cache counts.
    """

    running: int
    waiting: int
    kv_cache_usage: float
    at: float


def read_load(text: str, *, at: float) -> Load:
    """Read the metrics of vLLM (older ones say `gpu_cache_usage_perc`). Raises UpstreamBroken."""
    found: dict[str, list[float]] = {}
    for name, value in _SAMPLE.findall(text):
        found.setdefault(name.replace("gpu_cache", "kv_cache"), []).append(_number(value))
    try:
        return Load(
            running=int(sum(found["num_requests_running"])),
            waiting=int(sum(found["num_requests_waiting"])),
            kv_cache_usage=max(found["kv_cache_usage_perc"]),
            at=at,
        )
    except KeyError as exc:
        raise UpstreamBroken(f"/metrics has no vllm:{exc.args[0]}: this does not look like vLLM.") from exc


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
