"""Prometheus' verbs: instant and range queries, and which metrics there are. Nothing here changes anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from mcp_servers.observe.settings import Limits
from mcp_servers.observe.upstream import Server
from mcp_servers.verbs import Json, Refused, Verb

_TIME: Final = {"type": ["string", "number"], "description": "RFC 3339, or seconds since 1970."}
_EXPRESSION: Final = {"type": "string", "minLength": 1, "maxLength": 4000, "description": "A PromQL expression."}
_STEP: Final = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d|w|y)?$",
    "description": "The time between two points: 30s, 5m, 1h.",
}
_OUTPUT: Final = {
    "kind": {"type": "string"},
    "series": {"type": "array"},
    "cut": {"type": "string", "description": "What was left out; empty where nothing was."},
    "warnings": {"type": "array"},
}


class Metrics:
    """What is done for each verb."""

    def __init__(self, server: Server, limits: Limits) -> None:
        self._server = server
        self._limits = limits

    def verbs(self) -> list[Verb]:
        """Give the verbs."""
        return [
            Verb(
                name="query_metrics",
                description="Evaluates a PromQL expression at one moment.",
                run=self._instant,
                properties={"expression": _EXPRESSION, "time": _TIME},
                required=("expression",),
                output=_OUTPUT,
                open_world=True,
            ),
            Verb(
                name="query_metrics_range",
                description="Evaluates a PromQL expression over a time, one point each step.",
                run=self._range,
                properties={"expression": _EXPRESSION, "start": _TIME, "end": _TIME, "step": _STEP},
                required=("expression", "start", "end", "step"),
                output=_OUTPUT,
                open_world=True,
            ),
            Verb(
                name="list_metrics",
                description="Lists the names of metrics, all or those that a part of the name fits.",
                run=self._names,
                properties={"contains": {"type": "string", "maxLength": 200}},
                output={"names": {"type": "array"}, "cut": {"type": "string"}},
                open_world=True,
            ),
        ]

    async def _instant(self, arguments: dict[str, Json]) -> dict[str, Json]:
        form = {"query": arguments["expression"]} | ({"time": str(arguments["time"])} if "time" in arguments else {})
        return self._shown(await self._server.ask("POST", "/api/v1/query", form=form))

    async def _range(self, arguments: dict[str, Json]) -> dict[str, Json]:
        form = {name: str(arguments[name]) for name in ("start", "end", "step")} | {"query": arguments["expression"]}
        return self._shown(await self._server.ask("POST", "/api/v1/query_range", form=form))

    async def _names(self, arguments: dict[str, Json]) -> dict[str, Json]:
        found = _data(await self._server.ask("GET", "/api/v1/label/__name__/values"))
        part = arguments.get("contains", "").lower()
        names = (
            [name for name in found if isinstance(name, str) and part in name.lower()]
            if isinstance(found, list)
            else []
        )
        most = self._limits.points
        return {"names": names[:most], "cut": f"There are {len(names)} names." if len(names) > most else ""}

    def _shown(self, answer: Json) -> dict[str, Json]:
        data, limits = _data(answer), self._limits
        kind, result = data.get("resultType", ""), data.get("result", [])
        if kind in ("scalar", "string"):
            return {"kind": kind, "series": [{"labels": {}, "points": [_point(result)]}], "cut": "", "warnings": []}
        series: list[Json] = []
        room, cut = limits.points, []
        for each in result[: limits.series]:
            points = [_point(point) for point in each.get("values") or [each.get("value", [0, "NaN"])]]
            if len(points) > room:
                cut.append(f"Only the last {room} points of {len(points)} of a series are shown: take a larger step.")
            shown = points[-room:] if room else []
            room -= len(shown)
            series.append({"labels": each.get("metric", {}), "points": shown})
        if len(result) > limits.series:
            cut.append(f"There are {len(result)} series; {limits.series} are shown: aggregate, or choose by label.")
        return {
            "kind": kind,
            "series": series,
            "cut": " ".join(dict.fromkeys(cut)),
            "warnings": answer.get("warnings") or [],
        }


def _data(answer: Json) -> Json:
    if not isinstance(answer, Mapping) or answer.get("status") != "success":
        msg = "Prometheus answered with something else than a result."
        raise Refused(msg)
    return answer.get("data")


def _point(found: Sequence[Json]) -> list[Json]:
    """Give a moment and a value; what JSON has no number for stays a text."""
    moment, text = found[0], str(found[1])
    try:
        value = float(text)
    except ValueError:
        return [moment, text]
    return [moment, value if math.isfinite(value) else text]
