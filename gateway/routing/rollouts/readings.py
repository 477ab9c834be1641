"""What metrics tell of rollouts. The conductor knows it; here it gets its names."""

from __future__ import annotations

from collections.abc import Callable

from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.split import Splits
from gateway.telemetry.metrics import Metric, Reading

_PHASES = {"running": 0, "paused": 1, "promoted": 2, "rolled_back": 3, "fixed": 4}
_VERSION = ("model", "version")


def rollout_readings(conductor: Conductor, splits: Splits) -> tuple[Metric, ...]:
    """Give the metrics of all models with versions."""

    def each(count: str) -> Callable[[], dict[tuple[str, ...], float]]:
        return lambda: {
            (known.name, version): number for known in conductor for version, number in getattr(known, count).items()
        }

    def shares() -> dict[tuple[str, ...], float]:
        there: dict[tuple[str, ...], float] = {
            (known.name, version): 0.0 for known in conductor for version in known.model.versions
        }
        now: dict[tuple[str, ...], float] = {
            (known.name, version): share for known in conductor for version, share in splits.of(known.name).shares
        }
        return {**there, **now}

    return (
        Reading("switchgear_rollout_share", "Share of the model's calls that go to the version.", shares, _VERSION),
        Reading(
            "switchgear_rollout_calls_total", "Calls of the version that say something of it.", each("calls"), _VERSION,
            kind="counter",
        ),
        Reading(
            "switchgear_rollout_errors_total", "Calls that the version failed.", each("errors"), _VERSION, kind="counter"
        ),
        Reading(
            "switchgear_rollout_state", "0 running, 1 paused, 2 promoted, 3 rolled back, 4 no rollout.",
            lambda: {(known.name,): _PHASES[known.state.phase] for known in conductor}, ("model",),
        ),
    )  # fmt: skip
