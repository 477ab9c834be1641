"""What becomes of the calls that a model asks for: made, refused with a reason for the model, or put to people. It calls nothing and writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from gateway.agents.agent_judging import judge_agent
from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.builtin_tools import ASK_HUMAN
from gateway.agents.marks import marks_of
from gateway.agents.means import Means, ToolMeans
from gateway.agents.origins import origins
from gateway.agents.plan import Granted, Plan
from gateway.agents.provenance import Context
from gateway.config.approval_settings import ApprovalSettings
from gateway.core.caller import Caller
from gateway.core.errors import MalformedBody
from gateway.core.items import Json
from gateway.core.items import ToolCall as Wanted
from gateway.core.strict_json import decode_object
from gateway.core.tools import SERVER, Label, Tool, Wish
from gateway.dialects.openai_responses.mcp_items import CALL, MOST_AT_ONCE, REQUEST, canonical, item_id
from gateway.policies.builtin_rules import ANYBODY
from gateway.policies.decision import Approval as Needed
from gateway.policies.tool_judgement import ToolFacts, ToolJudgement
from gateway.stores.runs import Run, Spent
from gateway.stores.tool_calls import Approval, ApprovalKind, ToolCall

log = structlog.get_logger()

MOST_KEPT: Final = 200
"""Calls of one answer that are kept at all."""
ALLOWED: Final = ToolJudgement(effect="allow")


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A call, and what was decided. `shown` are its arguments as clients see them; the other fields are there where people are to be asked."""

    call: ToolCall
    shown: str
    judgement: ToolJudgement = ALLOWED
    taint: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    origins: dict[str, Label] = {}


class Deciding:
    """Decides for one run; `caller` is who asks, with the rights that he has now."""

    def __init__(self, means: Means, tools: ToolMeans, run: Run, plan: Plan, caller: Caller) -> None:
        self._means = means
        self._tools = tools
        self._run = run
        self._plan = plan
        self._caller = caller

    async def decide(self, wanted: Sequence[Wanted], step: int, seen: Context, spent: Spent) -> Sequence[Decided]:
        """Decide about the calls of one answer, the `step`th; `seen` is what the model had read."""
        digits = self._means.new_id("")
        return [
            await self._one(each, step, index, digits, seen, spent) for index, each in enumerate(wanted[:MOST_KEPT])
        ]

    def again(self, call: ToolCall, granted: Granted, seen: Context, spent: Spent) -> Decided:
        """Decide once more about a call whose decision is not known any more."""
        arguments = msgspec.json.decode(call.arguments)
        judgement, found = self._judge(granted, arguments, seen, spent)
        return _decided(call, call.arguments, judgement, seen, found)

    async def _one(self, wanted: Wanted, step: int, index: int, digits: str, seen: Context, spent: Spent) -> Decided:
        granted = self._plan.granted.get(wanted.name)
        name = item_id(CALL, digits, index)
        arguments, why = _read(wanted.arguments)
        text = canonical(arguments)
        call = ToolCall(
            id=name,
            run=self._run.id,
            call_id=wanted.call_id,
            step=step,
            index=index,
            server="" if granted is None else granted.tool.server,
            tool=wanted.name if granted is None else granted.tool.name,
            arguments=text,
            arguments_hash=sha256(text),
            definition="" if granted is None else granted.tool.definition,
            effect="read" if granted is None else granted.tool.effect,
            key=f"{self._run.id}.{name}",
            marks=marks_of(wanted),
        )
        if granted is None:
            return self._refused(call, wanted.arguments, f"There is no tool {wanted.name[:128]!r} here.")
        if index >= MOST_AT_ONCE:
            return self._refused(call, text, f"More than {MOST_AT_ONCE} calls were asked for at once.")
        why = why or await self._tools.violation(granted.tool, arguments)
        if why:
            shown = wanted.arguments if not arguments else text
            return self._refused(call, shown, f"The arguments are not what the tool takes: {why}")
        judgement, found = self._judge(granted, arguments, seen, spent)
        call = msgspec.structs.replace(call, decision=judgement.effect)
        if judgement.effect == "deny":
            return self._refused(call, text, f"This call is not allowed. {judgement.reason}".strip())
        if judgement.effect == "ask":
            call = msgspec.structs.replace(call, state="awaiting_approval", approval=item_id(REQUEST, digits, index))
        return _decided(call, text, judgement, seen, found)

    def _refused(self, call: ToolCall, shown: str, error: str) -> Decided:
        now = self._means.clock.wall()
        return Decided(call=msgspec.structs.replace(call, state="failed", error=error, ended_at=now), shown=shown)

    def _judge(
        self, granted: Granted, arguments: dict[str, Json], seen: Context, spent: Spent
    ) -> tuple[ToolJudgement, dict[str, Label]]:
        tool = granted.tool
        if tool.id == ASK_HUMAN.tool.id:
            return self._asking(granted), {}
        if tool.server == SERVER and not tool.memory:
            return ALLOWED, {}
        found = origins(tool, arguments, seen)
        if tool.server == AGENTS:
            return judge_agent(self._means.current().authorizer, self._caller, granted), found
        facts = msgspec.structs.replace(
            self._facts(granted, arguments, spent), origins=found, taint=seen.taint, sensitive=seen.sensitive
        )
        return self._told(tool, self._tools.judge.judge(facts)), found

    def _facts(self, granted: Granted, arguments: dict[str, Json], spent: Spent) -> ToolFacts:
        """Give the facts of a call, but for where its arguments come from and what the model had read."""
        return ToolFacts(
            caller=self._caller,
            agent=self._plan.agent,
            tool=granted.tool,
            arguments=arguments,
            wish=granted.wish,
            nano=spent.nano + spent.below.nano,
            steps=spent.steps,
            calls=spent.tool_calls,
            at=self._means.clock.wall(),
        )

    def _asking(self, granted: Granted) -> ToolJudgement:
        """Give the judgement about a question: it is put to people, to those that the agent's definition names where it does."""
        asking = self._tools.asking
        people = Needed(approvers=granted.people or asking.groups, quorum=1, ttl=int(granted.ttl or asking.ttl))
        return ToolJudgement(effect="ask", reason="The agent has a question.", approvals=(people,))

    def _told(self, tool: Tool, judgement: ToolJudgement) -> ToolJudgement:
        """Pass a judgement on; where a policy could not be evaluated, the operator is to know."""
        if judgement.errors:
            log.error("policy.erred", run=self._run.id, tool=tool.id, errors=list(judgement.errors))
        return judgement

    def denied(self, call: ToolCall, granted: Granted, approval: Approval, spent: Spent) -> str:
        """Say why a call is not allowed although people agreed; empty where it still may be made."""
        if granted.tool.server == AGENTS:
            use = judge_agent(self._means.current().authorizer, self._caller, granted)
            return use.reason if use.effect == "deny" else ""
        if granted.tool.server == SERVER and not granted.tool.memory:
            return ""
        facts = msgspec.structs.replace(
            self._facts(granted, msgspec.json.decode(call.arguments), spent),
            # Who asked for it, also where another has taken over since.
            agent=approval.agent,
            origins=approval.origins,
            taint=approval.taint,
            sensitive=approval.sensitive,
        )
        judgement = self._told(granted.tool, self._tools.judge.judge(facts))
        return (judgement.reason or "A policy forbids it.") if judgement.effect == "deny" else ""

    def approvals(self, decided: Decided, kind: ApprovalKind, wishes: Sequence[Wish] = ()) -> Sequence[Approval]:
        """Give what people are asked about a call, the first under the call's name for it.

        That is one question for each of `wishes`, which one person answers, or else one for each set of people that has to agree.
        """
        call, judgement = decided.call, decided.judgement
        asking = self._tools.asking
        needed = [_named(each, asking) for each in judgement.approvals or (ANYBODY,)]
        if wishes:
            people = judgement.approvals[0] if call.server == SERVER else needed[0]
            needed = [msgspec.structs.replace(people, quorum=1)] * len(wishes)
        now = self._means.clock.wall()
        return [
            Approval(
                id=call.approval if not number else item_id(REQUEST, self._means.new_id(""), number),
                tenant=self._run.tenant,
                run=self._run.id,
                call=call.id,
                kind=kind,
                agent=self._plan.agent,
                requester=self._run.caller,
                server=call.server,
                tool=call.tool,
                arguments=call.arguments,
                arguments_hash=call.arguments_hash,
                definition=call.definition,
                effect=call.effect,
                reason=judgement.reason,
                rules=judgement.rules,
                origins=decided.origins,
                taint=decided.taint,
                sensitive=decided.sensitive,
                wish=wishes[number] if wishes else None,
                groups=each.approvers,
                quorum=each.quorum,
                # Where nobody names people, the client's own user is who was meant to be asked; and an answer is no leave.
                four_eyes=bool(each.approvers and not wishes) if asking.four_eyes is None else asking.four_eyes,
                created_at=now,
                expires_at=now + each.ttl,
            )
            for number, each in enumerate(needed)
        ]


def _decided(call: ToolCall, shown: str, judgement: ToolJudgement, seen: Context, found: dict[str, Label]) -> Decided:
    return Decided(
        call=call, shown=shown, judgement=judgement, taint=seen.taint, sensitive=seen.sensitive, origins=found
    )


def _named(needed: Needed, asking: ApprovalSettings) -> Needed:
    """Give who has to agree, by the settings where no policy names anybody."""
    if needed.approvers:
        return needed
    ttl = asking.ttl if needed == ANYBODY else needed.ttl
    return Needed(approvers=asking.groups, quorum=max(needed.quorum, asking.quorum), ttl=int(ttl))


def _read(text: str) -> tuple[dict[str, Json], str]:
    """Give the arguments of a call, and what is wrong with them."""
    try:
        return decode_object((text or "{}").encode()), ""
    except (MalformedBody, UnicodeEncodeError) as error:
        return {}, str(error).replace("The body is", "They are").replace("The body", "They").replace("the body", "them")


def sha256(text: str) -> str:
    """Give the hash of canonical arguments."""
    return hashlib.sha256(text.encode()).hexdigest()
