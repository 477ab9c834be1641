"""Doing a run once more with what was recorded of it: its model is asked, its policies decide, and no tool is called for real, whatever it is.

Nobody is asked either: where people were asked, they say what they said then.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from gateway.agents.builtin_tools import READ_RESULT
from gateway.agents.deciding import Decided, Deciding
from gateway.agents.desk import no_response
from gateway.agents.means import Means, ToolMeans
from gateway.agents.plan import Plan
from gateway.agents.provenance import Context
from gateway.agents.recording import Recording, ReplayStopped
from gateway.agents.story import read_story
from gateway.agents.tool_asking import Known, Result, ToolAsking, body_of
from gateway.agents.toolbox import Toolbox
from gateway.agents.writing import Page, Writing
from gateway.core.caller import Caller
from gateway.core.errors import NotFound
from gateway.core.items import ToolCall as Wanted
from gateway.core.tools import Tool, ToolOutput
from gateway.dialects.openai_responses.mcp_items import REFUSED
from gateway.stores.runs import Lineage, Run, Spent
from gateway.stores.tool_calls import ToolCall
from gateway.tools.hub import Hub, ServerInfo, ToolAsked, ToolNotReached


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is done once more with. `caller` is who asked for it then: about his calls the policies decide."""

    caller: Caller
    tools: ToolMeans
    recording: Recording


def is_replay(run: Run) -> bool:
    """Whether a run is one."""
    return run.lineage is not None and run.lineage.kind == "replay"


async def replay_of(means: Means, tools: ToolMeans, run: Run) -> Replay | None:
    """Give what a replay is done with; None for any other run. Raises NotFound where what it replays is gone, and InvalidRequest for its policies."""
    if run.lineage is None or run.lineage.kind != "replay":
        return None
    original = await means.runs.find(run.tenant, run.lineage.run)
    if original is None:
        raise no_response(run.lineage.run)
    return await replay_with(means, tools, original, run.lineage)


async def replay_with(means: Means, tools: ToolMeans, original: Run, lineage: Lineage) -> Replay:
    """Give what a run is done once more with. Raises InvalidRequest for policies that are at fault."""
    recording = Recording(await read_story(means, tools, original), loose=lineage.loose)
    hub, candidates = RecordedHub(tools.hub, recording), tools.candidates
    judge = tools.judge if candidates is None or not lineage.policies else candidates.judge(lineage.policies)
    planner = tools.planner if candidates is None else candidates.planner(hub)
    over = msgspec.structs.replace(tools, hub=hub, judge=judge, planner=planner)
    return Replay(caller=original.caller, tools=over, recording=recording)


class RecordedHub:
    """A Hub that calls nothing. A tool that is there is described as it is now, any other as it was shown."""

    def __init__(self, hub: Hub, recording: Recording) -> None:
        self._hub = hub
        self._recording = recording

    def servers(self) -> Sequence[ServerInfo]:
        """Give those that there are."""
        return self._hub.servers()

    def server(self, name: str) -> ServerInfo | None:
        """Give one, perhaps from the recording."""
        found = self._hub.server(name)
        shown = () if found is not None else self._recording.tools(name)
        return ServerInfo(name=name, kind="stdio", state="down", tools=shown) if shown else found

    async def tools(self, server: str) -> Sequence[Tool]:
        """Give the tools of a server. Raises NotFound and ToolNotReached where nothing was recorded either."""
        try:
            return await self._hub.tools(server)
        except (NotFound, ToolNotReached):
            if shown := self._recording.tools(server):
                return shown
            raise

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Refuse: whoever comes here has passed the recording by."""
        msg = f"a replay called the tool {asked.tool.id}"
        raise RuntimeError(msg)


class ReplayToolbox(Toolbox):
    """The toolbox of a replay: what it gives is what was recorded."""

    def __init__(self, means: Means, replay: Replay, writing: Writing, plan: Plan) -> None:
        super().__init__(means, replay.tools, writing, plan, replay.caller, _begins_nothing)
        self._deciding = _AsThen(means, replay, writing, plan)
        self._asking = _Recorded(means, replay, writing)

    @property
    def begun(self) -> AbstractSet[str]:
        """All of them: nothing is done, so nothing is done twice."""
        return frozenset(self._writing.calls)

    async def question(self, calls: Sequence[ToolCall]) -> Page:
        """End here: nobody is asked, and nobody answered this then."""
        raise _stopped(calls[0], "People are asked about the call of", "and nobody had answered that")


class _AsThen(Deciding):
    """Decides by the policies, and has people say what they said."""

    def __init__(self, means: Means, replay: Replay, writing: Writing, plan: Plan) -> None:
        super().__init__(means, replay.tools, writing.run, plan, replay.caller)
        self._recording = replay.recording
        self._writing = writing

    async def decide(self, wanted: Sequence[Wanted], step: int, seen: Context, spent: Spent) -> Sequence[Decided]:
        """Decide about the calls of one answer; none waits for people who had answered, or had not to be asked then."""
        decided = await super().decide(wanted, step, seen, spent)
        calls = (*self._writing.calls.values(), *(each.call for each in decided))
        return [self._answered(each, calls) for each in decided]

    def _answered(self, each: Decided, calls: Sequence[ToolCall]) -> Decided:
        call = each.call
        told = self._recording.find(call, calls) if call.state == "awaiting_approval" else None
        if told is None:
            return each
        if told.answer == "denied":
            why = f"{REFUSED} The reason given: {told.reason}" if told.reason else REFUSED
            ended = msgspec.structs.replace(
                call, state="failed", approval="", error=why, ended_at=self._means.clock.wall()
            )
            return msgspec.structs.replace(each, call=ended)
        if not told.made:
            return each
        return msgspec.structs.replace(each, call=msgspec.structs.replace(call, state="planned", approval=""))


class _Recorded(ToolAsking):
    """Gives what tools gave."""

    def __init__(self, means: Means, replay: Replay, writing: Writing) -> None:
        super().__init__(means, replay.tools, writing.run, replay.caller)
        self._recording = replay.recording
        self._writing = writing

    async def result(self, call: ToolCall, tool: Tool, known: Known) -> Result:
        """Give the recorded result of a call. Raises ReplayStopped where there is none."""
        told = self._recording.find(call, self._writing.calls.values())
        if told is not None and told.made and told.body is not None:
            given = {name: told.body.get(name) for name in ("status", "output", "error")}
            label = told.label or msgspec.structs.replace(tool.gives, source=tool.id)
            return Result(body={**body_of(call), **given}, label=label)
        if tool.id == READ_RESULT.tool.id:
            # What is long is kept: it can be read on in at another place than it was then.
            items = {**self._recording.items, **known.items}
            return await self._read_on(body_of(call), msgspec.json.decode(call.arguments), Known(items=items))
        raise _stopped(call, "There is no recorded result of", "with these arguments")


def _begins_nothing(run: Run, plan: Plan | None) -> None:
    """Refuse: what agents have said is in the recording."""
    del plan
    msg = f"a replay began the run {run.id}"
    raise RuntimeError(msg)


def _stopped(call: ToolCall, what: str, more: str) -> ReplayStopped:
    return ReplayStopped(f"{what} {call.server}/{call.tool} {more}: {call.arguments[:1000]}")
