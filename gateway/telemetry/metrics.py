"""Counters and histograms of our own, rendered as Prometheus text. Updated from records, in batches, off the hot path.

Source: the Prometheus exposition format 0.0.4.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

from gateway.core.record import Record
from gateway.core.usage import NO_USAGE, Usage

Labels = tuple[str, ...]
_NANO = 1_000_000_000  # nano-dollars in a dollar
_BUCKETS: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
MAX_SERIES = 2000
"""Per metric. What comes after that many label sets is counted under "(other)": a name from outside must not fill memory."""


class Counter:
    """A number that only grows, for each set of labels."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Labels = ()) -> None:
        self.name = name
        self.help = help_text
        self.labels = labels
        self._values: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, values: Labels = (), amount: float = 1) -> None:
        """Add `amount` to the series with these label values."""
        held = self._values.get(values)
        if held is None:
            if len(self._values) >= MAX_SERIES:
                values = ("(other)",) * len(self.labels)
            held = self._values.get(values, 0)
        self._values[values] = held + amount

    def values(self) -> dict[Labels, float]:
        """Give the value of each series."""
        return dict(self._values)

    def render(self) -> Iterable[str]:
        """Give the exposition lines."""
        for values, value in self._values.items():
            yield f"{self.name}{_braces(self.labels, values)} {_number(value)}"


class Reading:
    """A number asked for when metrics are read; `read` gives label values and value of each series.

    A `counter` is one that only grows and that somebody else keeps; its name ends in _total.
    """

    def __init__(
        self,
        name: str,
        help_text: str,
        read: Callable[[], Mapping[Labels, float]],
        labels: Labels = (),
        *,
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = help_text
        self.labels = labels
        self._read = read

    def render(self) -> Iterable[str]:
        """Give the exposition lines."""
        for values, value in self._read().items():
            yield f"{self.name}{_braces(self.labels, values)} {_number(value)}"


class Histogram:
    """How values are spread over buckets, for each set of labels."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, bounds: Sequence[float], labels: Labels = ()) -> None:
        self.name = name
        self.help = help_text
        self.labels = labels
        self._bounds = tuple(bounds)
        self._series: dict[Labels, list[float]] = {}

    def observe(self, values: Labels, *observed: float) -> None:
        """Count values."""
        series = self._series.get(values)
        if series is None:
            if len(self._series) >= MAX_SERIES:
                values = ("(other)",) * len(self.labels)
            # One cell a bucket, one for the rest, one for the sum.
            series = self._series.setdefault(values, [0.0] * (len(self._bounds) + 2))
        bounds = self._bounds
        for value in observed:
            series[bisect.bisect_left(bounds, value)] += 1
            series[-1] += value

    def render(self) -> Iterable[str]:
        """Give the exposition lines: cumulative buckets, sum, count."""
        for values, series in self._series.items():
            total = 0.0
            for bound, count in zip((*self._bounds, float("inf")), series[:-1], strict=True):
                total += count
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f"{self.name}_bucket{_braces((*self.labels, 'le'), (*values, edge))} {_number(total)}"
            yield f"{self.name}_sum{_braces(self.labels, values)} {_number(series[-1])}"
            yield f"{self.name}_count{_braces(self.labels, values)} {_number(total)}"


Metric = Counter | Histogram | Reading

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class CallMetrics:
    """What Prometheus is told about calls. `extra` are readings of others' state."""

    def __init__(self, extra: Sequence[Metric] = ()) -> None:
        by = ("model", "target", "dialect")
        self.calls = Counter("switchgear_calls_total", "Finished calls.", (*by, "status", "error"))
        self.duration = Histogram(
            "switchgear_call_seconds", "From request to last byte.", _SECONDS, ("model", "dialect")
        )
        self.first = Histogram(
            "switchgear_first_token_seconds", "From request to the first content.", _FIRST, ("model", "dialect")
        )
        self.overhead = Histogram(
            "switchgear_overhead_seconds",
            "Time before the first content that was not spent waiting for the upstream's first byte.",
            (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1),
        )
        self.tokens = Counter("switchgear_tokens_total", "Tokens, in disjoint buckets.", ("model", "target", "bucket"))
        self.cost = Counter("switchgear_cost_dollars_total", "Cost in US dollars.", ("model", "target"))
        self.unpriced = Counter(
            "switchgear_calls_unpriced_total", "Calls with usage but without a known price.", ("model", "target")
        )
        self.failed_tries = Counter(
            "switchgear_failed_tries_total",
            "Tries that failed and were followed by one of another target.",
            ("target",),
        )
        self.verdicts = Counter(
            "switchgear_guardrail_verdicts_total", "What guardrails said.", ("guardrail", "verdict")
        )
        self.judging = Histogram("switchgear_guardrail_seconds", "Time for a verdict.", _FIRST, ("guardrail",))
        self.judging_cost = Counter(
            "switchgear_guardrail_cost_dollars_total", "What guardrails' services say that they cost.", ("guardrail",)
        )
        self.found = Counter("switchgear_protection_found_total", "What redaction found in requests.", ("kind",))
        self.degraded = Counter(
            "switchgear_degraded_total", "Calls that were answered, but not as asked.", ("model", "step")
        )
        self.cached = Counter(
            "switchgear_cache_calls_total",
            "Calls of models with a cache, by how they stood to it.",
            ("model", "status"),
        )
        self.saved_tokens = Counter(
            "switchgear_cache_tokens_saved_total", "Tokens that answers from the cache did not use.", ("model",)
        )
        self.saved = Counter(
            "switchgear_cache_dollars_saved_total", "US dollars that answers from the cache did not cost.", ("model",)
        )
        self.metrics: tuple[Metric, ...] = (
            self.calls, self.duration, self.first, self.overhead, self.tokens, self.cost, self.unpriced, self.failed_tries,
            self.verdicts, self.judging, self.judging_cost, self.found, self.degraded, self.cached, self.saved_tokens, self.saved, *extra,
        )  # fmt: skip

    def take(self, records: Sequence[Record]) -> None:
        """Count a batch of records: those that are alike, together."""
        alike: dict[tuple[str | int | None, ...], list[Record]] = {}
        for each in records:
            kind = (
                each.model,
                each.known_model,
                each.dialect,
                each.provider,
                each.served,
                each.status,
                each.error,
                each.cache,
            )
            alike.setdefault(kind, []).append(each)
        for some in alike.values():
            self._count(some)
        for each in records:
            if each.route or each.degraded or each.beside or each.guards or each.found:
                self._count_more(each)

    def _count(self, records: Sequence[Record]) -> None:
        """Count records of one model, target, dialect and end."""
        one = records[0]
        target = f"{one.provider}/{one.served}" if one.provider else ""
        model = one.known_model
        where = (model, one.dialect)
        self.calls.add((model, target, one.dialect, str(one.status), one.error or ""), len(records))
        self.duration.observe(where, *[each.duration for each in records])
        began = [each for each in records if each.first_token is not None]
        if began:
            self.first.observe(where, *[each.first_token or 0.0 for each in began])
        waited = [(each.first_token or 0.0) - each.upstream for each in began if each.upstream is not None]
        if waited:
            self.overhead.observe((), *[max(seconds, 0.0) for seconds in waited])
        if one.cache:
            self._count_cached(model, records)
        counted = [each for each in records if each.usage is not None]
        if counted:
            self._count_tokens(one.model, target, [(each.usage or NO_USAGE, each.cost) for each in counted])

    def _count_more(self, record: Record) -> None:
        """Count what few calls have."""
        if record.degraded:
            self.degraded.add((record.known_model, record.degraded))
        for tried in record.route[:-1]:
            self.failed_tries.add((tried,))
        for beside in record.beside:
            cost = None if beside.cost_nano is None else beside.cost_nano / _NANO
            self._count_tokens(record.model, beside.target, [(beside.usage, cost)])
        self._count_protection(record)

    def _count_protection(self, record: Record) -> None:
        for guardrail, verdict, seconds, cost in record.guards:
            self.verdicts.add((guardrail, verdict))
            self.judging.observe((guardrail,), seconds)
            if cost:
                self.judging_cost.add((guardrail,), cost)
        for kind, count in record.found:
            self.found.add((kind,), count)

    def _count_cached(self, model: str, records: Sequence[Record]) -> None:
        self.cached.add((model, records[0].cache), len(records))
        tokens = [each.saved.total for each in records if each.saved is not None]
        if tokens:
            self.saved_tokens.add((model,), sum(tokens))
        saved = [each.saved_nano / _NANO for each in records if each.saved_nano is not None]
        if saved:
            self.saved.add((model,), sum(saved))

    def _count_tokens(self, model: str, target: str, used: Sequence[tuple[Usage, float | None]]) -> None:
        usages = [usage for usage, _ in used if usage != NO_USAGE]
        for bucket in _BUCKETS if usages else ():
            if amount := sum([getattr(usage, bucket) for usage in usages]):
                self.tokens.add((model, target, bucket), amount)
        costs = [cost for _, cost in used if cost is not None]
        if costs:
            self.cost.add((model, target), sum(costs))
        if len(costs) < len(used):
            self.unpriced.add((model, target), len(used) - len(costs))

    def render(self) -> bytes:
        """Give the exposition text."""
        lines: list[str] = []
        for metric in self.metrics:
            lines.append(f"# HELP {metric.name} {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines.extend(metric.render())
        return ("\n".join(lines) + "\n").encode(errors="backslashreplace")


def _braces(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + pairs + "}"


def _number(value: float) -> str:
    """The shortest exact form: a token counter must not be rounded to six digits."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
