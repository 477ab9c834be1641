"""What a run did, as the model asked for it: its calls in order, what was decided about each, what people said, and what came of it.

The story of a run that waited for people has what went on after it as well, as long as nothing but their answers came in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from gateway.agents.child_budget import together
from gateway.agents.deciding import sha256
from gateway.agents.means import Means, ToolMeans
from gateway.agents.toolbox import AGAIN
from gateway.core.items import Json
from gateway.core.tools import Label
from gateway.dialects.openai_responses.mcp_items import RESPONSE, canonical, request_of
from gateway.stores.runs import Run, RunItem, Spent
from gateway.stores.tool_calls import ToolCall

MOST_RUNS: Final = 100
"""Of one story."""
CLIENT: Final = "client"
"""Stands for the server of functions that the client runs itself."""
_REFUSED: Final = "This call is not allowed."
_FUNCTIONS: Final = ("custom_tool_call", "function_call")
Decision = Literal["", "allow", "ask", "deny"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `arguments` are as the model gave them (canonical), whatever an approver made of them. `answer` is what people said, empty where nobody did.

    `body` is the item of what came of it, None where nothing is known; `made` says that the tool was asked, or that the client was given the call.
    """

    id: str
    step: int
    server: str
    tool: str
    arguments: str
    arguments_hash: str
    decision: Decision = ""
    answer: Literal["", "approved", "denied"] = ""
    reason: str = ""
    made: bool = False
    body: dict[str, Json] | None = None
    label: Label | None = None

    @property
    def name(self) -> str:
        """Server and tool."""
        return f"{self.server}/{self.tool}"


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `items` are those of all its runs; `text` is the last message."""

    runs: tuple[Run, ...]
    items: tuple[RunItem, ...]
    calls: tuple[Told, ...]
    text: str

    @property
    def spent(self) -> Spent:
        """What all its runs have used."""
        total = Spent()
        for run in self.runs:
            spent = run.spent
            total = Spent(
                steps=total.steps + spent.steps,
                tool_calls=total.tool_calls + spent.tool_calls,
                input_tokens=total.input_tokens + spent.input_tokens,
                output_tokens=total.output_tokens + spent.output_tokens,
                nano=total.nano + spent.nano,
                seconds=total.seconds + spent.seconds,
                below=together(total.below, spent.below),
            )
        return total


async def read_story(means: Means, tools: ToolMeans, run: Run) -> Story:
    """Read the story of a run. Raises StoreUnavailable."""
    runs: list[Run] = []
    items: list[RunItem] = []
    calls: list[Told] = []
    steps, after = 0, run
    while True:
        runs.append(after)
        own = await means.runs.items(after.id)
        items += own
        found = await tools.calls.calls(after.id)
        asked = {approval.id: approval.call for approval in await tools.approvals.of_run(after.continues)}
        _carry(calls, [call for call in found if call.step == 0], own, asked)
        calls += [_told(call, steps, own) for call in found if call.step]
        calls += _of_client(own, steps + after.spent.steps)
        following = await _continuation(means, after) if len(runs) < MOST_RUNS else None
        if following is None:
            break
        steps += after.spent.steps
        answers = [item.body for item in await means.runs.items(following.id, "input")]
        if any(body.get("type") != RESPONSE for body in answers):
            break  # somebody said something else there, which nobody could know beforehand
        _answer(calls, answers)
        after = following
    return Story(runs=tuple(runs), items=tuple(items), calls=tuple(calls), text=_text(items))


async def _continuation(means: Means, run: Run) -> Run | None:
    name = await means.runs.continued_by(run.id)
    return await means.runs.find(run.tenant, name) if name else None


def _told(call: ToolCall, steps: int, items: Sequence[RunItem]) -> Told:
    item = next((item for item in items if item.id == call.id), None)
    made = call.attempts > 0 and call.state in ("done", "failed")
    return Told(
        id=call.id,
        step=steps + call.step,
        server=call.server,
        tool=call.tool,
        arguments=call.arguments,
        arguments_hash=call.arguments_hash,
        decision=call.decision or _decision(call),
        made=made,
        body=None if item is None else _plain(item.body),
        label=None if item is None else item.label,
    )


def _decision(call: ToolCall) -> Decision:
    """Give what was decided about a call from before decisions were written."""
    if call.approval:
        return "ask"
    if call.state == "failed" and not call.attempts:
        return "deny" if call.error.startswith(_REFUSED) else ""
    return "allow"


def _plain(body: dict[str, Json]) -> dict[str, Json]:
    """Give a result without what was said to a model that asks for the same again and again."""
    output = body.get("output")
    return {**body, "output": output.removesuffix(AGAIN)} if isinstance(output, str) else body


def _carry(calls: list[Told], carried: Sequence[ToolCall], items: Sequence[RunItem], asked: Mapping[str, str]) -> None:
    """Put what came of calls that were made by the run that went on into the place where they were asked for."""
    for call in carried:
        # An agent that waited is gone on with under the key of the call that began it.
        places = (asked.get(call.approval), call.key.rpartition(".")[2])
        for number, told in enumerate(calls):
            if told.id in places:
                done = _told(call, 0, items)
                calls[number] = msgspec.structs.replace(told, made=done.made, body=done.body, label=done.label)


def _answer(calls: list[Told], answers: Sequence[dict[str, Json]]) -> None:
    given = {body.get("approval_request_id"): body for body in answers if body.get("type") == RESPONSE}
    for number, told in enumerate(calls):
        said = given.get(request_of(told.id))
        if said is not None:
            answer: Literal["approved", "denied"] = "approved" if said.get("approve") else "denied"
            calls[number] = msgspec.structs.replace(told, answer=answer, reason=str(said.get("reason") or ""))


def _of_client(items: Sequence[RunItem], step: int) -> list[Told]:
    """Give the calls that a run ended with, for its client to make."""
    found = []
    for item in items:
        body = item.body
        if item.place == "output" and body.get("type") in _FUNCTIONS:
            text = _canonical(str(body.get("arguments") or body.get("input") or ""))
            found.append(
                Told(
                    id=item.id,
                    step=step,
                    server=CLIENT,
                    tool=str(body.get("name")),
                    arguments=text,
                    arguments_hash=sha256(text),
                    made=True,
                )
            )
    return found


def _canonical(text: str) -> str:
    try:
        arguments = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text
    return canonical(arguments) if isinstance(arguments, dict) else text


def _text(items: Sequence[RunItem]) -> str:
    for item in reversed(items):
        if item.place == "output" and item.body.get("role") == "assistant":
            parts = item.body.get("content") or ()
            return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts)
    return ""
