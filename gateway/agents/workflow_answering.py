"""A workflow in the place of a model: it answers with calls of agents, or with the last words. It asks nobody itself.

To a run it is a model whose answers can be foretold; so its calls are judged, journalled, approved and bounded like those of any model.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.agents.workflow_turns import turn_of
from gateway.agents.workflows import Asked, Calls, Failed, decide
from gateway.config.agent_settings import AGENTS
from gateway.config.workflow_settings import WorkflowStep
from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, SwitchgearError
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.items import Message, Text, ToolCall
from gateway.core.responder import Send
from gateway.core.tools import model_name
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.mcp_items import canonical
from gateway.stores.runs import RunItem


class WorkflowFailed(SwitchgearError):
    """A step of a workflow came to nothing, and it cannot go on without it."""

    status = 422
    code = "workflow_failed"


class WorkflowResponder:
    """A Responder: one answer of a workflow, after the items that were `seen`."""

    def __init__(self, workflow: WorkflowStep, seen: Sequence[RunItem]) -> None:
        self._workflow = workflow
        self._seen = seen

    async def __call__(self, call: Call, send: Send) -> None:
        """Say what is next. Raises WorkflowFailed, and InvalidRequest where the user has said nothing."""
        turn = turn_of(self._seen)
        if not turn.input:
            msg = "A workflow begins with a text of the user, and there is none."
            raise InvalidRequest(msg, param="input")
        following = decide(self._workflow, turn)
        if isinstance(following, Failed):
            raise WorkflowFailed(following.why)
        await send(Started(id=call.id, model=call.model, created=0, target=call.model))
        if isinstance(following, Calls):
            await _ask(call, following.asked, send)
        else:
            await _say(call, following.text, send)


async def _ask(call: Call, asked: Sequence[Asked], send: Send) -> None:
    for index, each in enumerate(asked):
        item = ToolCall(
            call_id=f"{call.id}_{index}",
            name=model_name(AGENTS, each.agent),
            arguments=canonical({"input": each.input}),
        )
        await send(ItemStarted(index=index, item=item))
        await send(ItemFinished(index=index, item=item))
    await send(Finished(reason="tool_calls", usage=Usage()))


async def _say(call: Call, text: str, send: Send) -> None:
    whole = Message(role="assistant", parts=(Text(text=text),), id=f"msg_{call.id}")
    await send(ItemStarted(index=0, item=Message(role="assistant", parts=(), id=whole.id)))
    await send(TextDelta(index=0, text=text))
    await send(ItemFinished(index=0, item=whole))
    await send(Finished(reason="stop", usage=Usage()))
