"""Makes what asks several targets for one answer, from a model's plan: a cascade, a vote, and their judges."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config.ensemble_settings import CascadeSettings, JudgeSettings
from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.responder import Responder, Send
from gateway.routing.ensembles.cascade import Cascade
from gateway.routing.ensembles.checking import Allows, Checked, check
from gateway.routing.ensembles.judging import Judge, NoVerdict
from gateway.routing.ensembles.plan import told_of_cascade, told_of_vote
from gateway.routing.ensembles.vote import Vote
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import ToldOf
from gateway.routing.routed import Routed
from gateway.routing.timing import Timing

OpenJudge = Callable[[JudgeSettings], Judge]
"""Gives the judge that settings name. What answers for it need not be there yet."""


def judge_of(plan: RoutingPlan) -> str | None:
    """Give the model that judges for one with this plan, if any does."""
    settings = {"cascade": plan.cascade.judge, "vote": plan.vote.judge}.get(plan.strategy)
    return None if settings is None else settings.model


def is_ensemble(plan: RoutingPlan, targets: int) -> bool:
    """Whether several of so many targets may be asked for one answer, which is looked at then."""
    return plan.strategy in ("cascade", "vote") and targets > 1


def ensemble_told_of(plan: RoutingPlan, targets: int) -> ToldOf | None:
    """Give what explains the places of targets."""
    if not is_ensemble(plan, targets):
        return None
    if plan.strategy == "cascade":
        return lambda number, there: told_of_cascade(plan.cascade, there, number)
    return lambda number, there: told_of_vote(plan.vote, targets, number)


def open_ensemble(routed: Routed, plan: RoutingPlan, timing: Timing, open_judge: OpenJudge) -> Responder:
    """Give what answers for a model whose targets `routed` asks: itself, where never more than one of them is to."""
    if not is_ensemble(plan, len(routed.pool.seats)):
        return routed
    if plan.strategy == "vote":
        judge = None if plan.vote.judge is None else open_judge(plan.vote.judge)
        return Vote(routed, plan.vote, judge, timing, plan.deadline)
    cascade = plan.cascade
    judge = None if cascade.judge is None else open_judge(cascade.judge)
    return Cascade(routed, cascade, Checks(cascade, _open_schemas(cascade), judge), timing, plan.deadline)


def _open_schemas(settings: CascadeSettings) -> Allows | None:
    if not {"schema_invalid", "tool_call_invalid"} & set(settings.escalate_on):
        return None
    # jsonschema_rs takes a sixth of a second to import, and few look at schemas.
    from gateway.routing.ensembles.answer_schemas import allows  # noqa: PLC0415

    return allows


class Checks:
    """The checks of a cascade: those that need nobody else, then the judge."""

    def __init__(self, settings: CascadeSettings, allows: Allows | None, judge: Judge | None) -> None:
        self._settings = settings
        self._allows = allows
        self._judge = judge

    async def __call__(self, call: Call, answer: Answer, send: Send, left: float) -> Checked:
        """Make them."""
        settings, prompt = self._settings, call.content
        if not isinstance(prompt, Prompt):
            return Checked()
        checked = check(answer, prompt, settings.escalate_on, allows=self._allows, confidence=settings.confidence)
        if checked.failed or self._judge is None or settings.judge is None:
            return checked
        try:
            score = await self._judge.grade(call, answer, send, left)
        except NoVerdict as failure:
            if settings.judge.fails == "escalate":
                return Checked(f"judge: {failure}", checked.skipped)
            return Checked("", (*checked.skipped, f"judge ({failure})"))
        if score < settings.judge.threshold:
            return Checked(f"judge: {score:g} is less than {settings.judge.threshold:g}", checked.skipped)
        return checked
