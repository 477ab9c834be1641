"""Runs for clients that call tools: begins one for a call of a tool or of an agent, waits for it, and says how it stands.

A run that waited for people is gone on with by another; whoever holds the name of the first finds the last. It knows no protocol of clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import anyio
import msgspec

from gateway.agents.approving import Ballot
from gateway.agents.deciding import sha256
from gateway.agents.desk import Draft, Take, no_response
from gateway.agents.direct import DirectCall, direct_run, is_direct, whole_name
from gateway.agents.executor import Executor
from gateway.agents.family import asked_by, top_of
from gateway.agents.means import Means, ToolMeans
from gateway.agents.replying import EXPIRED
from gateway.agents.resolving import person_of
from gateway.agents.running import Running
from gateway.config.agent_settings import PREFIX as AGENT_MODEL
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, InvalidRequest
from gateway.core.items import Json
from gateway.core.tools import Tool
from gateway.dialects.openai_responses.mcp_items import (
    CALL,
    LOST,
    NOT_AGAIN,
    REFUSED,
    RESPONSE,
    canonical,
    said_to_model,
)
from gateway.stores.approvals import SameCall
from gateway.stores.runs import LIVE, Run, RunEvent
from gateway.stores.tool_calls import Approval

_LOOK: Final = 0.25
"""Seconds between two looks whether people have answered, on whatever replica they did."""
_MOST_LINKS: Final = 200
"""Runs that go on from each other, of one call."""
_PIECE: Final = 1024 * 1024
_YES: Final = "yes"

Fields = dict[str, Json]
State = Literal["running", "waiting", "ended"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a call stands. `name` is the run that it was begun as, `run` the last that goes on from it; `asked` is what people are asked, where it waits."""

    name: str
    run: Run
    state: State
    asked: Sequence[Approval] = ()


class Calling:
    """Begins calls for clients, and finds them again. What is not the caller's own is not found, whoever has it."""

    def __init__(self, means: Means, tools: ToolMeans, executor: Executor, desk: Running) -> None:
        self._means = means
        self._tools = tools
        self._executor = executor
        self._desk = desk

    async def begin(self, asked: DirectCall) -> str:
        """Begin a call of a tool; give the name of its run, which is in the journal when this returns. One that was begun before is only found.

        Raises LimitExceeded where the tenant has too many unfinished ones, and NotFound where the name is somebody else's.
        """
        run, items = direct_run(self._means, asked)
        here = self._executor.reserve()
        try:
            kept = self._desk.leased(run) if here else run
            try:
                if not await self._means.runs.add(kept, items, most_live=self._means.settings.unfinished):
                    raise self._desk.too_many()
            except Conflict:
                return await self._again(asked.caller, run, canonical(asked.arguments))
            if here:
                self._executor.start(kept)
                here = False
            else:
                self._executor.wake()
        finally:
            if here:
                self._executor.give_up_place()
        self._means.counts.begun.add(("direct",))
        return run.id

    async def begin_agent(self, draft: Draft) -> str:
        """Begin a run of an agent. Raises as RunDesk's `begin`."""
        try:
            return (await self._desk.begin(draft)).id
        except Conflict:
            if not draft.run:
                raise
            return await self._again(draft.caller, draft, str(draft.fields.get("input")))

    async def _again(self, caller: Caller, asked: Run | Draft, words: str) -> str:
        """Give the name of a run that was begun before under this one's id, for the same. Raises NotFound, and Conflict where it was for something else."""
        known = await self._own(caller, asked.id if isinstance(asked, Run) else asked.run)
        if known.model != asked.model or await self._asked_for(known) != words:
            # Its result would be taken for that of another call.
            msg = "Another call was made before under this idempotency key, or this id of a request. This one was not made."
            raise Conflict(msg)
        return known.id

    async def _asked_for(self, run: Run) -> str:
        """Give what a call was asked for with: the arguments of a tool, or what was said to an agent."""
        items = await self._means.runs.items(run.id)
        first = next((item.body for item in items if item.place == "input" and item.index == 0), {})
        content = first.get("content")
        part = content[0] if isinstance(content, list) and content else None
        return str(part.get("text")) if isinstance(part, dict) else str(content)

    async def waiting(self, caller: Caller, tool: Tool, arguments: Fields) -> str:
        """Give the name of a call of the caller's that is this very call and waits for people; empty where there is none.

        A client that was told so may only know how to ask again: people are not asked twice.
        """
        digest = sha256(canonical(arguments))
        same = SameCall(server=tool.server, tool=tool.name, definition=tool.definition, arguments_hash=digest)
        for approval in await self._tools.approvals.pending_of(caller.tenant, same):
            # What people have put in the place of the arguments is not what was asked for.
            asked = sha256(approval.arguments) if approval.edited else digest
            if asked == digest and person_of(approval.requester) == person_of(caller):
                run = await self._means.runs.find(caller.tenant, approval.run)
                if run is not None and is_direct(run):
                    return run.id
        return ""

    async def wait(
        self, caller: Caller, name: str, take: Take | None = None, *, seconds: float | None = None
    ) -> Standing:
        """Give how a call stands when it has ended or waits for people, or after `seconds`. `take` is given the events of its runs, in order.

        With `seconds`, one that waits for people is waited for as well, until it asks them for something else. Raises NotFound.
        """
        standing = await self.standing(caller, name)
        with anyio.move_on_after(seconds):
            told, known = "", {each.id for each in standing.asked}
            while standing.state != "ended":
                if standing.state == "running" or standing.run.id != told:
                    told = standing.run.id
                    await self._desk.follow(caller.tenant, told, take or _nothing)
                elif seconds is None or any(each.id not in known for each in standing.asked):
                    break
                else:
                    await anyio.sleep(_LOOK)
                standing = await self.standing(caller, name)
        return standing

    async def standing(self, caller: Caller, name: str) -> Standing:
        """Give how a call stands; `name` is that of its run, of a later one, or of what people are asked. Raises NotFound."""
        begun = run = await self._own(caller, await self._run_of(caller, name))
        for _ in range(_MOST_LINKS):
            after = await self._means.runs.continued_by(run.id)
            found = await self._means.runs.find(run.tenant, after) if after else None
            if found is None:
                break
            run = found
        if run.status in LIVE:
            return Standing(name=begun.id, run=run, state="running")
        if run.status != "waiting":
            return Standing(name=begun.id, run=run, state="ended")
        asked = [each for each in await asked_by(self._means, self._tools, run) if each.state == "pending"]
        # What is answered is gone on with in a moment.
        return Standing(name=begun.id, run=run, state="waiting" if asked else "running", asked=asked)

    async def answer(self, caller: Caller, name: str, content: Fields) -> None:
        """Answer what the tool of an own call asked for: by the form's fields, none for a page that was visited.

        Raises NotFound, Forbidden where it is for others to answer, InvalidRequest for what does not fit the form, and Conflict where it was answered.
        """
        await self._own(caller, await self._run_of(caller, name))
        approval = await self._tools.approvals.find(caller.tenant, name)
        if approval is None or approval.wish is None or self._desk.approvals is None:
            raise no_response(name)
        ballot = Ballot(approval=name, approve=True, reason=canonical(content) if content else _YES)
        await self._desk.approvals.vote(caller, ballot, channel="api")

    async def reply(self, caller: Caller, name: str, content: Fields | None) -> None:
        """Answer what the tool of an own call asked for, as `answer` does; None declines, and so does what is no answer to the question.

        Raises NotFound, Forbidden, and Conflict where it was answered.
        """
        reason = ""
        if content is not None:
            try:
                await self.answer(caller, name, content)
            except InvalidRequest as error:
                # There is no answer to an answer, by which the client could be told: who waits for the call is to hear of it.
                reason = error.message
            else:
                return
        await self._own(caller, await self._run_of(caller, name))
        approval = await self._tools.approvals.find(caller.tenant, name)
        if approval is None or approval.wish is None or self._desk.approvals is None:
            raise no_response(name)
        await self._desk.approvals.vote(caller, Ballot(approval=name, approve=False, reason=reason), channel="api")

    async def stop(self, caller: Caller, name: str) -> Standing:
        """End a call that runs or waits: what its tool is asked is told to end as well. Raises NotFound."""
        standing = await self.standing(caller, name)
        if standing.state != "ended":
            await self._desk.stop(caller.tenant, standing.run.id)
        return await self.standing(caller, name)

    async def result(self, standing: Standing, *, formed: bool = False) -> Fields:
        """Give what came of a call that has ended, in the form of MCP's `tools/call`. `formed` says that an agent answers in JSON."""
        if standing.run.status == "failed":
            return failure(_error_of(standing.run))
        if standing.run.status == "cancelled":
            return failure("The call was cancelled.")
        return await self._direct(standing.run) if is_direct(standing.run) else _said(standing.run, formed=formed)

    async def _direct(self, run: Run) -> Fields:
        calls = await self._tools.calls.calls(run.id)
        for call in reversed(calls):
            if (whole := await self._whole(run.id, whole_name(call.id))) is not None:
                return whole
            if call.state == "unknown":
                return failure(LOST)
        items = await self._means.runs.items(run.id)
        for item in reversed(items):
            if item.body.get("type") == CALL:
                return failure(said_to_model(item.body).removeprefix("Error: "))
        for item in items:
            if item.body.get("type") == RESPONSE and item.body.get("approve") is False:
                return failure(await self._refusal(run, item.body.get("reason")))
        return failure("The call came to no end.")

    async def _refusal(self, run: Run, reason: Json) -> str:
        before = await self._tools.approvals.of_run(run.continues)
        if reason == EXPIRED and any(each.state == "expired" for each in before):
            return "Nobody answered in time; the call was not made."
        said = NOT_AGAIN if any(each.kind == "outcome" for each in before) else REFUSED
        return f"{said} The reason given: {reason}" if reason else said

    async def _whole(self, run: str, name: str) -> Fields | None:
        data = b""
        while (read := await self._tools.blobs.read(run, name, offset=len(data), limit=_PIECE)) is not None:
            piece, size = read
            data += piece
            if len(data) >= size:
                found: Fields = msgspec.json.decode(data)
                return found
        return None

    async def _run_of(self, caller: Caller, name: str) -> str:
        if not name.startswith("mcpr_"):
            return name
        approval = await self._tools.approvals.find(caller.tenant, name)
        return "" if approval is None else approval.run

    async def _own(self, caller: Caller, name: str) -> Run:
        """Give the run that a client began, by the name of that one or of one below or after it. Raises NotFound."""
        run = await self._means.runs.find(caller.tenant, name) if name else None
        if run is None:
            raise no_response(name)
        run = await top_of(self._means, run)
        while run.continues and (before := await self._means.runs.find(caller.tenant, run.continues)) is not None:
            run = before
        is_call = is_direct(run) or run.model.startswith(AGENT_MODEL)
        if not is_call or person_of(run.caller) != person_of(caller):
            raise no_response(name)
        return run


async def _nothing(event: RunEvent) -> None:
    """Take an event that nobody wants."""


def failure(text: str) -> Fields:
    """Give a result that says what went wrong."""
    return {"content": [{"type": "text", "text": text}], "isError": True}


def _error_of(run: Run) -> str:
    error = (run.response or {}).get("error")
    return str(error.get("message") or "It failed.") if isinstance(error, dict) else "It failed."


def _said(run: Run, *, formed: bool) -> Fields:
    """Give the last words of an agent: its last message, and the same as JSON where it has a form."""
    document = run.response or {}
    texts: list[str] = []
    for item in document.get("output") or ():
        if item.get("type") == "message":
            texts = [part["text"] for part in item.get("content") or () if isinstance(part.get("text"), str)]
    text = "\n".join(texts)
    result: Fields = {"content": [{"type": "text", "text": text}], "isError": run.status == "incomplete"}
    if formed and not result["isError"]:
        try:
            result["structuredContent"] = msgspec.json.decode(text, type=dict[str, Json])
        except msgspec.DecodeError:
            return failure(f"The agent's answer is not of its form: {text[:1000]}")
    return result
