"""What people answer in a case of an agent, given as a person would give it; and what was said in the case so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.agents.approving import Ballot
from gateway.agents.running import Running
from gateway.config.agent_settings import CaseAnswer
from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.dialects.openai_responses.mcp_items import REQUEST
from gateway.stores.approvals import ApprovalStore
from gateway.stores.runs import Run, RunEvent

CALLER: Final = Caller(id="case", user="case")
"""Who talks to the agent."""


class Talk(msgspec.Struct, kw_only=True):
    """What came of a case so far: its runs, how often the user has spoken, the approvals that people gave, and problems."""

    problems: list[str]
    runs: list[Run] = []
    turns: int = 0
    given: list[str] = []


async def answer_all(desk: Running, store: ApprovalStore, talk: Talk, answers: list[CaseAnswer]) -> None:
    """Answer what the last run asks, and what comes of that, for as long as there are `answers`, which are used up. Raises what the desk raises."""
    while talk.runs and talk.runs[-1].status == "waiting" and answers:
        continuation = ""
        for item in list(asked_in(talk.runs[-1])):
            if not answers:
                return
            answer = answers.pop(0)
            tool = f"{item['server_label']}/{item['name']}"
            if tool != answer.tool:
                talk.problems.append(f"people were to be asked about {answer.tool}, and were asked about {tool}")
                return
            continuation = await _vote(desk, store, str(item["id"]), answer) or continuation
            if answer.approve:
                talk.given.append(str(item["id"]))
        if not continuation:
            return
        await desk.follow(CALLER.tenant, continuation, nowhere)
        talk.runs.append(await desk.find(CALLER.tenant, continuation))


def asked_in(run: Run) -> Iterator[dict[str, Json]]:
    """Give what a run asks people, in order."""
    for item in (run.response or {}).get("output", ()):
        if item["type"] == REQUEST:
            yield item


async def _vote(desk: Running, store: ApprovalStore, name: str, answer: CaseAnswer) -> str:
    """Answer as as many members of the groups that may answer as have to; give the run that goes on, empty where none does yet."""
    found = await store.find(CALLER.tenant, name)
    if found is None or desk.approvals is None:
        return ""
    continuation = ""
    for number in range(found.quorum if answer.approve else 1):
        who = f"person-{number + 1}"
        person = Caller(id=who, user=who, role="approver", groups=found.groups)
        ballot = Ballot(approval=name, approve=answer.approve, reason=answer.reason)
        continuation = (await desk.approvals.vote(person, ballot, channel="cli")).continuation
    return continuation


async def nowhere(event: RunEvent) -> None:
    """Take nothing in: what was said is read from the journal."""
    del event
