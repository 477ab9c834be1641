"""The shape of a workflow: which agents work one after the other, beside each other, again and again, or by choice. Plain values.

A step is exactly one thing: `agent`, `sequence`, `parallel`, `loop` or `router`. A name alone is a step with that agent.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.agent_name import AgentName
from gateway.config.shapes import Expected, Shorthand

Path = tuple[str | int, ...]

PLACEHOLDER: Final = r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}"
"""A name in the input of a step, as a regular expression."""
GIVEN: Final = ("input", "previous", "conversation")
"""Names that every step has: what the user said, what the step before gave, and what was said before."""

RouteName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,63}$"),
    Expected(words="a name of at most 64 letters, digits, dashes, underscores and blanks"),
]
StepName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^([a-z][a-z0-9_]{0,39})?$"),
    Expected(words="a name of at most 40 small letters, digits and underscores that begins with a letter"),
]


def _agent(text: str) -> dict[str, Any]:
    return {"agent": text}


ShortStep: TypeAlias = Annotated[
    "WorkflowStep",
    Shorthand(expand=_agent, pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="The name of an agent."),
]


class WorkflowUntil(msgspec.Struct, frozen=True, kw_only=True):
    """When a loop is done, by what its step gave: exactly one of these."""

    contains: Annotated[str | None, Meta(description="A text that is in it.")] = None
    lacks: Annotated[str | None, Meta(description="A text that is not in it.")] = None


class WorkflowLoop(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is done again with what it gave, until it gives something, but so many times at most."""

    step: Annotated[ShortStep, Meta(description="What is done.")]
    until: Annotated[
        WorkflowUntil | None, Meta(description="When it is done; null is after so many times as `max` says.")
    ] = None
    max: Annotated[int, Meta(ge=1, le=100, description="Times that it is done at most.")] = 3


class WorkflowRouter(msgspec.Struct, frozen=True, kw_only=True):
    """A choice: the agent answers with the name of a route, whose step then has the same input."""

    agent: Annotated[AgentName, Meta(description="The agent that chooses: it answers with the name of a route.")]
    routes: Annotated[dict[RouteName, ShortStep], Meta(min_length=1, description="The steps to choose from, by name.")]
    otherwise: Annotated[
        ShortStep | None, Meta(description="The step where the answer names no route, or several; null fails the run.")
    ] = None


class WorkflowStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step; the whole workflow is one, too. What it gives is a text."""

    agent: Annotated[AgentName | None, Meta(description="An agent that is asked; the step gives its answer.")] = None
    sequence: Annotated[
        Annotated[tuple[ShortStep, ...], Meta(min_length=1)] | None,
        Meta(description="Steps, one after the other: each has what the one before gave. It gives what the last gave."),
    ] = None
    parallel: Annotated[
        Annotated[tuple[ShortStep, ...], Meta(min_length=1)] | None,
        Meta(
            description="Steps beside each other, with the same input. It gives all that they gave, each under its name."
        ),
    ] = None
    loop: Annotated[WorkflowLoop | None, Meta(description="A step that is done again and again.")] = None
    router: Annotated[WorkflowRouter | None, Meta(description="A choice between steps, by an agent.")] = None
    name: Annotated[StepName, Meta(description="Under which steps that come later find what it gave, as {{name}}.")] = (
        ""
    )
    input: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="What it is given: a text with {{input}} (what the user said), {{previous}} (what the step before gave), "
            "{{conversation}} (what was said before), and names of steps; null is {{previous}}."
        ),
    ] = None
    may_fail: Annotated[
        bool, Meta(description="Whether the workflow goes on when its agent fails; it then gives the reason.")
    ] = False


def walk(step: WorkflowStep, path: Path = ()) -> Iterator[tuple[Path, WorkflowStep]]:
    """Yield a step and all that are in it, each with its path."""
    yield path, step
    for kind in ("sequence", "parallel"):
        for number, inner in enumerate(getattr(step, kind) or ()):
            yield from walk(inner, (*path, kind, number))
    if step.loop is not None:
        yield from walk(step.loop.step, (*path, "loop", "step"))
    if step.router is not None:
        for name, inner in step.router.routes.items():
            yield from walk(inner, (*path, "router", "routes", name))
        if step.router.otherwise is not None:
            yield from walk(step.router.otherwise, (*path, "router", "otherwise"))


def agents_in(workflow: WorkflowStep) -> Iterator[tuple[Path, str]]:
    """Yield the agents that a workflow asks, each with the path where it says so."""
    for path, step in walk(workflow):
        if step.agent is not None:
            yield (*path, "agent"), step.agent
        if step.router is not None:
            yield (*path, "router", "agent"), step.router.agent
