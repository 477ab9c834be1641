"""tools/call: each call is a run, begun here, waited for, and cancelled where its client leaves. What comes of it is answered in the revision's own words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import anyio
import msgspec
import structlog
from mcp import MCPError
from mcp_types import INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY

from gateway.agents.calling import Standing, failure
from gateway.agents.desk import Draft
from gateway.agents.direct import LACKS, DirectCall
from gateway.api.mcp.agent_tools import Question as AgentQuestion
from gateway.api.mcp.agent_tools import Teller, output_schema
from gateway.api.mcp.asking import Answer, Asked, Context
from gateway.api.mcp.desk import McpDesk, Offer
from gateway.api.mcp.following import Following
from gateway.api.mcp.hearing import hearing_of
from gateway.api.mcp.knowledge import bound
from gateway.api.mcp.names import Named
from gateway.api.mcp.noted import Noted
from gateway.api.mcp.results import fitting, input_required, keys_of, may_answer
from gateway.api.mcp.seen import linked
from gateway.api.mcp.states import State, person_key
from gateway.api.mcp.status import Question as StatusQuestion
from gateway.api.mcp.status import pending
from gateway.api.mcp.talking import Talk
from gateway.config.agent_settings import AGENTS, PREFIX
from gateway.core.errors import Forbidden, InvalidRequest, LimitExceeded, NotFound, SwitchgearError
from gateway.core.tools import KNOWLEDGE, Label, Tool
from gateway.dialects.openai_responses.mcp_items import canonical
from gateway.stores.tool_calls import Approval
from gateway.tools.hub import ToolNotReached

log = structlog.get_logger()

METHOD: Final = "tools/call"
_LAST_SECONDS: Final = 5.0
"""For the end of a call whose client has left."""
_DECLINED: Final = ("decline", "cancel")
MOST_ROUNDS: Final = 9
"""How often a client is told to ask again. The official ones give up at the tenth time: before that they are told how to ask later."""


class Calls:
    """Calls tools."""

    def __init__(self, desk: McpDesk) -> None:
        self._desk = desk

    async def __call__(self, context: Context, params: Any) -> Answer:
        """Call a tool, or go on with a call that waited."""
        asked, offer = Asked(context), self._desk.offer()
        asked.hearing = await hearing_of(context, asked, self._desk.sessions)
        named = offer.table.get(params.name)
        if named is None or not offer.shows(asked.caller, named):
            raise unknown(params.name)
        arguments: dict[str, Any] = params.arguments or {}
        text = _canonical(arguments)
        most = offer.settings.limits.argument_bytes
        if len(text) > most:
            msg = f"The arguments have {len(text)} bytes: more than {most} are not taken."
            raise MCPError(INVALID_PARAMS, msg)
        noted = Noted(self._desk, asked, named)
        try:
            with self._desk.pace.one(asked.caller, offer.settings.limits):
                answer = await self._answer(asked, offer, named, arguments, params, noted)
        except LimitExceeded as error:
            noted.end(error)
            return fitting(METHOD, asked.version, failure(error.message))
        except BaseException as error:
            noted.end(error)
            raise
        noted.end(None, answer)
        return fitting(METHOD, asked.version, answer)

    async def _answer(
        self, asked: Asked, offer: Offer, named: Named, arguments: dict[str, Any], params: Any, noted: Noted
    ) -> Answer:
        if not named.server and not named.agent:
            return await self._status(asked, offer, arguments)
        what = _digest(named, arguments)
        if params.request_state is not None:
            return await self._again(asked, offer, named, what, params)
        await self._desk.pace.take(
            asked.caller, f"{named.server or AGENTS}/{named.tool or named.agent}", offer.settings.limits
        )
        if named.agent:
            return await self._agent(asked, offer, named, arguments, what, noted)
        try:
            tool = await self._tool(named)
        except ToolNotReached as error:
            return failure(error.message)
        if tool is None:
            return failure(
                f"The tool {named.name!r} cannot be called now: its server does not offer it as it was accepted."
            )
        if named.server == KNOWLEDGE:
            arguments, wrong = bound(offer, asked.caller, named.tool, arguments)
            if wrong:
                return failure(wrong)
        run = await self._desk.calling.waiting(asked.caller, tool, arguments)
        name = run or asked.run or self._desk.edge.new_id("resp_")
        with self._desk.hearers.hear(name, asked.hearing):
            noted.run = run = run or await self._begin(asked, offer, tool, arguments, name)
            following = Following(asked.tell)
            standing = await self._attended(asked, run, following)
            standing = await Talk(self._desk, asked, offer).over(standing, following.take)
        answer = await self._shown(asked, offer, standing, what, promised=tool.output_schema is not None)
        return linked(self._desk, named.server, answer)

    async def _tool(self, named: Named) -> Tool | None:
        known = await self._desk.hub.tools(named.server)
        return next((tool for tool in known if tool.name == named.tool), None)

    async def _begin(self, asked: Asked, offer: Offer, tool: Tool, arguments: dict[str, Any], run: str) -> str:
        direct = DirectCall(
            caller=asked.caller,
            tool=tool,
            arguments=arguments,
            wish="always" if offer.settings.approval.get(tool.id) == "always" else "never",
            integrity=offer.settings.clients,
            run=run,
            session=asked.session or None,
            trace=asked.trace,
            progress=asked.wants_progress,
            client=asked.can,
        )
        return await self._desk.calling.begin(direct)

    async def _agent(
        self, asked: Asked, offer: Offer, named: Named, arguments: dict[str, Any], what: str, noted: Noted
    ) -> Answer:
        try:
            question = msgspec.convert(arguments, AgentQuestion)
        except msgspec.ValidationError as error:
            return failure(f"The arguments are not what the tool takes: {error}")
        if not question.input:
            return failure("The arguments are not what the tool takes: `input` is empty.")
        model = PREFIX + named.agent
        trusted = offer.settings.clients == "trusted"
        draft = Draft(
            caller=asked.caller,
            model=model,
            fields={"model": model, "input": question.input, "background": True, "stream": True},
            received=self._desk.edge.clock.monotonic(),
            call=asked.id,
            session=asked.session or None,
            trace=asked.trace,
            labels={} if trusted else {0: Label(source="client", integrity="untrusted")},
            run=asked.run,
        )
        try:
            run = await self._desk.calling.begin_agent(draft)
        except (Forbidden, InvalidRequest) as error:
            return failure(error.message)
        noted.run = run
        promised = output_schema(offer.agents[named.agent]) is not None
        if question.background:
            standing = await self._desk.calling.standing(asked.caller, run)
            return pending(standing, offer, promised=promised)
        teller = Teller(asked)
        standing = await self._attended(asked, run, teller)
        standing = await Talk(self._desk, asked, offer).over(standing, teller.take)
        return await self._shown(asked, offer, standing, what, promised=promised)

    async def _attended(self, asked: Asked, run: str, ear: Teller | Following) -> Standing:
        """Wait for a call; where its client leaves meanwhile, it is ended."""
        try:
            return await self._desk.calling.wait(asked.caller, run, ear.take)
        except anyio.get_cancelled_exc_class():
            if asked.left:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS):
                    await self._give_up(asked, run)
            raise

    async def _give_up(self, asked: Asked, run: str) -> None:
        try:
            await self._desk.calling.stop(asked.caller, run)
        except SwitchgearError as error:
            log.warning("mcp.not_cancelled", run=run, reason=error.message)

    async def _again(self, asked: Asked, offer: Offer, named: Named, what: str, params: Any) -> Answer:
        """Go on with a call that waited for people."""
        state = self._desk.states.open(params.request_state, asked.caller, what)
        said: Mapping[str, Any] = params.input_responses or {}
        if any(getattr(answer, "action", "") in _DECLINED for answer in said.values()):
            await self._desk.calling.stop(asked.caller, state.run)
            return failure("The client's user declined; the call was not made.")
        before = await self._desk.calling.standing(asked.caller, state.run)
        if (wrong := await self._told(asked, before, said)) is not None:
            return wrong
        following = Following(asked.tell)
        with self._desk.hearers.hear(before.run.id, asked.hearing):
            standing = await self._desk.calling.wait(
                asked.caller, state.run, following.take, seconds=offer.settings.wait
            )
        promised = self._promises(offer, named)
        return await self._shown(asked, offer, standing, what, promised=promised, rounds=state.rounds + 1)

    async def _told(self, asked: Asked, standing: Standing, said: Mapping[str, Any]) -> Answer | None:
        """Count what the client's user has answered to what the tool asked for; give what is wrong with it, if anything is."""
        keys = keys_of(standing.asked)
        for approval in standing.asked:
            answer = said.get(keys[approval.id])
            if approval.wish is None or answer is None or not may_answer(approval, asked):
                continue
            try:
                await self._desk.calling.answer(asked.caller, approval.id, _content(approval, answer))
            except (Forbidden, InvalidRequest) as error:
                return failure(error.message)
        return None

    def _promises(self, offer: Offer, named: Named) -> bool:
        if named.agent:
            return output_schema(offer.agents[named.agent]) is not None
        tool = self._desk.known(named.name)
        return tool is None or tool.output_schema is not None

    async def _shown(
        self, asked: Asked, offer: Offer, standing: Standing, what: str, *, promised: bool, rounds: int = 0
    ) -> Answer:
        """Give the answer of a call as it stands, to a client that has asked again so often."""
        if standing.state == "ended":
            result = await self._result(offer, standing)
            refuse_lacking(asked, result)
            return {**result, "_meta": {"switchgear/run": standing.name}}
        can_ask = asked.modern and asked.can and self._desk.states.usable
        if standing.asked and can_ask and rounds < MOST_ROUNDS:
            state = State(run=standing.name, caller=person_key(asked.caller), asked=what, rounds=rounds)
            required = input_required(standing, offer, asked, self._desk.states.close(state, asked.caller.tenant))
            if required is not None:
                return required
        return pending(standing, offer, promised=promised)

    async def _result(self, offer: Offer, standing: Standing) -> Answer:
        agent = offer.agents.get(standing.run.model.removeprefix(PREFIX))
        return await self._desk.calling.result(standing, formed=agent is not None and output_schema(agent) is not None)

    async def _status(self, asked: Asked, offer: Offer, arguments: dict[str, Any]) -> Answer:
        """Say how a call stands, to who began it."""
        try:
            question = msgspec.convert(arguments, StatusQuestion)
        except msgspec.ValidationError as error:
            return failure(f"The arguments are not what the tool takes: {error}")
        calling = self._desk.calling
        try:
            if question.cancel:
                standing = await calling.stop(asked.caller, question.id)
            else:
                seconds = min(max(question.wait, 0.0), offer.settings.wait)
                standing = await calling.wait(asked.caller, question.id, Following(asked.tell).take, seconds=seconds)
        except NotFound:
            return failure(f"There is no call {question.id[:128]!r} here.")
        if standing.state != "ended":
            return pending(standing, offer, promised=False)
        result = await self._result(offer, standing)
        told = {"status": standing.run.status, "run_id": standing.name, "result": result}
        return {"content": result["content"], "isError": result.get("isError", False), "structuredContent": told}


def refuse_lacking(asked: Asked, result: Answer) -> None:
    """Raise MCPError for the result of a tool that does nothing for a client without a capability, where this client has not said that it has it."""
    meta = result.get("_meta")
    lacks = meta.get(LACKS) if isinstance(meta, dict) else None
    if asked.modern and isinstance(lacks, dict) and not lacks.keys() <= asked.can.keys():
        msg = f"The tool wants a client that can be asked for: {', '.join(sorted(lacks))[:500]}."
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, msg, {"requiredCapabilities": lacks})


def _content(approval: Approval, answer: Any) -> Answer:
    """Give what a client answers: the result of a request to its program, or the fields of a form."""
    if approval.wish is not None and approval.wish.method:
        dump = getattr(answer, "model_dump", None)
        return {} if dump is None else dump(by_alias=True, mode="json", exclude_none=True)
    return getattr(answer, "content", None) or {}


def unknown(name: str) -> MCPError:
    """Give the error for a tool that there is not, for this caller at least."""
    return MCPError(INVALID_PARAMS, f"Unknown tool: {str(name)[:128]}")


def _digest(named: Named, arguments: dict[str, Any]) -> str:
    return hashlib.sha256(f"{named.name}\x00{canonical(arguments)}".encode()).hexdigest()


def _canonical(arguments: dict[str, Any]) -> bytes:
    try:
        return canonical(arguments).encode()
    except (UnicodeEncodeError, ValueError, RecursionError) as error:
        raise MCPError(INVALID_PARAMS, "The arguments are no JSON that can be kept.") from error
