"""Where a replay parted from what it replays: calls, arguments, decisions, how it ended, the last answer. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from gateway.agents.story import Story, Told
from gateway.core.items import Json
from gateway.stores.runs import Spent

MOST_LINES: Final = 200
"""Of one difference of texts."""
_LONGEST: Final = 2000
Kind = Literal["call", "arguments", "decision", "missing", "added", "end", "answer"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. `then` and `now` say what it was and is (a tool, a decision, how it ended); `lines` show what is long, `-` for then and `+` for now.

    `step` and `call` (of the step, from 1) say where, in what is replayed, and for what is `added` in the replay; both 0 for what concerns the whole.
    """

    kind: Kind
    step: int = 0
    call: int = 0
    tool: str = ""
    then: str = ""
    now: str = ""
    lines: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All differences, in order: the first is where they parted. `runs` are those that were replayed: one, and what went on after it."""

    replay: str
    runs: tuple[str, ...]
    differences: tuple[Difference, ...]
    ended_then: str
    ended_now: str
    why: str
    spent_then: Spent
    spent_now: Spent

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not self.differences


def compared(then: Story, now: Story) -> Comparison:
    """Hold a replay against the story that it replays."""
    found = list(_calls(then.calls, now.calls))
    ended_then, ended_now = _end(then), _end(now)
    if ended_then != ended_now:
        found.append(Difference(kind="end", then=ended_then, now=ended_now))
    elif then.text != now.text:
        found.append(Difference(kind="answer", lines=_lines(then.text, now.text)))
    return Comparison(
        replay=now.runs[0].id,
        runs=tuple(run.id for run in then.runs),
        differences=tuple(found),
        ended_then=ended_then,
        ended_now=ended_now,
        why=_why(now),
        spent_then=then.spent,
        spent_now=now.spent,
    )


def _calls(then: Sequence[Told], now: Sequence[Told]) -> Iterator[Difference]:
    matcher = difflib.SequenceMatcher(a=[_key(told) for told in then], b=[_key(told) for told in now], autojunk=False)
    for kind, begin, end, other, other_end in matcher.get_opcodes():
        if kind == "equal":
            for number, told in enumerate(then[begin:end]):
                yield from _decisions(then, told, now[other + number])
            continue
        both = min(end - begin, other_end - other)
        for number in range(both):
            yield from _replaced(then, then[begin + number], now[other + number])
        for told in then[begin + both : end]:
            yield _at("missing", then, told, then=_shown(told))
        for told in now[other + both : other_end]:
            yield _at("added", now, told, now=_shown(told))


def _key(told: Told) -> tuple[str, str, str]:
    return told.server, told.tool, told.arguments_hash


def _replaced(story: Sequence[Told], then: Told, now: Told) -> Iterator[Difference]:
    if then.name != now.name:
        yield _at("call", story, then, then=_shown(then), now=_shown(now))
        return
    yield _at("arguments", story, then, lines=_argument_lines(then.arguments, now.arguments))
    yield from _decisions(story, then, now)


def _decisions(story: Sequence[Told], then: Told, now: Told) -> Iterator[Difference]:
    if then.decision != now.decision:
        said = f"{then.decision} ({then.answer})" if then.answer else then.decision
        yield _at("decision", story, then, then=said or "none", now=now.decision or "none")


def _at(kind: Kind, story: Sequence[Told], told: Told, **what: object) -> Difference:
    of_step = [other.id for other in story if other.step == told.step]
    place: dict[str, object] = {"step": told.step, "call": of_step.index(told.id) + 1, "tool": told.name}
    return msgspec.convert({"kind": kind, **place, **what}, Difference)


def _shown(told: Told) -> str:
    return f"{told.name} {told.arguments[:_LONGEST]}"


def _argument_lines(then: str, now: str) -> tuple[str, ...]:
    """Give what differs, by path."""
    was, is_now = dict(_paths("", _decoded(then))), dict(_paths("", _decoded(now)))
    lines = []
    for path in dict.fromkeys((*was, *is_now)):
        if was.get(path) != is_now.get(path):
            lines += [f"- {path}: {was[path]}"] if path in was else []
            lines += [f"+ {path}: {is_now[path]}"] if path in is_now else []
    return tuple(line[:_LONGEST] for line in lines[:MOST_LINES])


def _decoded(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _paths(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Give every value that holds no other as JSON, by its path."""
    waiting: list[tuple[str, Json]] = [(path, value)]
    while waiting:
        where, inner = waiting.pop(0)
        if isinstance(inner, dict) and inner:
            waiting[:0] = [(f"{where}.{name}" if where else name, each) for name, each in inner.items()]
        elif isinstance(inner, list) and inner:
            waiting[:0] = [(f"{where}[{number}]", each) for number, each in enumerate(inner)]
        else:
            yield where or "(all)", msgspec.json.encode(inner).decode()


def _end(story: Story) -> str:
    """Say how a story ended. One that asks people, and has no answer, waits, whatever its status is; a replay ends there as failed."""
    last = story.runs[-1]
    if last.status != "cancelled" and any(_is_asked(told) for told in story.calls):
        return "waiting"
    if last.status == "failed" and last.lineage is not None and last.lineage.kind == "replay":
        return "stopped" if any(map(_is_broken_off, story.calls)) else "failed"
    return last.status


def _is_asked(told: Told) -> bool:
    return told.decision == "ask" and told.body is None and told.answer != "denied"


def _is_broken_off(told: Told) -> bool:
    return not told.made and (told.body is None or told.body.get("status") == "incomplete")


def _why(story: Story) -> str:
    """Say what a replay came to grief over, empty where it did not."""
    error = (story.runs[-1].response or {}).get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _lines(then: str, now: str) -> tuple[str, ...]:
    found = [
        line[:_LONGEST]
        for line in difflib.unified_diff(then.splitlines(), now.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    return tuple(found[:MOST_LINES])
