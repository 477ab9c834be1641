"""What answers a run in the place of a model, where its plan foretells every answer: a workflow, or a client that asks for one call."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.agents.direct import DirectResponder
from gateway.agents.plan import Plan
from gateway.agents.workflow_answering import WorkflowResponder
from gateway.core.responder import Responder
from gateway.stores.runs import RunItem


def foretold(plan: Plan | None, seen: Sequence[RunItem]) -> Responder | None:
    """Give who answers next, after the items that were `seen`; None where a model does."""
    if plan is None:
        return None
    if plan.workflow is not None:
        return WorkflowResponder(plan.workflow, seen)
    return DirectResponder(plan.direct, seen) if plan.direct else None
