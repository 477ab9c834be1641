"""Answers to what runs ask: who may give one, what an edit may be, and what goes on afterwards. See `approving` for what others use of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import anyio
import msgspec
import structlog

from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.approving import Ballot, Channel, Verdict
from gateway.agents.deciding import sha256
from gateway.agents.family import asked_by, top_of
from gateway.agents.handoffs import in_charge
from gateway.agents.means import Means, ToolMeans
from gateway.agents.replying import as_input, continuation_of, replies
from gateway.agents.wishes import read_answer
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, SwitchgearError
from gateway.core.items import Json
from gateway.core.rights import rights_of
from gateway.core.tools import SERVER, Label, Tool, Wish
from gateway.dialects.openai_responses.mcp_items import RESPONSE, canonical, is_ours
from gateway.policies.tool_judgement import ToolFacts
from gateway.stores.approval_story import story
from gateway.stores.approvals import AlreadyDecided, NotAnswered
from gateway.stores.runs import Entry, Run
from gateway.stores.tool_calls import Approval, Vote, approval_notice

log = structlog.get_logger()

_LOOK: Final = 15.0
"""Seconds between two looks for runs whose questions are answered and that nobody has gone on with."""
_PATIENCE: Final = 10.0
"""Seconds that who gave the last answer has for going on."""
_HOMELESS: Final = "its conversation is deleted"


def person_of(caller: Caller) -> str:
    """Give who somebody is, whatever key he comes with: votes are counted by it."""
    return caller.user or caller.id


def is_another(caller: Caller, run: Run) -> bool:
    """Whether somebody is another than who asked for a run."""
    return person_of(caller) != person_of(run.caller)


Heard = Callable[[Caller, Approval, Ballot, Verdict], None]
"""Hears who answered what, and what came of it. Never raises."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a request goes on from by its answers: the run that waits, and the answers that others have given it."""

    run: Run
    others: Sequence[dict[str, Json]] = ()


class Resolving:
    """An ApprovalDesk. `wake` tells the executor that there is a new run; `heard` is told of answers that come with a request for a response."""

    def __init__(self, means: Means, tools: ToolMeans, wake: Callable[[], None]) -> None:
        self._means = means
        self._tools = tools
        self._wake = wake
        self.heard: Heard | None = None

    def objection(self, approver: Caller, approval: Approval) -> str:
        """Say why this person may not answer; empty where it is allowed."""
        if approver.tenant != approval.tenant:
            return "The approval belongs to another tenant."
        if approval.four_eyes and _is_requester(approver, approval):
            return "Who asks for an approval may not give it: somebody else has to."
        if approval.groups and not {*approver.groups, approver.team}.intersection(approval.groups):
            return f"Only members of {' or '.join(approval.groups)} may answer this."
        return ""

    async def vote(self, approver: Caller, ballot: Ballot, *, channel: Channel) -> Verdict:
        """Count an answer, and go on where it was the last that a run waited for. Raises as ApprovalDesk says."""
        approval = await self._find(approver.tenant, ballot.approval)
        if not self.objection(approver, approval):
            await self._require_conversation(approval)
        verdict = await self._count(approver, approval, ballot, channel)
        if verdict.approval.state == "pending":
            return verdict
        return msgspec.structs.replace(verdict, continuation=await self.resume(approval.run))

    async def expired(self, approvals: Sequence[Approval]) -> None:
        """Go on with the runs that waited for these, which have just expired."""
        for run in dict.fromkeys(approval.run for approval in approvals):
            await self.resume(run)

    async def watch(self) -> None:
        """Go on with what was answered by who ended before he could; until cancelled."""
        while True:
            await anyio.sleep(_LOOK)
            try:
                for run in await self._tools.approvals.ready(self._means.clock.wall() - _PATIENCE):
                    await self.resume(run)
                for orphan in await self._means.runs.orphans():
                    await self._give_up(orphan)
            except SwitchgearError as error:
                log.warning("approvals.not_resumed", reason=error.message)
            except Exception:
                log.exception("approvals.crashed")  # whatever it is, it is not worth the server

    async def _give_up(self, orphan: Run, why: str = "nobody waits for it") -> None:
        """End a run that waits for people, and that nobody waits for any more."""
        now = self._means.clock.wall()
        ended = Entry(status="cancelled", ended_at=now)
        await self._means.runs.request_cancel(orphan.tenant, orphan.id, now=now, ended=ended)
        log.info("run.orphan_ended", run=orphan.id, parent=orphan.parent, tenant=orphan.tenant, why=why)

    async def _is_homeless(self, run: Run) -> bool:
        """Whether a run waits in a conversation that was deleted: what it asked for would be done, and nobody could read of it."""
        name = run.conversation
        waits = bool(name) and run.status == "waiting"
        return waits and await self._means.conversations.find(run.tenant, name) is None

    async def _require_conversation(self, approval: Approval) -> None:
        """Raise Conflict where the conversation that this was asked in is gone; then what waits there is cancelled."""
        asked = await self._means.runs.find(None, approval.run)
        if asked is None or not await self._is_homeless(top := await top_of(self._means, asked)):
            return
        for run in {each.id: each for each in (top, asked)}.values():
            await self._give_up(run, _HOMELESS)
        msg = f"The conversation {top.conversation!r}, in which this was asked, has been deleted: it is cancelled, and nothing was done."
        raise Conflict(msg)

    async def resume(self, name: str) -> str:
        """Add what goes on after a run whose questions are all answered; give its id, or that of another that does already, or nothing.

        It is the run at the top that goes on: by going on with those below it.
        """
        found = await self._means.runs.find(None, name)
        if found is None:
            return ""
        run = await top_of(self._means, found)
        if run.status != "waiting":
            return await self._means.runs.continued_by(run.id)
        if await self._is_homeless(run):
            await self._give_up(run, _HOMELESS)
            return ""
        asked = await asked_by(self._means, self._tools, run)
        if any(approval.state in ("pending", "cancelled") for approval in asked):
            return ""
        at = in_charge(run, await self._tools.calls.calls(run.id))
        made = continuation_of(self._means, run, self._means.new_id("resp_"), at)
        items = as_input(await replies(self._means, self._tools, asked))
        try:
            if await self._tools.approvals.continue_by(run.id, made, items):
                log.info("run.continued", run=run.id, by=made.id, tenant=run.tenant)
                self._means.counts.begun.add(("approved",))
                self._wake()
                return made.id
        except Conflict as error:
            log.info("run.not_continued", run=run.id, reason=error.message)
            return ""
        return await self._means.runs.continued_by(run.id)

    async def _find(self, tenant: str, name: str, param: str | None = None) -> Approval:
        found = await self._tools.approvals.find(tenant, name)
        if found is None:
            msg = f"There is no approval {name[:100]!r} here."
            raise NotFound(msg, param=param)
        return found

    async def _count(self, approver: Caller, approval: Approval, ballot: Ballot, channel: Channel) -> Verdict:
        """Count an answer, and go no further."""
        if why := self.objection(approver, approval):
            raise Forbidden(why)
        edited = None
        if approval.wish is not None and ballot.approve and ballot.edited is None:
            await self._check_answer(approval, approval.wish, ballot.reason)
        if ballot.edited is not None:
            edited = await self._check_edit(approval, ballot, ballot.edited)
        vote = Vote(
            approval=approval.id,
            approver=person_of(approver),
            approve=ballot.approve,
            reason=ballot.reason,
            channel=channel,
            at=self._means.clock.wall(),
        )
        notices = [approval_notice(approval, "approved" if ballot.approve else "denied")]
        found = await self._tools.approvals.vote(vote, version=ballot.version, edited=edited, notices=notices)
        log.info(
            "approval.voted",
            approval=approval.id,
            run=approval.run,
            by=vote.approver,
            approve=ballot.approve,
            channel=channel,
            decided=found.decided,
        )
        return Verdict(approval=found.approval, votes=found.votes, decided=found.decided)

    async def _check_answer(self, approval: Approval, wish: Wish, said: str) -> None:
        """Raise InvalidRequest for an answer that is not what is asked for."""
        answer, why = read_answer(wish, said)
        if not why and answer is not None and not wish.method:
            form = Tool(
                server=approval.server,
                name=approval.tool,
                schema=wish.schema,
                definition="",
                gives=Label(source="user"),
            )
            why = await self._tools.violation(form, answer)
        if why:
            msg = f"The answer is not what is asked for. {why}"
            raise InvalidRequest(msg, param="reason")

    async def _check_edit(self, approval: Approval, ballot: Ballot, edited: dict[str, Json]) -> tuple[str, str]:
        """Give edited arguments in their one form, with their hash. Raises Conflict, Forbidden, InvalidRequest."""
        if not ballot.approve:
            msg = "Arguments are edited by who approves, not by who denies."
            raise InvalidRequest(msg, param="approve")
        others = [each for each in await self._tools.approvals.of_run(approval.run) if each.call == approval.call]
        if approval.kind != "call" or len(others) > 1 or approval.server == AGENTS:
            msg = "The arguments of this call cannot be edited: deny it with a reason, and the model may ask again."
            raise Conflict(msg, param="edited")
        tool = await self._tool_of(approval)
        if why := await self._tools.violation(tool, edited):
            msg = f"The edited arguments are not what the tool takes: {why}"
            raise InvalidRequest(msg, param="edited")
        before = msgspec.json.decode(approval.arguments)
        kept = {path: label for path, label in approval.origins.items() if _at(before, path) == _at(edited, path)}
        judgement = self._tools.judge.judge(
            ToolFacts(
                caller=approval.requester,
                agent=approval.agent,
                tool=tool,
                arguments=edited,
                origins={**dict.fromkeys(edited, Label(source="operator")), **kept},
                taint=approval.taint,
                sensitive=approval.sensitive,
                at=self._means.clock.wall(),
            )
        )
        # Other people, or more of them, than were asked about what stood there before.
        wider = judgement.effect == "ask" and any(
            each.quorum > approval.quorum or (each.approvers and set(each.approvers) != set(approval.groups))
            for each in judgement.approvals
        )
        if judgement.effect == "deny" or wider:
            msg = f"The policies do not allow the call with these arguments. {judgement.reason}".strip()
            raise Forbidden(msg)
        text = canonical(edited)
        return text, sha256(text)

    async def _tool_of(self, approval: Approval) -> Tool:
        memory = self._tools.memory if approval.server == SERVER else None
        of_memory = None if memory is None else memory.tools(approval.agent)
        for tool in await self._tools.hub.tools(approval.server) if of_memory is None else of_memory:
            if tool.name == approval.tool and tool.definition == approval.definition:
                return tool
        msg = f"The tool {approval.server}/{approval.tool} is not the one any more that was asked about."
        raise Conflict(msg)

    async def answered_by(
        self, caller: Caller, fields: dict[str, Json], previous: str, conversation: str
    ) -> Answered | None:
        """Count the answers in the input of a request; give the run that it goes on from by them, None where it has none.

        Answers that were gone on from before are history where the request says more than them. Raises as ApprovalDesk says, and NotAnswered
        while something is not answered; what was said is counted then.
        """
        given = fields.get("input")
        listed = given if isinstance(given, list) else []
        said = [
            (number, body)
            for number, body in enumerate(listed)
            if isinstance(body, dict) and body.get("type") == RESPONSE and is_ours(body.get("approval_request_id"))
        ]
        if not said:
            return None
        _refuse_contradictions(said)
        fresh: list[tuple[str, dict[str, Json], Approval, str]] = []
        last = len(listed) - 1
        for number, body in said:
            path = f"input[{number}]"
            asked = await self._find(caller.tenant, body["approval_request_id"], f"{path}.approval_request_id")
            if any(other.id == asked.id for _, _, other, _ in fresh):
                continue  # the same, said twice
            top = await self._top(asked)
            if not await self._means.runs.continued_by(top):
                fresh.append((path, body, asked, top))
            elif top == previous or number == last:
                raise AlreadyDecided(await self._history(asked), param=path)
        if not fresh:
            return None
        [*names] = dict.fromkeys(top for _, _, _, top in fresh)
        if len(names) > 1 or previous not in ("", names[0]):
            msg = "The answers in `input` are for another response than the one that the request goes on from."
            raise InvalidRequest(msg, param=fresh[0][0])
        run = await self._means.runs.find(caller.tenant, names[0])
        if run is None or conversation not in ("", run.conversation):
            msg = "The answers in `input` are for a response of another conversation."
            raise InvalidRequest(msg, param=fresh[0][0])
        _refuse_more(caller, run, len(listed) - len(said))
        for path, body, asked, _ in fresh:
            await self._say(caller, path, body, asked)
        return await self._all_answered(run, {asked.id for _, _, asked, _ in fresh})

    async def _top(self, asked: Approval) -> str:
        """Give the run that shows a question to its client."""
        run = await self._means.runs.find(asked.tenant, asked.run)
        return asked.run if run is None else (await top_of(self._means, run)).id

    async def _say(self, caller: Caller, path: str, body: dict[str, Json], asked: Approval) -> None:
        approve, reason = body["approve"], body.get("reason")
        if asked.state != "pending":
            if (asked.state == "approved") == approve and asked.state in ("approved", "denied"):
                return  # said again, by who was not told that it went well
            raise AlreadyDecided(await self._history(asked), param=path)
        if not (asked.groups or _is_requester(caller, asked) or "approve" in rights_of(caller.role)):
            msg = "Only who asked for it, and those with the right to approve, may answer this."
            raise Forbidden(msg, param=path)
        ballot = Ballot(approval=asked.id, approve=approve, reason=reason if isinstance(reason, str) else "")
        verdict = await self._count(caller, asked, ballot, "api")
        if self.heard is not None:
            self.heard(caller, asked, ballot, verdict)

    async def _all_answered(self, run: Run, said: set[str]) -> Answered:
        asked = await asked_by(self._means, self._tools, run)
        missing = [approval.id for approval in asked if approval.state == "pending"]
        if missing:
            msg = f"The response {run.id!r} still waits for an answer to {' and '.join(missing)}; what was said is counted."
            raise NotAnswered(msg)
        others = [
            body for body in await replies(self._means, self._tools, asked) if body["approval_request_id"] not in said
        ]
        return Answered(run=run, others=others)

    async def _history(self, asked: Approval) -> str:
        return story(asked, await self._tools.approvals.votes(asked.id))


def _is_requester(caller: Caller, approval: Approval) -> bool:
    requester = approval.requester
    return person_of(caller) == person_of(requester) or caller.id == requester.id


def _refuse_more(caller: Caller, run: Run, more: int) -> None:
    """Raise InvalidRequest for who answers for another, and says more than that."""
    if more and is_another(caller, run):
        msg = "Who answers for somebody else's response can say nothing more than that: it goes on in the name of who asked for it."
        raise InvalidRequest(msg, param="input")


def _refuse_contradictions(said: Sequence[tuple[int, dict[str, Json]]]) -> None:
    """Raise InvalidRequest for answers that are none, or of which two say different things of one question: before anything is counted."""
    verdicts: dict[Json, bool] = {}
    for number, body in said:
        approve, path = body.get("approve"), f"input[{number}].approve"
        if not isinstance(approve, bool):
            msg = f"`{path}` must be a boolean."
            raise InvalidRequest(msg, param=path)
        if verdicts.setdefault(body["approval_request_id"], approve) != approve:
            msg = f"`{path}` says otherwise than an earlier answer to the same question. Nothing was counted."
            raise InvalidRequest(msg, param=path)


def _at(arguments: Json, path: str) -> Json:
    """Give the value at a path as origins have it (`to[0].address`); None where there is none."""
    value = arguments
    for step in path.replace("[", ".[").split("."):
        if step.startswith("[") and isinstance(value, list) and step[1:-1].isdigit():
            number = int(step[1:-1])
            value = value[number] if number < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value
