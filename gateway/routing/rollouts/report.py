"""What there is to say of a rollout, or of a split: who has which share, what every version's calls were like, and how they differ.

All intervals are confidence sequences: they may be looked at at any time, each for itself.
"""

from __future__ import annotations

from math import exp, isfinite
from typing import Any, Final

import msgspec

from gateway.routing.rollouts import course
from gateway.routing.rollouts.conductor import Running
from gateway.routing.rollouts.evidence import SCORE_OF, Verdict, verdicts
from gateway.routing.rollouts.intervals import (
    Interval,
    difference_of_means,
    difference_of_rates,
    mean_interval,
    rate_interval,
    ratio,
)
from gateway.routing.rollouts.tally import Tally

ALPHA: Final = 0.05
"""Of the intervals where no rollout says another."""
NANO: Final = 1e-9
_UNITS: Final = {"first_token": 1.0, "cost": NANO}
"""What the geometric mean of a figure is multiplied with: seconds, and dollars."""


def summary(known: Running) -> dict[str, Any]:
    """Give what a list says of one."""
    state, model = known.state, known.model
    kind = "rollout" if model.rollout is not None else "ab" if model.ab else "fixed"
    return {
        "id": known.name,
        "object": "rollout",
        "kind": kind,
        "state": state.phase,
        "active": state.active,
        "shares": dict(course.shares_of(state, model)),
        "step": state.step,
        "steps": [] if model.rollout is None else list(model.rollout.steps),
        "began": state.began,
        "since": state.since,
        "epoch": state.epoch,
        "why": state.history[-1].why if state.history else "",
    }


def report(known: Running) -> dict[str, Any]:
    """Give all there is to say."""
    tally, compared = known.tally, tuple(known.compared)
    alpha = ALPHA if known.model.rollout is None else known.model.rollout.alpha
    figures = ["first_token", "cost", "score", *(f"{SCORE_OF}{name}" for name in sorted(known.score_names()))]
    shares = dict(course.shares_of(known.state, known.model))
    return {
        **summary(known),
        "confidence": 1 - alpha,
        "versions": [_version(tally, version, shares.get(version, 0.0), figures, alpha) for version in compared],
        "comparisons": _comparisons(known, figures, alpha),
        "history": [msgspec.to_builtins(chapter) for chapter in reversed(known.state.history)],
    }


def _version(tally: Tally, version: str, share: float, figures: list[str], alpha: float) -> dict[str, Any]:
    calls, errors = tally[f"{version}.calls"], tally[f"{version}.errors"]
    return {
        "version": version,
        "share": share,
        "calls": int(calls),
        "errors": int(errors),
        "error_rate": {"value": errors / calls if calls else None, "interval": rate_interval(errors, calls, alpha)},
        **{figure: told for figure in figures if (told := _mean(tally, version, figure, alpha)) is not None},
    }


def _mean(tally: Tally, version: str, figure: str, alpha: float) -> dict[str, Any] | None:
    values = tally.moments(f"{version}.{figure}")
    if not values.n:
        return None
    interval = mean_interval(values, alpha)
    unit = _UNITS.get(figure)
    if unit is None:
        return {"calls": int(values.n), "value": values.mean, "interval": interval}
    grown = None if interval is None else (exp(interval[0]) * unit, exp(interval[1]) * unit)
    return {"calls": int(values.n), "value": exp(values.mean) * unit, "interval": grown}


def _comparisons(known: Running, figures: list[str], alpha: float) -> list[dict[str, Any]]:
    if len(known.compared) < 2:
        return []
    stable, *others = known.compared
    rollout = known.model.rollout
    tested = {} if rollout is None else {verdict.figure: verdict for verdict in verdicts(known.tally, rollout)}
    found = []
    for version in others:
        for figure in ("error_rate", *figures):
            told = _effect(known.tally, figure, stable, version, alpha)
            if told is not None:
                verdict = tested.get(figure)  # type: ignore[call-overload]  # names of scores are no figures that are tested
                found.append({"version": version, "against": stable, "figure": figure, **told, **_test(verdict)})
    return found


def _effect(tally: Tally, figure: str, stable: str, version: str, alpha: float) -> dict[str, Any] | None:
    """Give how a version differs: a difference of rates and scores, a ratio of times and costs (of their geometric means)."""
    if figure == "error_rate":
        ours, theirs = [(tally[f"{one}.errors"], tally[f"{one}.calls"]) for one in (stable, version)]
        if not ours[1] or not theirs[1]:
            return None
        rates = theirs[0] / theirs[1] - ours[0] / ours[1]
        return _told("difference", rates, difference_of_rates(ours, theirs, alpha), ours[1], theirs[1])
    our, their = tally.moments(f"{stable}.{figure}"), tally.moments(f"{version}.{figure}")
    if not our.n or not their.n:
        return None
    interval = difference_of_means(our, their, alpha)
    if figure in _UNITS:
        return _told("ratio", exp(min(their.mean - our.mean, 700.0)), ratio(interval), our.n, their.n)
    return _told("difference", their.mean - our.mean, interval, our.n, their.n)


def _told(kind: str, effect: float, interval: Interval | None, against: float, calls: float) -> dict[str, Any]:
    bounded = interval is not None and all(map(isfinite, interval))
    return {
        "effect": kind,
        "value": effect,
        "interval": interval if bounded else None,
        "calls": int(calls),
        "calls_against": int(against),
    }


def _test(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {
        "evidence": verdict.wealth,
        "evidence_needed": verdict.needed,
        "tolerance": verdict.tolerance,
        "breached": verdict.breached,
    }
