"""What came of a case of an agent, held against what it expects. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.cli.agent_case_answers import Talk, asked_in
from gateway.cli.agent_case_hub import fits
from gateway.config import Settings
from gateway.config.agent_settings import AgentDefinition, CaseCall, CaseDocument, CaseExpected
from gateway.core.errors import MalformedBody, UnsupportedSchema
from gateway.core.items import Json
from gateway.schemas.judge import compiled, decoded
from gateway.stores.runs import Run

MOST_SHOWN: Final = 500
"""Characters of a text that a problem shows."""


class CaseOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A case that was run. `problems` are empty where it holds; each may have several lines."""

    agent: str
    document: CaseDocument
    problems: tuple[str, ...] = ()


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs of a case did: how the last ended, calls of tools in their order, each with the approval that it had, what people were asked about, the last text."""

    status: str
    calls: Sequence[tuple[str, Json]] = ()
    leave: Sequence[str] = ()
    asked: Sequence[tuple[str, Json]] = ()
    text: str = ""


def judged(agent: AgentDefinition, document: CaseDocument, talk: Talk, settings: Settings, error: str) -> CaseOutcome:
    """Say what came of a case. `error` is what kept its last run from ending, empty where nothing did."""
    runs = talk.runs
    found, expect, case = _found(runs), document.case.expect, document.case
    said = list(talk.problems)
    if error:
        said.append(f"the run failed: {error}")
    elif found.status != expect.status:
        why = f" ({_error(runs)})" if _error(runs) else ""
        said.append(f"it was to end as {expect.status}, and ended as {found.status}{why}")
    elif talk.turns < len(case.user):
        said.append(f"it ended as {found.status} after {talk.turns} of {len(case.user)} turns of the user")
    said += _calls(found, expect)
    if case.live:
        said += _leave(found, expect, talk.given, settings)
    said += _texts(found, expect)
    if expect.schema:
        said += _form(agent, found.text)
    return CaseOutcome(agent=agent.name, document=document, problems=tuple(said))


def _found(runs: Sequence[Run]) -> _Found:
    items = [item for run in runs for item in (run.response or {}).get("output", ())]
    # What waits for a person has an item already, and has not been called.
    made = [item for item in items if item["type"] == "mcp_call" and item.get("status") != "incomplete"]
    last = (runs[-1].response or {}).get("output", ()) if runs else ()
    return _Found(
        status=runs[-1].status if runs else "failed",
        calls=[(_tool(item), _arguments(item)) for item in made],
        leave=[str(item.get("approval_request_id") or "") for item in made],
        asked=[(_tool(item), _arguments(item)) for run in runs for item in asked_in(run)],
        text="".join(
            part.get("text", "") for item in last if item["type"] == "message" for part in item.get("content", ())
        ),
    )


def _tool(item: dict[str, Json]) -> str:
    return f"{item['server_label']}/{item['name']}"


def _arguments(item: dict[str, Json]) -> Json:
    try:
        return msgspec.json.decode(item["arguments"])
    except msgspec.DecodeError:
        return item["arguments"]


def _error(runs: Sequence[Run]) -> str:
    error = (runs[-1].response or {}).get("error") if runs else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _calls(found: _Found, expect: CaseExpected) -> Iterator[str]:
    if expect.calls is not None and not _same(expect.calls, found.calls):
        yield _different("calls", [_line(call) for call in expect.calls], [_shown(*call) for call in found.calls])
    if expect.asked is not None:
        if not _same(expect.asked, found.asked):
            yield _different("asked", [_line(call) for call in expect.asked], [_shown(*call) for call in found.asked])
    elif sorted(expect.approvals) != sorted(tool for tool, _ in found.asked):
        yield _different("approvals", sorted(expect.approvals), sorted(tool for tool, _ in found.asked))


def _leave(found: _Found, expect: CaseExpected, given: Sequence[str], settings: Settings) -> Iterator[str]:
    """Yield calls that can change something and were made without anybody's leave, where these are not those that may be."""
    unasked = [
        call
        for call, approval in zip(found.calls, found.leave, strict=True)
        if _effect(call[0], settings) != "read" and approval not in given
    ]
    if not _same(expect.unasked, unasked):
        yield _different("unasked", [_line(call) for call in expect.unasked], [_shown(*call) for call in unasked])


def _effect(tool: str, settings: Settings) -> str:
    server, _, name = tool.partition("/")
    listed = settings.tools.servers.get(server)
    known = None if listed is None else listed.tools.get(name)
    # What agents and the server itself do is judged where they call tools.
    return "read" if known is None else known.effect or "once"


def _same(expected: Sequence[CaseCall], found: Sequence[tuple[str, Json]]) -> bool:
    return len(expected) == len(found) and all(
        fits(call, tool, arguments) for call, (tool, arguments) in zip(expected, found, strict=True)
    )


def _line(call: CaseCall) -> str:
    return call.tool if call.arguments is None else _shown(call.tool, call.arguments)


def _shown(tool: str, arguments: Json) -> str:
    return f"{tool} {msgspec.json.encode(arguments, order='deterministic').decode()}"


def _different(what: str, expected: Sequence[str], found: Sequence[str]) -> str:
    lines = list(difflib.ndiff(expected, found))
    return "\n".join([f"{what} (- expected, + found)", *(line for line in lines if not line.startswith("?"))])


def _texts(found: _Found, expect: CaseExpected) -> Iterator[str]:
    shown = found.text if len(found.text) <= MOST_SHOWN else f"{found.text[:MOST_SHOWN]}…"
    for text in expect.contains:
        if text not in found.text:
            yield f"the answer does not have {text!r} in it: {shown!r}"
    for text in expect.lacks:
        if text in found.text:
            yield f"the answer has {text!r} in it: {shown!r}"


def _form(agent: AgentDefinition, text: str) -> Iterator[str]:
    if agent.schema is None:
        yield "a form of the answer is expected, and the agent has none: write output"
        return
    try:
        violations = compiled(agent.schema).judge(decoded(text))
    except (MalformedBody, UnsupportedSchema) as error:
        yield f"the answer is not of the agent's form: {error.message}"
        return
    yield from (f"the answer is not of the agent's form: {violation}" for violation in violations)
