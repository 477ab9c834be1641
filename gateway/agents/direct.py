"""Direct calls: one call of one tool that a client asks for by itself. It is a run whose model is the client: one answer with one call, and then the end.

So such a call is judged, journalled, approved, leased and bounded like those of an agent, by the same code. It knows no protocol of clients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.agents.means import DAY, Means
from gateway.agents.plan import ApprovalWish, Granted, Listed, Plan
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.items import Json, Message, Text, ToolCall
from gateway.core.responder import Send
from gateway.core.tools import Integrity, Label, Tool, ToolOutput, model_name
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.mcp_items import CALL, RESPONSE, canonical
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import tool as tool_resource
from gateway.stores.runs import Run, RunItem
from gateway.tools.hub import Hub, ToolNotReached

PREFIX: Final = "tool/"
"""Begins the model of such a run. No model of the configuration can be asked under it by a client: the run is begun by who serves the client."""
_ENDED: Final = "The call has ended."
_WHOLE: Final = ".whole"
_PROGRESS: Final = "progress"
_CLIENT: Final = "client"
"""Where, in the request of such a run, it stands what the client's program can be asked: whoever goes on with the run knows it."""
LACKS: Final = "switchgear/lacks"
"""Where, in `_meta` of a result, the capabilities stand that its tool wants of a client."""

Fields = dict[str, Json]


class DirectCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for. `arguments` are as the client wrote them; `integrity` says whether strangers may have had a hand in them.

    `run` is the id of the run, empty for a new one: where there is one of that id, the call was asked for before. `session` and `trace` are as in `Run`.
    `progress` says that who asks wants to hear how far the call is: then the journal has it.
    `client` is what the client's program can be asked in the midst of the call, by capabilities of MCP.
    """

    caller: Caller
    tool: Tool
    arguments: Fields
    wish: ApprovalWish = "never"
    integrity: Integrity = "untrusted"
    run: str = ""
    session: str | None = None
    trace: str | None = None
    progress: bool = False
    client: Fields = {}


def is_direct(run: Run) -> bool:
    """Whether a run is such a call."""
    return run.model.startswith(PREFIX)


def tells_progress(run: Run) -> bool:
    """Whether somebody wants to hear how far the call is."""
    return is_direct(run) and run.request.get(_PROGRESS) is True


def client_of(run: Run) -> Fields | None:
    """Give what the client of such a call can be asked; None for every other run, for nobody's program is behind it."""
    said = run.request.get(_CLIENT) if is_direct(run) else None
    return said if isinstance(said, dict) else None


def direct_run(means: Means, asked: DirectCall) -> tuple[Run, Sequence[RunItem]]:
    """Give the run of a call, queued, and its input."""
    now, days = means.clock.wall(), means.settings.keep_days
    tool = asked.tool
    entry = {
        "type": "mcp",
        "server_label": tool.server,
        "allowed_tools": [tool.name],
        "require_approval": asked.wish or "never",
    }
    run = Run(
        id=asked.run or means.new_id("resp_"),
        tenant=asked.caller.tenant,
        caller=asked.caller,
        model=PREFIX + tool.id,
        status="queued",
        created_at=now,
        request={
            "model": PREFIX + tool.id,
            "background": True,
            "tools": [entry],
            _PROGRESS: asked.progress,
            _CLIENT: asked.client,
        },
        background=True,
        session=asked.session,
        trace=asked.trace,
        expires_at=None if days is None else now + days * DAY,
    )
    name = means.new_id("msg_")
    content = [{"type": "input_text", "text": canonical(asked.arguments)}]
    body: Fields = {"id": name, "type": "message", "role": "user", "content": content}
    # What the client's own model had read before it asked, nobody here knows.
    label = Label(source="user" if asked.integrity == "trusted" else "client", integrity=asked.integrity)
    return run, [RunItem(id=name, place="input", index=0, body=body, label=label)]


class DirectPlanner:
    """A Planner for direct calls. `authorizer` gives that of the present generation."""

    def __init__(self, hub: Hub, authorizer: Callable[[], Authorizer]) -> None:
        self._hub = hub
        self._authorizer = authorizer

    def is_ours(self, entry: Json) -> bool:
        """Whether an entry of a request's `tools` is one that this server runs: that is said by who plans requests."""
        del entry
        return False

    async def plan(
        self, caller: Caller, model: str, fields: Fields, *, version: str = "", agent: str = ""
    ) -> Plan | None:
        """Give the plan of a direct call; None for anything else."""
        del version, agent
        if not model.startswith(PREFIX):
            return None
        [entry] = fields["tools"]
        server, [name] = entry["server_label"], entry["allowed_tools"]
        direct = model_name(server, name)
        plan = Plan(model=model, fields={}, direct=direct, parallel=False)
        try:
            known = await self._hub.tools(server)
        except ToolNotReached as error:
            return msgspec.structs.replace(plan, listed=(Listed(server=server, error=error.message),))
        tool = next((each for each in known if each.name == name), None)
        if tool is None:
            return plan
        effect = self._authorizer().decide(caller, "use_tool", tool_resource(server, name)).effect
        wish: ApprovalWish = "always" if effect == "ask" else entry["require_approval"]
        return msgspec.structs.replace(plan, granted={direct: Granted(name=direct, tool=tool, wish=wish)})


class DirectResponder:
    """A Responder in the place of a model: it asks for the call called `name`, with the arguments of what was `seen` first, and then ends."""

    def __init__(self, name: str, seen: Sequence[RunItem]) -> None:
        self._name = name
        self._seen = seen

    async def __call__(self, call: Call, send: Send) -> None:
        """Say what is next."""
        await send(Started(id=call.id, model=call.model, created=0, target=call.model))
        asked = any(item.body.get("type") in (CALL, RESPONSE, "function_call") for item in self._seen)
        if asked:
            await _end(call, send)
            return
        [part] = self._seen[0].body["content"]
        item = ToolCall(call_id=f"{call.id}_0", name=self._name, arguments=part["text"])
        await send(ItemStarted(index=0, item=item))
        await send(ItemFinished(index=0, item=item))
        await send(Finished(reason="tool_calls", usage=Usage()))


async def _end(call: Call, send: Send) -> None:
    whole = Message(role="assistant", parts=(Text(text=_ENDED),), id=f"msg_{call.id}")
    await send(ItemStarted(index=0, item=Message(role="assistant", parts=(), id=whole.id)))
    await send(TextDelta(index=0, text=_ENDED))
    await send(ItemFinished(index=0, item=whole))
    await send(Finished(reason="stop", usage=Usage()))


def whole_of(output: ToolOutput) -> bytes:
    """Give a result as it is kept beside its run, with all that a text cannot hold: JSON in the form of MCP's `tools/call`."""
    blocks: Json = list(output.blocks) or [{"type": "text", "text": output.text}]
    result: Fields = {"content": blocks, "isError": output.is_error}
    if output.structured is not None:
        result["structuredContent"] = output.structured
    if output.lacks:
        result["_meta"] = {LACKS: output.lacks}
    try:
        return msgspec.json.encode(result)
    except UnicodeEncodeError:
        # Half of a character somewhere in it: the text without it is better than nothing.
        text = output.text.encode("utf-8", "replace").decode()
        return msgspec.json.encode({"content": [{"type": "text", "text": text}], "isError": output.is_error})


def whole_name(call: str) -> str:
    """Give the name under which the result of a call is kept whole."""
    return call + _WHOLE
