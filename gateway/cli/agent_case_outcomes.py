"""What came of a case of an agent, held against what it expects. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.cli.agent_case_hub import fits
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
    """What the runs of a case did: how the last ended, calls of tools in their order, tools that people are asked about, the last text."""

    status: str
    calls: Sequence[tuple[str, Json]] = ()
    asked: Sequence[str] = ()
    text: str = ""


def judged(
    agent: AgentDefinition, document: CaseDocument, runs: Sequence[Run], problems: Sequence[str], error: str
) -> CaseOutcome:
    """Say what came of a case. `error` is what kept its last run from ending, empty where nothing did."""
    found, expect, case = _found(runs), document.case.expect, document.case
    said = list(problems)
    if error:
        said.append(f"the run failed: {error}")
    elif found.status != expect.status:
        why = f" ({_error(runs)})" if _error(runs) else ""
        said.append(f"it was to end as {expect.status}, and ended as {found.status}{why}")
    elif len(runs) < len(case.user):
        said.append(f"it ended as {found.status} after {len(runs)} of {len(case.user)} turns of the user")
    said += _calls(found, expect)
    said += _texts(found, expect)
    if expect.schema:
        said += _form(agent, found.text)
    return CaseOutcome(agent=agent.name, document=document, problems=tuple(said))


def _found(runs: Sequence[Run]) -> _Found:
    items = [item for run in runs for item in (run.response or {}).get("output", ())]
    last = (runs[-1].response or {}).get("output", ()) if runs else ()
    return _Found(
        status=runs[-1].status if runs else "failed",
        calls=[(_tool(item), _arguments(item)) for item in items if item["type"] == "mcp_call"],
        asked=[_tool(item) for item in items if item["type"] == "mcp_approval_request"],
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
    if expect.calls is not None:
        same = len(expect.calls) == len(found.calls) and all(
            fits(call, tool, arguments) for call, (tool, arguments) in zip(expect.calls, found.calls, strict=True)
        )
        if not same:
            yield _different("calls", [_line(call) for call in expect.calls], [_shown(*call) for call in found.calls])
    if sorted(expect.approvals) != sorted(found.asked):
        yield _different("approvals", sorted(expect.approvals), sorted(found.asked))


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
