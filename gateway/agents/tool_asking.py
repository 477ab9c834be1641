"""Asks one tool, and makes the item of what came of it. It writes nothing; who calls it has written that the call is begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
import msgspec
import structlog

from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.builtin_tools import ASK_HUMAN, LARGEST_PIECE, note, read_ref, ref_of, shown
from gateway.agents.children import Children
from gateway.agents.direct import client_of, is_direct, tells_progress, whole_name, whole_of
from gateway.agents.handoffs import target_of
from gateway.agents.means import Means, ToolMeans
from gateway.agents.provenance import label_of
from gateway.agents.remembering import Made
from gateway.agents.wishes import ANSWER, read_answer
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import RESULT, SERVER, Label, Refusal, Tool, ToolOutput, Wish
from gateway.dialects.openai_responses import mcp_items
from gateway.stores.runs import Run, RunItem
from gateway.stores.tool_calls import ToolCall
from gateway.tools.hub import ToolAsked, ToolLost, ToolNotReached
from gateway.tools.progress import Progress

log = structlog.get_logger()

_GRACE: Final = 5.0
"""Seconds beyond a tool's own timeout after which nobody waits for the hub any longer."""
_TRIES: Final = 2
"""Of a call that can be made again."""
WRONG: Final = -32602
"""JSON-RPC's code for wrong parameters, which MCP uses for tools that there are not as well."""
OURS: Final = Label(source="operator")

Body = dict[str, Json]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the model has before it: results of tools by the id of their call, and this server's tools by id; `label` is that of what it says.

    `made` says of a call of a memory what it is made from.
    """

    items: Mapping[str, RunItem] = {}
    tools: Mapping[str, Tool] = {}
    label: Label | None = None
    made: Made | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call: its item, and where that came from. Without an item nobody knows, or, with `wishes`, people have to say something first.

    `kept` is what is kept whole with it, by name.
    """

    body: Body | None = None
    label: Label = OURS
    kept: Sequence[tuple[str, bytes]] = ()
    wishes: tuple[Wish, ...] = ()


class ToolAsking:
    """Asks for one run, in the name of `caller`; agents are asked through `children`, and `progress` makes what hears how far a call is."""

    def __init__(
        self,
        means: Means,
        tools: ToolMeans,
        run: Run,
        caller: Caller,
        children: Children | None = None,
        progress: Callable[[str], Progress] | None = None,
    ) -> None:
        self._progress = progress if tells_progress(run) else None
        self._children = children
        self._means = means
        self._tools = tools
        self._run = run
        self._caller = caller

    async def result(self, call: ToolCall, tool: Tool, known: Known) -> Result:
        """Ask a tool; give what came of it."""
        body = body_of(call)
        if tool.id == ASK_HUMAN.tool.id:
            return await self._answered(call, body)
        if tool.memory:
            return await self._recalled(call, tool, body, known.made or Made())
        if tool.server == SERVER:
            if to := target_of(tool):
                return Result(body=await self._hand_over(body, to, tool.definition))
            return await self._read_on(body, msgspec.json.decode(call.arguments), known)
        if tool.server == AGENTS and self._tools.recorded is None and self._children is not None:
            said, label = await self._children.answer(call, known.label)
            return self._shown(body, said, label)
        return await self._outside(call, tool, body)

    async def _outside(self, call: ToolCall, tool: Tool, body: Body) -> Result:
        """Ask a tool of a server."""
        answers, refused, state = await self._said(call)
        asked = ToolAsked(
            tool=tool,
            arguments=msgspec.json.decode(call.arguments),
            key=call.key,
            caller=self._caller,
            run=self._run.id,
            trace=self._run.trace,
            answers=answers,
            refused=refused,
            state=state,
            progress=None if self._progress is None else self._progress(body["id"]),
            client=client_of(self._run),
        )
        # Also of what went wrong the server may have chosen the words.
        recorded = self._tools.recorded
        gives = tool.gives if recorded is None or tool.server != AGENTS else recorded.get(tool.name, tool.gives)
        label = msgspec.structs.replace(gives, source=tool.id)
        left = _TRIES
        while True:
            left -= 1
            try:
                output = await self._ask(asked)
            except ToolNotReached as error:
                return Result(body=mcp_items.failed(body, error.message), label=label)
            except SwitchgearError as error:
                log.warning("tool.lost", tool=tool.id, run=self._run.id, reason=error.message)
                if call.effect == "once":
                    return Result()
                if not left:
                    return Result(body=mcp_items.failed(body, error.message), label=label)
            else:
                if output.wishes:
                    return Result(wishes=output.wishes)
                return self._shown(body, output, output.gives or label)

    async def _said(self, call: ToolCall) -> tuple[dict[str, Json], dict[str, Refusal], str | None]:
        """Give what people have answered of what a call asked for when it was made before, what nobody answered, and what goes back with it."""
        answers: dict[str, Json] = {}
        refused: dict[str, Refusal] = {}
        state = None
        approvals = self._tools.approvals
        under = await approvals.find(self._run.tenant, call.approval) if call.approval else None
        if under is None or under.wish is None:
            return answers, refused, state
        for asked in await approvals.of_run(under.run):
            if asked.call != under.call or asked.wish is None:
                continue
            state = asked.wish.state
            answers |= asked.wish.earlier
            if asked.state in ("denied", "expired"):
                refused[asked.wish.key] = "decline" if asked.state == "denied" else "cancel"
            else:
                reason = next((vote.reason for vote in await approvals.votes(asked.id) if vote.approve), "")
                content, _ = read_answer(asked.wish, reason)
                answers[asked.wish.key] = {RESULT: content} if asked.wish.method else content
        return answers, refused, state

    async def _answered(self, call: ToolCall, body: Body) -> Result:
        """Give what a person has answered to a question of the agent's own."""
        answers, _, _ = await self._said(call)
        content = answers.get(ANSWER)
        if not isinstance(content, dict):
            return Result(body=mcp_items.failed(body, "The answer is not kept any more."))
        return Result(body=mcp_items.completed(body, str(content.get(ANSWER))), label=ASK_HUMAN.tool.gives)

    async def _recalled(self, call: ToolCall, tool: Tool, body: Body, made: Made) -> Result:
        """Read or write in a memory."""
        memory, means = self._tools.memory, self._means
        if memory is None:
            return Result(body=mcp_items.failed(body, "There are no memories here."))
        found = await memory.result(call, tool, self._run, self._caller, made, now=means.clock.wall())
        means.counts.remembered.add((tool.memory, tool.name, "refused" if found.error else "done"))
        if found.error:
            return Result(body=mcp_items.failed(body, found.error), label=found.label)
        return self._shown(body, ToolOutput(text=found.text), found.label)

    async def _hand_over(self, body: Body, agent: str, version: str) -> Body:
        """See whether an agent can take the run over; it does when this is written."""
        run = self._run
        try:
            plan = await self._tools.planner.plan(self._caller, run.model, run.request, version=version, agent=agent)
        except SwitchgearError as error:
            return mcp_items.failed(body, error.message)
        if plan is None or plan.agent != agent:
            return mcp_items.failed(body, f"There is no agent {agent!r} any more.")
        return mcp_items.completed(body, f"The agent {agent!r} is in charge of the conversation from now on.")

    async def _ask(self, asked: ToolAsked) -> ToolOutput:
        try:
            with anyio.fail_after(asked.tool.timeout + _GRACE):
                return await self._tools.hub.call(asked)
        except TimeoutError as error:
            msg = f"The tool did not answer within {asked.tool.timeout:g} seconds."
            raise ToolLost(msg) from error
        except SwitchgearError:
            raise
        except Exception as error:
            log.exception("tool.crashed", tool=asked.tool.id, run=asked.run)
            raise ToolLost("The server met an error of its own.") from error

    def _shown(self, body: Body, output: ToolOutput, label: Label) -> Result:
        """Give the item of a result; one that is too long is kept whole, and its beginning shown."""
        text, most = output.text, self._means.settings.result_bytes
        data = text.encode("utf-8", "replace")
        if not text.isascii():
            text = data.decode()  # half of a character could be written nowhere, and so could the end of the run
        kept: list[tuple[str, bytes]] = []
        if direct := is_direct(self._run):
            # Whoever asked for it is no model: it gets all that there is.
            kept.append((whole_name(body["id"]), whole_of(output)))
        if len(data) > most:
            if not direct:
                kept.append((body["id"], data))
            text = shown(text, most, ref_of(self._run.id, body["id"]))
        item = mcp_items.reported(body, text) if output.is_error else mcp_items.completed(body, text)
        return Result(body=item, label=label, kept=kept)

    async def _read_on(self, body: Body, arguments: Body, known: Known) -> Result:
        """Read on in a result that the run's model, or one that it goes on from, was shown the beginning of."""
        found, offset = read_ref(str(arguments.get("ref"))), int(arguments.get("offset") or 0)
        item = None if found is None else known.items.get(found[1])
        if found is None or item is None or await self._means.runs.find(self._run.tenant, found[0]) is None:
            return Result(body=mcp_items.failed(body, "No result of this conversation has that `ref`.", WRONG))
        read = await self._tools.blobs.read(found[0], found[1], offset=offset, limit=LARGEST_PIECE)
        if read is None:
            return Result(body=mcp_items.failed(body, "The result is not kept any more."))
        piece, size = read
        text, end = piece.decode("utf-8", "ignore"), offset + len(piece)
        more = note(ref_of(*found), end, size) if end < size else ""
        return Result(body=mcp_items.completed(body, text + more), label=label_of(item, known.tools))


def body_of(call: ToolCall) -> Body:
    """Give the item of a call that is being made."""
    return mcp_items.call(call.id, call.server, call.tool, call.arguments, request=call.approval)
