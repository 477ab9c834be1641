"""What a fork has of the run that it is made from: its input, and what came of it up to a place. Pure.

It is given to the fork as input, labels and all, so that who takes it over needs nothing of the other run. What waited for people there, and what a
client still had to answer, is left out: the model asks for it again, and so it is decided anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gateway.agents.provenance import label_of
from gateway.core.errors import Conflict
from gateway.core.items import Json
from gateway.dialects.openai_responses.mcp_items import CALL, LISTING, PREFIXES, REQUEST, is_ours
from gateway.stores.runs import RunEvent, RunItem
from gateway.stores.tool_calls import ToolCall

_ANSWERED_BY: Final = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_DONE: Final = "response.output_item.done"


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a run: after a step, with all that came of it, or after an event. One of them is None."""

    at: int | None = None
    after: int | None = None


def before_cut(
    items: Sequence[RunItem], calls: Sequence[ToolCall], cut: Cut, events: Sequence[RunEvent] = ()
) -> list[RunItem]:
    """Give the items of a run before a place in it, as input; `events` are those up to it, where the place is an event.

    Raises Conflict where calls that people agreed to in the run before were not all made by then.
    """
    output = sorted((item for item in items if item.place == "output"), key=lambda item: item.index)
    if cut.at is not None:
        steps = steps_of(output, calls)
        kept = [item for item in output if steps[item.id] <= cut.at]
    else:
        said = set(_places_said(events))
        kept = [item for item in output if item.index in said]
    _require_carried(kept, calls)
    given = [item for item in items if item.place == "input"]
    return as_input([*given, *_answered(kept)])


def as_input(items: Sequence[RunItem]) -> list[RunItem]:
    """Give items as the input of another run: each keeps where it came from."""
    return [
        RunItem(
            id=item.id,
            place="input",
            index=index,
            body=item.body,
            # As input nobody sees any more that it was the model, and no client, who said it.
            label=label_of(item, {}) if item.place == "output" else item.label,
            marks=item.marks,
        )
        for index, item in enumerate(items)
    ]


def steps_of(output: Sequence[RunItem], calls: Sequence[ToolCall]) -> Mapping[str, int]:
    """Give the step that each item of a run's output, in its order, belongs to: what a model says comes before the calls that it asks for with it."""
    step_of_call = {call.id: call.step for call in calls}
    last, found = 0, dict[str, int]()
    for item in output:
        kind, name = item.body.get("type"), item.id
        if kind == REQUEST:
            name = PREFIXES[CALL] + name.removeprefix(PREFIXES[REQUEST])
        step = step_of_call.get(name)
        if step is not None:
            last = max(last, step)
        elif kind == LISTING and is_ours(name):
            step = last
        found[item.id] = last + 1 if step is None else step
    return found


def ends_answered(items: Sequence[RunItem]) -> bool:
    """Whether the last thing said is the model's own: it has nothing to answer."""
    return bool(items) and items[-1].body.get("role") == "assistant"


def _places_said(events: Sequence[RunEvent]) -> Iterator[int]:
    for event in events:
        if event.name == _DONE:
            yield msgspec.json.decode(event.data)["output_index"]


def _require_carried(kept: Sequence[RunItem], calls: Sequence[ToolCall]) -> None:
    there = {item.id for item in kept}
    if any(call.id not in there for call in calls if call.step == 0):
        msg = "Calls that people agreed to were not all made by then, and their leave is not for another run: fork later, or the run before."
        raise Conflict(msg)


def _answered(items: Sequence[RunItem]) -> list[RunItem]:
    """Give items without what nobody has answered, and without thinking that led to nothing but that."""
    outputs = {str(item.body.get("call_id")) for item in items if _is_output(item.body)}
    kept = [item for item in items if not _is_open(item.body, outputs)]
    while kept and kept[-1].body.get("type") == "reasoning":
        kept.pop()
    return kept


def _is_output(body: dict[str, Json]) -> bool:
    return body.get("type") in _ANSWERED_BY.values()


def _is_open(body: dict[str, Json], outputs: set[str]) -> bool:
    if body.get("type") == REQUEST:
        return is_ours(body.get("id"))
    return body.get("type") in _ANSWERED_BY and str(body.get("call_id")) not in outputs
