"""What a server tells of itself in its metrics: calls under way, records that were lost, its configuration, its process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from gateway import __version__
from gateway.core.clock import Clock
from gateway.providers.provider import Provider
from gateway.providers.vllm.readings import vllm_readings
from gateway.telemetry.logs import log_writer
from gateway.telemetry.metrics import Reading
from gateway.telemetry.process_metrics import process_metrics


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Where the numbers come from, each asked when the metrics are read. `refused` counts by error code."""

    calls: Callable[[], int]
    dropped: Callable[[], int]
    generation: Callable[[], int]
    refused: Callable[[], Mapping[str, int]]
    websockets: Callable[[], int]
    providers: Callable[[], Iterable[Provider]]


def own_readings(told: Told, clock: Clock) -> list[Reading]:
    """Give the readings. The server's time begins now."""
    began = clock.monotonic()
    return [
        Reading("switchgear_calls_in_progress", "Calls being answered now.", lambda: {(): told.calls()}),
        Reading(
            "switchgear_records_dropped_total",
            "Records that found the queue full.",
            lambda: {(): told.dropped()},
            kind="counter",
        ),
        Reading(
            "switchgear_config_generation",
            "Number of the configuration's generation in force.",
            lambda: {(): told.generation()},
        ),
        Reading(
            "switchgear_http_refused_total",
            "Requests that the server refused before any endpoint saw them.",
            lambda: {(code,): count for code, count in told.refused().items()},
            labels=("code",),
            kind="counter",
        ),
        Reading("switchgear_websockets_open", "WebSockets that are open now.", lambda: {(): told.websockets()}),
        *vllm_readings(told.providers),
        Reading("switchgear_uptime_seconds", "Time since the start.", lambda: {(): clock.monotonic() - began}),
        *process_metrics(version=__version__, started_at=clock.wall(), writer=log_writer),
    ]
