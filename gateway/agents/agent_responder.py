"""An agent as what answers calls of any dialect: each is a run of its own, whose answer is given as events.

The calls of tools that the server runs are not shown: those dialects have no word for them. Where the run waits for a person, the answer says so
in words, with the ids by which it can be found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from anyio.abc import TaskGroup

from gateway.agents.agent_planning import OF_THE_DEFINITION
from gateway.agents.desk import Draft, RunDesk, not_kept
from gateway.agents.shown import Shown
from gateway.core.call import Call
from gateway.core.content import Operation, Prompt
from gateway.core.errors import InternalError, InvalidRequest, Unavailable
from gateway.core.events import Started
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.providers.provider import Health
from gateway.stores.runs import RunEvent

PROVIDER: Final = "agent"
"""What stands for the provider in the names of targets."""
RUN_HEADER: Final = b"x-switchgear-run"

FindDesk = Callable[[], RunDesk | None]
"""Gives what begins runs; None where the server does not keep any."""
NoteRun = Callable[[str, str], None]
"""Takes the id of a call and that of its run."""


class AgentProvider:
    """A Provider of agents. It owns no connection: what an agent needs goes through the models and tools of the server."""

    name = PROVIDER

    def __init__(self, find_desk: FindDesk, note: NoteRun) -> None:
        self._find_desk = find_desk
        self._note = note

    def responder(self, target: Target) -> Responder:
        """Give what answers as one agent."""
        return AgentResponder(target, self._find_desk, self._note)

    def relays(self, dialect: str) -> bool:
        """Nothing goes out as it came."""
        del dialect
        return False

    def serves(self, operation: Operation) -> bool:
        """Agents answer; they embed and judge nothing."""
        return operation == "generate"

    def health(self, model: str) -> Health:
        """An agent is as well as the models that it thinks with, which say it themselves."""
        del model
        return Health()

    async def start(self, tasks: TaskGroup) -> None:
        """There is nothing to start."""

    async def aclose(self) -> None:
        """There is nothing to close."""


class AgentResponder:
    """A Responder: one agent."""

    def __init__(self, target: Target, find_desk: FindDesk, note: NoteRun) -> None:
        self._target = target
        self._find_desk = find_desk
        self._note = note

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer by a run. Raises what keeps it from beginning, and what it failed with."""
        desk = self._find_desk()
        if desk is None:
            msg = "Agents work in runs, and this server keeps none: its administrator has to configure `runs`."
            raise Unavailable(msg)
        if call.run:
            msg = f"A run asked for the agent {self._target.model!r} as if it were a model."
            raise InternalError(msg)
        if call.dialect == OPENAI_RESPONSES.name:
            # Those that are to be kept go to the desk themselves.
            raise not_kept()
        if not isinstance(call.content, Prompt):
            msg = f"The agent {self._target.model!r} answers conversations, and does nothing else."
            raise InvalidRequest(msg, param="model")
        encoded = OPENAI_RESPONSES.encode_call(call.content, model=self._target.name, stream=True, drop=False)
        draft = Draft(
            caller=call.caller,
            model=call.model,
            # Its calls of tools have to be known when the process is gone: whatever was said of keeping it holds for answers alone.
            fields={**encoded.body, "store": True},
            received=call.received,
            session=call.session,
            trace=call.trace,
            headers=call.headers,
        )
        unheard = (*encoded.dropped, *(name for name in OF_THE_DEFINITION if encoded.body.get(name) is not None))
        telling = _Telling(call, self._target, send, self._note, unheard)
        run = await desk.answer(draft, telling.take, telling)
        if not telling.shown.ended:
            raise InternalError(f"The run {run.id} of the agent came to no end.")


class _Telling:
    """Gives a run's events to who called. It is the Ear of the run, too."""

    def __init__(self, call: Call, target: Target, send: Send, note: NoteRun, unheard: tuple[str, ...]) -> None:
        self.shown = Shown()
        self._unheard = unheard
        self._call = call
        self._target = target
        self._send = send
        self._note = note

    def asking(self) -> None:
        """Its model is asked: that call has a record of its own."""

    def started(self, started: Started) -> None:
        """Whoever answers inside, to the client it is the agent."""

    async def take(self, event: RunEvent) -> None:
        """Give what the client can be told of an event."""
        for one in self.shown.take(event):
            await self._send(self._begun(one) if isinstance(one, Started) else one)

    def _begun(self, started: Started) -> Started:
        self._note(self._call.id, started.id)
        headers = (*started.headers, (RUN_HEADER, started.id.encode()))
        return msgspec.structs.replace(
            started, model=self._call.model, target=self._target.name, headers=headers, dropped=self._unheard
        )
