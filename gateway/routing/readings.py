"""What metrics tell of targets. The conditions know it; here it gets its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.routing.condition import Condition, Conditions
from gateway.telemetry.metrics import Metric, Reading

_STATES = {"closed": 0, "half_open": 1, "open": 2}
_TARGET = ("target",)


def target_readings(
    conditions: Conditions, now: Callable[[], float], healthy: Callable[[], Mapping[str, bool]] = dict
) -> tuple[Metric, ...]:
    """Give the metrics of all targets; `now` is the steady clock, `healthy` says of each target whether its provider is well."""

    def each(figure: Callable[[Condition], float | None]) -> Callable[[], dict[tuple[str, ...], float]]:
        return lambda: {(one.target,): value for one in conditions if (value := figure(one)) is not None}

    return (
        Reading("switchgear_target_in_flight", "Calls at the target now.", each(lambda one: one.in_flight), _TARGET),
        Reading(
            "switchgear_target_breaker", "0 closed, 1 half open, 2 open.", each(lambda one: _STATES[one.breaker.state(now())]),
            _TARGET,
        ),
        Reading(
            "switchgear_target_healthy", "1 where its provider says that it is well, else 0.",
            lambda: {(target,): float(well) for target, well in healthy().items()}, _TARGET,
        ),
        Reading(
            "switchgear_target_served_total", "Calls that the target answered.", each(lambda one: one.served), _TARGET,
            kind="counter",
        ),
        Reading(
            "switchgear_target_failed_total", "Calls that the target failed.", each(lambda one: one.failed), _TARGET,
            kind="counter",
        ),
        Reading(
            "switchgear_target_first_token_seconds", "Time to the first token, the peak of late.", each(lambda one: one.first),
            _TARGET,
        ),
        Reading(
            "switchgear_retries_total", "Tries of a target that had failed the same call before.", each(lambda one: one.repeated),
            _TARGET, kind="counter",
        ),
        Reading(
            "switchgear_hedges_total", "Tries made beside one that was slow to begin: won, lost or failed.",
            lambda: {(one.target, outcome): count for one in conditions for outcome, count in one.hedges.items()},
            ("target", "outcome"), kind="counter",
        ),
        Reading(
            "switchgear_continuations_total", "Answers that the target was to go on with: finished, broken or failed.",
            lambda: {(one.target, outcome): count for one in conditions for outcome, count in one.continuations.items()},
            ("target", "outcome"), kind="counter",
        ),
    )  # fmt: skip
