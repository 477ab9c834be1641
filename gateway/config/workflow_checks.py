"""Rules of workflows that no single type can say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.workflow_settings import GIVEN, PLACEHOLDER, WorkflowStep, WorkflowUntil, walk

if TYPE_CHECKING:
    from gateway.config.agent_settings import AgentSettings

KINDS: Final = ("agent", "sequence", "parallel", "loop", "router")
MOST_STEPS: Final = 100
MOST_LEVELS: Final = 8
_OF_A_MODEL: Final = (
    "tools",
    "agents",
    "handoffs",
    "guardrails",
    "retrieval",
    "memory",
    "instructions",
    "parallel_tool_calls",
    "temperature",
    "max_output_tokens",
    "output",
)
"""What says how a model thinks, and what it can use: a workflow has none."""


def workflow_step_findings(step: WorkflowStep) -> Iterator[Finding]:
    """Yield that a step is one thing, and what else of it means nothing."""
    kinds = [kind for kind in KINDS if getattr(step, kind) is not None]
    if not kinds:
        yield Finding(needs=KINDS, message=f"expected one of {', '.join(KINDS)}")
    for kind in kinds[1:]:
        yield Finding(path=(kind,), needs=KINDS, message=f"a step is one thing, and this one is {kinds[0]} already")
    if step.name in GIVEN:
        yield Finding(
            path=("name",), needs=("name",), message=f"{shown(step.name)} stands for something else in inputs"
        )
    lenient = step.agent is not None or (step.router is not None and step.router.otherwise is not None)
    if step.may_fail and kinds and not lenient:
        message = "only an agent may fail, and a router that has otherwise: say it of the steps in this one"
        yield Finding(path=("may_fail",), needs=(*KINDS, "may_fail"), message=message)


def until_findings(until: WorkflowUntil) -> Iterator[Finding]:
    """Yield that the end of a loop is told by one thing."""
    if (until.contains is None) == (until.lacks is None):
        yield Finding(needs=("contains", "lacks"), message="expected either contains or lacks")


def workflow_findings(agent: AgentSettings) -> Iterator[Finding]:
    """Yield what is wrong with a whole workflow, and with what stands beside it."""
    if agent.workflow is None:
        if not agent.model:
            yield Finding(needs=("model", "workflow"), message="missing key 'model' (or 'workflow' in its place)")
        return
    if agent.model:
        message = "an agent thinks with a model or follows a workflow: leave one of them out"
        yield Finding(path=("model",), needs=("model", "workflow"), message=message)
    defaults = {field.name: field for field in msgspec.structs.fields(type(agent))}
    for name in _OF_A_MODEL:
        field, value = defaults[name], getattr(agent, name)
        default = {} if field.default is msgspec.NODEFAULT else field.default
        if value != default:
            message = f"a workflow has no {name}: say it of the agents that work in it"
            yield Finding(path=(name,), needs=(name, "workflow"), message=message)
    yield from _whole(agent.workflow)


def _whole(workflow: WorkflowStep) -> Iterator[Finding]:
    steps = list(walk(workflow))
    if len(steps) > MOST_STEPS:
        yield Finding(path=("workflow",), needs=("workflow",), message=f"more than {MOST_STEPS} steps")
    deepest = max(steps, key=lambda found: _level(found[0]))[0]
    if _level(deepest) > MOST_LEVELS:
        message = f"steps in steps, more than {MOST_LEVELS} levels deep"
        yield Finding(path=("workflow", *deepest), needs=("workflow",), message=message)
    named = {step.name: None for _, step in steps if step.name}
    for path, step in steps:
        for name in dict.fromkeys(found[1] for found in re.finditer(PLACEHOLDER, step.input or "")):
            if name not in named and name not in GIVEN:
                known = ", ".join((*GIVEN, *named))
                message = f"no step has the name {shown(name)} (known: {known})"
                yield Finding(path=("workflow", *path, "input"), needs=("workflow",), message=message)


def _level(path: tuple[str | int, ...]) -> int:
    """Count the blocks around a step: each has one word of its kind in the path."""
    return sum(part in ("sequence", "parallel", "loop", "router") for part in path)
