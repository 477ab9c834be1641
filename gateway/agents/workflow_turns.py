"""What a workflow goes by, read from the items of its run and of those that it goes on from. Pure.

Only calls that this server has written count as answers: what a client says that an agent answered could leave out a step. A turn begins with what the
user says. Answers of people belong to the turn in which they were asked, whatever a client says beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from gateway.agents.builtin_tools import without_note
from gateway.agents.workflows import Answered, Turn
from gateway.config.agent_settings import AGENTS
from gateway.core.items import Json
from gateway.core.tools import model_name
from gateway.dialects.openai_responses.mcp_items import CALL, REFUSED, REQUEST, RESPONSE, said_to_model
from gateway.stores.runs import RunItem

_FUNCTION: Final = model_name(AGENTS, "")
"""Begins the name under which a call is written whose agent is not there."""

Body = dict[str, Json]


def turn_of(seen: Sequence[RunItem]) -> Turn:
    """Give the turn that is to be gone on with."""
    reading = _Reading()
    for ours, items in groupby(seen, key=_is_ours):
        bodies = [item.body for item in items]
        if ours:
            for body in bodies:
                reading.take(body)
        else:
            reading.be_told(bodies)
    return Turn(
        input="\n\n".join(reading.input),
        conversation="\n\n".join(reading.before),
        answers=tuple(reading.answers),
    )


class _Reading:
    """On its way through the items. `before` and `said` are lines of earlier turns and of this one."""

    def __init__(self) -> None:
        self.input: list[str] = []
        self.before: list[str] = []
        self.answers: list[Answered] = []
        self._said: list[str] = []
        self._asked: dict[str, Body] = {}
        self._began = False

    def take(self, body: Body) -> None:
        """Take what this server has written."""
        kind = body.get("type")
        if kind == "message":
            self._say("assistant", body)
        elif kind == REQUEST:
            self._asked[str(body.get("id"))] = body
        elif kind == CALL and (agent := _agent_of(body)):
            self._began = True
            if body.get("status") != "incomplete":
                # One that is incomplete waits for people, and is written again when they have answered.
                text, failed = without_note(said_to_model(body)), body.get("error") is not None
                self._answer(agent, body, text, failed=failed, edited=bool(body.get("approval_request_id")))

    def be_told(self, bodies: Sequence[Body]) -> None:
        """Take what a client has said at once."""
        answers = [body for body in bodies if body.get("type") == RESPONSE]
        for body in answers:
            self._refuse(body)
        for body in bodies:
            if body.get("type", "message") != "message":
                continue
            if body.get("role") == "user" and not answers:
                self._begin(body)
            elif body.get("role") in ("user", "assistant"):
                self._say(str(body["role"]), body)

    def _begin(self, body: Body) -> None:
        """Take what a user says: it begins a turn, or is more of what has begun it."""
        if self._began:
            self.before += [*(f"user: {text}" for text in self.input), *self._said]
            self.input, self.answers, self._said, self._asked, self._began = [], [], [], {}, False
        self.input.append(text_of(body))

    def _say(self, who: str, body: Body) -> None:
        self._began = True
        self._said.append(f"{who}: {text_of(body)}")

    def _refuse(self, body: Body) -> None:
        """Take a person's refusal of a call; where he has agreed, the call is made."""
        asked = self._asked.pop(str(body.get("approval_request_id")), {})
        agent, reason = _agent_of(asked), body.get("reason")
        if agent and body.get("approve") is False:
            text = f"{REFUSED} The reason given: {reason}" if reason else REFUSED
            self._answer(agent, asked, text, failed=True)

    def _answer(self, agent: str, body: Body, text: str, *, failed: bool, edited: bool = False) -> None:
        given = _input_of(body)
        self.answers.append(Answered(agent=agent, input=given, text=text, failed=failed, edited=edited))


def _is_ours(item: RunItem) -> bool:
    """Whether this server has written it. In a conversation, only what it has written is labelled; the input of a call of an agent is, too."""
    if item.body.get("role") == "user":
        return False
    return item.place == "output" or item.label is not None


def _agent_of(body: Body) -> str:
    """Give the agent that a call is one of, empty for any other tool."""
    server, name = body.get("server_label"), str(body.get("name") or "")
    if server == AGENTS:
        return name
    return name.removeprefix(_FUNCTION) if not server and name.startswith(_FUNCTION) else ""


def _input_of(body: Body) -> str:
    try:
        found = msgspec.json.decode(str(body.get("arguments")))
    except msgspec.DecodeError:
        return ""
    given = found.get("input") if isinstance(found, dict) else None
    return given if isinstance(given, str) else ""


def text_of(body: Body) -> str:
    """Give the text of a message; what is none is left out."""
    content = body.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
