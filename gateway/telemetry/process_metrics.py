"""What the process says of itself at /metrics: memory, processor, files, garbage, version, lost log lines.

The names process_* and python_* are those of Prometheus' own clients, so that existing dashboards find them. Everything is
read when metrics are asked for; it costs nothing between.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.metrics import Labels, Reading

_STATM = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")


def process_metrics(*, version: str, started_at: float, writer: Callable[[], LineWriter | None]) -> tuple[Reading, ...]:
    """Give the readings. `started_at` is wall-clock seconds since 1970; `writer` gives the log's writer, if there is one."""

    def dropped_lines() -> float:
        found = writer()
        return 0 if found is None else found.dropped

    def build() -> Mapping[Labels, float]:
        return {(version, platform.python_version()): 1}

    return (
        Reading("switchgear_build_info", "Always 1; the labels say what runs.", build, ("version", "python")),
        _one(
            "switchgear_log_lines_dropped_total", "Log lines lost because nobody read them.", dropped_lines, total=True
        ),
        _one("process_resident_memory_bytes", "Memory held, in bytes, without child processes.", resident_bytes),
        _one("process_cpu_seconds_total", "Processor time, user and system.", cpu_seconds, total=True),
        _one("process_open_fds", "Open file descriptors.", open_descriptors),
        _one("process_max_fds", "Most file descriptors that may be open.", most_descriptors),
        _one("process_start_time_seconds", "When the server started, in seconds since 1970.", lambda: started_at),
        Reading("python_gc_collections_total", "Garbage collections.", _collections, ("generation",), kind="counter"),
    )


def resident_bytes() -> float:
    """Give the resident set in bytes; its peak where there is no /proc."""
    try:
        return int(_STATM.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> float:
    """Give the processor time that this process took, without its children."""
    times = os.times()
    return times.user + times.system


def open_descriptors() -> float:
    """Give the number of open file descriptors; 0 where there is no /proc."""
    try:
        return len(os.listdir(_DESCRIPTORS))  # noqa: PTH208 - a list of names, not of paths: it may hold thousands
    except OSError:
        return 0


def most_descriptors() -> float:
    """Give the limit on open file descriptors."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _collections() -> Mapping[Labels, float]:
    return {(str(generation),): stats["collections"] for generation, stats in enumerate(gc.get_stats())}


def _one(name: str, help_text: str, read: Callable[[], float], *, total: bool = False) -> Reading:
    return Reading(name, help_text, lambda: {(): read()}, kind="counter" if total else "gauge")
