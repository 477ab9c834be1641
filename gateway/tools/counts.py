"""What is counted of tools, and shown as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gateway.telemetry.metrics import Counter, Histogram, Metric, Reading
from gateway.tools.hub import ServerInfo

_SERVER = ("server",)


class ToolCounts:
    """Counters and gauges. `servers` gives all servers when the metrics are read."""

    def __init__(self, servers: Callable[[], Iterable[ServerInfo]]) -> None:
        self._servers = servers
        self.in_progress = 0
        self.calls = Counter(
            "switchgear_tool_calls_total",
            "Calls of tools, by how they ended: ok, error, asked (people, for something), invalid, withdrawn, not_reached, lost or cancelled.",
            ("server", "tool", "outcome"),
        )
        self.seconds = Histogram(
            "switchgear_tool_call_seconds",
            "Time from a call of a tool to its end.",
            (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            _SERVER,
        )
        self.asked = Counter(
            "switchgear_tool_server_asked_total",
            "What servers of tools were asked for besides calls, by method and by how it ended: ok, refused, not_reached or cancelled.",
            ("server", "method", "outcome"),
        )
        self.metrics: tuple[Metric, ...] = (
            self.calls,
            self.asked,
            self.seconds,
            Reading("switchgear_tool_calls_live", "Calls of tools under way here.", lambda: {(): self.in_progress}),
            Reading("switchgear_tool_server_up", "Whether a server of tools is ready.", self._up, _SERVER),
            Reading(
                "switchgear_tool_server_restarts_total",
                "Connections to a server of tools that ended and were to be made anew.",
                lambda: self._each(lambda one: one.restarts),
                _SERVER,
                kind="counter",
            ),
            Reading(
                "switchgear_tools_quarantined",
                "Tools of a server that wait until somebody accepts their definition.",
                lambda: self._each(lambda one: len(one.quarantined)),
                _SERVER,
            ),
        )

    def _up(self) -> Mapping[tuple[str, ...], float]:
        return self._each(lambda one: one.state == "ready")

    def _each(self, read: Callable[[ServerInfo], float]) -> Mapping[tuple[str, ...], float]:
        return {(one.name,): float(read(one)) for one in self._servers()}
