"""What is counted of the calls of MCP clients, and shown as metrics."""

from __future__ import annotations

from gateway.telemetry.metrics import Counter, Metric, Reading


class McpCounts:
    """Counters and gauges. `under_way` are the calls that this process answers now."""

    def __init__(self) -> None:
        self.under_way = 0
        self.ended = Counter(
            "switchgear_mcp_calls_total",
            "Calls of MCP clients that ended here, by tool and by what came of them.",
            ("tool", "outcome"),
        )
        self.metrics: tuple[Metric, ...] = (
            self.ended,
            Reading(
                "switchgear_mcp_calls", "Calls of MCP clients that are under way here.", lambda: {(): self.under_way}
            ),
        )
