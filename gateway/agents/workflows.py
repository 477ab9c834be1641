"""Workflows: what is asked next of which agent, from what they have answered so far. Pure.

A workflow has no state of its own. It is played from its beginning each time, with the answers that are there; where one is missing, it stands. So
whoever takes over a run comes to the same place, and an answer that took days is one like any other.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec

from gateway.config.workflow_settings import PLACEHOLDER, WorkflowRouter, WorkflowStep, WorkflowUntil

NOTHING: Final = "(nothing)"
"""What an agent is asked where there is nothing to ask."""
_MOST_SHOWN: Final = 200


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, and what it is asked."""

    agent: str
    input: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent answered when it was asked so. `edited` says that a person may have changed what it was asked."""

    agent: str
    input: str
    text: str
    failed: bool = False
    edited: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow goes by: what the user said, what was said before, and what agents have answered since."""

    input: str
    conversation: str = ""
    answers: Sequence[Answered] = ()


class Calls(msgspec.Struct, frozen=True):
    """These agents are asked, beside each other."""

    asked: Sequence[Asked]


class Said(msgspec.Struct, frozen=True):
    """The workflow has come to its end, with this text."""

    text: str


class Failed(msgspec.Struct, frozen=True):
    """It cannot go on, for this reason."""

    why: str


class _StepFailed(Exception):
    """A step came to nothing that may not."""


_Playing = Generator[Sequence[Asked], Sequence[Answered] | None, str]


def decide(workflow: WorkflowStep, turn: Turn) -> Calls | Said | Failed:
    """Say what is next."""
    names = {"input": turn.input, "conversation": turn.conversation}
    playing = _play(workflow, turn.input, names)
    left = list(turn.answers)
    try:
        asked = next(playing)
        while True:
            found = [_take(left, each) for each in asked]
            missing = [each for each, answer in zip(asked, found, strict=True) if answer is None]
            if missing:
                return Calls(missing)
            asked = playing.send([answer for answer in found if answer is not None])
    except StopIteration as end:
        return Said(str(end.value))
    except _StepFailed as error:
        return Failed(str(error))


def _take(left: list[Answered], asked: Asked) -> Answered | None:
    """Take the answer to what was asked from those that are left."""
    same = [number for number, answer in enumerate(left) if answer.agent == asked.agent]
    exact = [number for number in same if left[number].input == asked.input]
    edited = [number for number in same if left[number].edited]
    found = next(iter((*exact, *edited)), None)
    return None if found is None else left.pop(found)


def _play(step: WorkflowStep, given: str, names: dict[str, str]) -> _Playing:
    """Play a step with what the one before gave; `names` are what steps gave so far, and take what it gives."""
    if step.input is not None:
        given = fill(step.input, {**names, "previous": given})
    text = yield from _inner(step, given, names)
    if step.name:
        names[step.name] = text
    return text


def _inner(step: WorkflowStep, given: str, names: dict[str, str]) -> _Playing:
    if step.sequence is not None:
        for each in step.sequence:
            given = yield from _play(each, given, names)
        return given
    if step.parallel is not None:
        return (yield from _beside(step.parallel, given, names))
    if step.loop is not None:
        for _ in range(step.loop.max):
            given = yield from _play(step.loop.step, given, names)
            if step.loop.until is not None and _done(step.loop.until, given):
                break
        return given
    if step.router is not None:
        return (yield from _routed(step.router, given, names, may_fail=step.may_fail))
    return (yield from _answer(step.agent or "", given, may_fail=step.may_fail))


def _answer(agent: str, given: str, *, may_fail: bool) -> _Playing:
    # An agent is asked something: what gave nothing is said to have.
    answers = yield [Asked(agent=agent, input=given or NOTHING)]
    if not answers:
        msg = "an agent was asked, and the play went on without its answer"
        raise RuntimeError(msg)
    answer = answers[0]
    if answer.failed and not may_fail:
        msg = f"The agent {agent!r} failed in the workflow: {answer.text}"
        raise _StepFailed(msg)
    return answer.text


def _routed(router: WorkflowRouter, given: str, names: dict[str, str], *, may_fail: bool) -> _Playing:
    said = yield from _answer(router.agent, given, may_fail=may_fail and router.otherwise is not None)
    step = _chosen(router, said)
    if step is None:
        known = ", ".join(router.routes)
        msg = f"The answer of the agent {router.agent!r} names no route of {known}: {said[:_MOST_SHOWN]!r}"
        raise _StepFailed(msg)
    return (yield from _play(step, given, names))


def _chosen(router: WorkflowRouter, said: str) -> WorkflowStep | None:
    """Give the step of the route that is named: alone, or as the only one in a longer answer."""
    word = said.strip(" \t\r\n.!\"'`*").casefold()
    named = {name: step for name, step in router.routes.items() if name.casefold() == word}
    if not named:
        text = said.casefold()
        named = {
            name: step
            for name, step in router.routes.items()
            if re.search(rf"(?<![\w-]){re.escape(name.casefold())}(?![\w-])", text)
        }
    return next(iter(named.values())) if len(named) == 1 else router.otherwise


def _done(until: WorkflowUntil, text: str) -> bool:
    if until.contains is not None:
        return until.contains in text
    return until.lacks is not None and until.lacks not in text


def _beside(steps: Sequence[WorkflowStep], given: str, names: dict[str, str]) -> _Playing:
    """Play steps beside each other: what all of them ask next is asked at once. None sees what another names meanwhile."""
    before = dict(names)
    own = [dict(names) for _ in steps]
    playing = [_play(step, given, mine) for step, mine in zip(steps, own, strict=True)]
    texts: dict[int, str] = {}
    waiting: dict[int, Sequence[Asked]] = {}

    def go_on(number: int, answers: Sequence[Answered] | None) -> None:
        try:
            waiting[number] = playing[number].send(answers)
        except StopIteration as end:
            waiting.pop(number, None)
            texts[number] = str(end.value)

    for number in range(len(steps)):
        go_on(number, None)
    while waiting:
        sizes = {number: len(asked) for number, asked in sorted(waiting.items())}
        answers = iter((yield [each for number in sizes for each in waiting[number]]) or ())
        for number, size in sizes.items():
            go_on(number, list(islice(answers, size)))
    for mine in own:
        names |= {name: text for name, text in mine.items() if before.get(name) != text}
    return "\n\n".join(f"## {_title(step, number)}\n\n{texts[number]}" for number, step in enumerate(steps))


def _title(step: WorkflowStep, number: int) -> str:
    return step.name or step.agent or str(number + 1)


def fill(template: str, names: Mapping[str, str]) -> str:
    """Give a text with what its names stand for, empty for a step that was not done. What is put in is not looked through again."""
    return re.sub(PLACEHOLDER, lambda found: names.get(found[1], ""), template)
