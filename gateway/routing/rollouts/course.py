"""The course of a rollout: what follows from its state, the evidence, the time and what an operator wants. Pure; times are arguments."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, Literal

from msgspec.structs import replace

from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings
from gateway.core.errors import Conflict, InvalidRequest
from gateway.routing.rollouts.evidence import Verdict, verdicts
from gateway.routing.rollouts.tally import Tally
from gateway.stores.rollouts import Chapter, RolloutState

WHOLE: Final = 100.0
ENDED: Final = ("promoted", "rolled_back")
Shares = Sequence[tuple[str, float]]


def experiment_of(model: ModelSettings) -> str:
    """Give a name for what is compared: another one begins anew."""
    if model.rollout is not None:
        return f"rollout {model.rollout.stable} > {model.rollout.challenger}"
    if model.ab:
        return "ab " + ", ".join(f"{version}={weight:g}" for version, weight in model.ab.items())
    return f"fixed {model.active or ''}".strip()


def begin(name: str, model: ModelSettings, before: RolloutState | None, now: float) -> RolloutState:
    """Give the first state of what the configuration says, after `before`, which was of another experiment."""
    rollout = model.rollout
    experiment = experiment_of(model)
    share = rollout.steps[0] / WHOLE if rollout is not None else 0.0
    what = (
        "The rollout begins." if rollout is not None else "The split begins." if model.ab else "No rollout, no split."
    )
    state = RolloutState(
        model=name,
        version=1 if before is None else before.version + 1,
        experiment=experiment,
        epoch=1 if before is None else before.epoch + 1,
        phase="fixed" if rollout is None and not model.ab else "running",
        active=resting(model, before),
        began=now,
        since=now,
        share=share,
        history=() if before is None else before.history,
    )
    chapter = Chapter(at=now, event="begun", share=share, why=f"{what} The configuration says: {experiment}.")
    return _ended_at_once(replace(state, history=state.after(chapter)), rollout)


def _ended_at_once(state: RolloutState, rollout: RolloutSettings | None) -> RolloutState:
    if rollout is None or state.share < 1:
        return state
    return replace(state, phase="promoted", active=rollout.challenger)


def resting(model: ModelSettings, before: RolloutState | None) -> str:
    """Give the version that has all calls while nothing runs."""
    if model.rollout is not None:
        return model.rollout.stable
    # What a rollout or an operator made active stays it, as long as the configuration does not say otherwise.
    kept = before.active if before is not None and before.active in model.versions else None
    return model.active or kept or next(iter(model.versions))


def shares_of(state: RolloutState, model: ModelSettings) -> Shares:
    """Give how calls are split: the challenger's range first, so that it grows over the stable one's."""
    rollout = model.rollout
    if rollout is not None and state.phase not in ENDED:
        return ((rollout.challenger, state.share), (rollout.stable, 1 - state.share))
    if model.ab and rollout is None:
        total = sum(model.ab.values())
        return tuple((version, weight / total) for version, weight in model.ab.items())
    return ((state.active, 1.0),)


def following(state: RolloutState, rollout: RolloutSettings, tally: Tally, now: float) -> RolloutState | None:
    """Give the state that the evidence and the time lead to; None where it stays as it is."""
    if state.phase != "running":
        return None
    found = verdicts(tally, rollout)
    breached = [verdict for verdict in found if verdict.breached]
    if breached:
        return rolled_back(state, rollout, now, why=_said(breached[0], tally, rollout))
    if any(verdict.wealth >= verdict.needed and verdict.worse == -inf for verdict in found):
        return None  # only a few calls are missing before it goes back
    if now - state.since < rollout.dwell:
        return None
    if tally[f"step.{state.step}"] < rollout.least:
        return None
    if state.step + 2 < len(rollout.steps):
        return _stepped(state, rollout, now)
    if min(tally[f"{version}.calls"] for version in (rollout.stable, rollout.challenger)) < rollout.evidence:
        return None
    return promoted(state, rollout, now, why=_fared(tally, rollout))


def _stepped(state: RolloutState, rollout: RolloutSettings, now: float) -> RolloutState:
    step = state.step + 1
    share = rollout.steps[step] / WHOLE
    why = (
        f"{now - state.since:.0f} s at {state.share:.4g} of the calls, and nothing speaks against {rollout.challenger}."
    )
    return replace(
        state,
        version=state.version + 1,
        step=step,
        share=share,
        since=now,
        history=state.after(Chapter(at=now, event="stepped", share=share, why=why)),
    )


def promoted(
    state: RolloutState, rollout: RolloutSettings, now: float, *, why: str, by: str = "system"
) -> RolloutState:
    """Give the end at which the challenger has all calls."""
    return _ended(replace(state, active=rollout.challenger, share=1.0), "promoted", now, why, by)


def rolled_back(
    state: RolloutState, rollout: RolloutSettings, now: float, *, why: str, by: str = "system"
) -> RolloutState:
    """Give the end at which the stable version has all calls again."""
    return _ended(replace(state, active=rollout.stable, share=0.0), "rolled_back", now, why, by)


def _ended(
    state: RolloutState, phase: Literal["promoted", "rolled_back"], now: float, why: str, by: str
) -> RolloutState:
    chapter = Chapter(at=now, event=phase, share=state.share, why=why, by=by)
    return replace(state, version=state.version + 1, phase=phase, since=now, history=state.after(chapter))


def switched(state: RolloutState, model: ModelSettings, version: str, now: float, *, by: str) -> RolloutState:
    """Give the state in which a version has all calls. Raises InvalidRequest for one that there is not, and Conflict."""
    if version not in model.versions:
        msg = f"There is no version {version[:100]!r} (there are: {', '.join(model.versions)})."
        raise InvalidRequest(msg, param="version")
    if model.ab:
        msg = "The calls of this model are split by `ab`: the configuration has to say otherwise first."
        raise Conflict(msg)
    rollout, why = model.rollout, "Switched by hand."
    if rollout is not None:
        if version == rollout.challenger:
            return promoted(state, rollout, now, why=why, by=by)
        if version == rollout.stable:
            return rolled_back(state, rollout, now, why=why, by=by)
        msg = "A rollout is between two other versions: the configuration has to say otherwise first."
        raise Conflict(msg)
    chapter = Chapter(at=now, event="switched", share=0.0, why=f"{state.active} -> {version}", by=by)
    return replace(state, version=state.version + 1, active=version, since=now, history=state.after(chapter))


def steered(
    state: RolloutState,
    model: ModelSettings,
    action: str,
    now: float,
    *,
    by: str,
    share: float | None = None,
    why: str = "",
) -> RolloutState:
    """Give the state after what an operator does: pause, resume, promote, rollback, share (in percent) or restart.

    Raises Conflict where that makes no sense now, InvalidRequest for a share that is none.
    """
    rollout = model.rollout
    if rollout is None:
        msg = "This model has no rollout in its configuration."
        raise Conflict(msg)
    if action == "restart":
        begun = begin(state.model, model, state, now)
        chapter = Chapter(at=now, event="restarted", share=begun.share, why=why, by=by)
        return replace(begun, history=state.after(chapter))
    if state.phase in ENDED:
        msg = f"The rollout is over ({state.phase}). Restart it, or switch the version."
        raise Conflict(msg)
    if action == "promote":
        return promoted(state, rollout, now, why=why or "By hand.", by=by)
    if action == "rollback":
        return rolled_back(state, rollout, now, why=why or "By hand.", by=by)
    if action == "share":
        return _shared(state, rollout, now, by=by, share=share, why=why)
    wanted = {"pause": ("running", "paused", "paused"), "resume": ("paused", "running", "resumed")}
    before, after, event = wanted[action]
    if state.phase != before:
        msg = f"The rollout is {state.phase}, not {before}."
        raise Conflict(msg)
    chapter = Chapter(at=now, event=event, share=state.share, why=why, by=by)
    phase = "paused" if after == "paused" else "running"
    return replace(state, version=state.version + 1, phase=phase, history=state.after(chapter))


def _shared(
    state: RolloutState, rollout: RolloutSettings, now: float, *, by: str, share: float | None, why: str
) -> RolloutState:
    if share is None or not 0 < share < WHOLE:
        msg = "`share` is the challenger's, in percent, above 0 and below 100; promote and rollback are the ends."
        raise InvalidRequest(msg, param="share")
    # From there it goes on with the first step that is larger.
    step = max((number for number, size in enumerate(rollout.steps) if size <= share), default=0)
    chapter = Chapter(at=now, event="share_set", share=share / WHOLE, why=why, by=by)
    return replace(
        state,
        version=state.version + 1,
        step=step,
        share=share / WHOLE,
        since=now,
        history=state.after(chapter),
    )


def _said(verdict: Verdict, tally: Tally, rollout: RolloutSettings) -> str:
    stable, challenger = rollout.stable, rollout.challenger
    sure = f"evidence {verdict.wealth:.3g} where {verdict.needed:.3g} are enough"
    if verdict.figure == "error_rate":
        return f"{_errors(tally, challenger)} against {_errors(tally, stable)}: errors, {sure}."
    if verdict.figure == "score":
        return f"The score {rollout.score} of {challenger} is {verdict.worse:.3f} below that of {stable}: {sure}."
    what = "time to the first token" if verdict.figure == "first_token" else "cost"
    return f"The {what} of {challenger} is {verdict.worse:.0%} above that of {stable}: {sure}."


def _fared(tally: Tally, rollout: RolloutSettings) -> str:
    return (
        f"{_errors(tally, rollout.challenger)} against {_errors(tally, rollout.stable)}, and nothing speaks against it."
    )


def _errors(tally: Tally, version: str) -> str:
    calls, errors = tally[f"{version}.calls"], tally[f"{version}.errors"]
    return f"{version} failed {errors:.0f} of {calls:.0f} calls"
