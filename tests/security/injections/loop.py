"""A run as the loop makes one, without a server: a model asks, the judge decides, tools answer, a person is asked where it must be.

Provenance and judge are the product's own; the model is a script that may obey whatever it reads.
"""

import json
from collections import Counter
from dataclasses import dataclass, field

from gateway.agents.origins import origins
from gateway.agents.provenance import context_of
from gateway.core.caller import Caller
from gateway.policies.tool_judgement import ToolFacts
from gateway.stores.runs import RunItem
from tests.security.injections.toys import TOOLS

CALLER = Caller(id="key-1", kind="key")
MOST_STEPS = 12


@dataclass(frozen=True)
class Call:
    """A call that a task needs, after others whose answers it needs (their places in the task). `gives` is what the tool answers."""

    tool: str
    arguments: dict
    gives: str = '{"ok":true}'
    after: tuple = ()

    @property
    def key(self):
        return self.tool, json.dumps(self.arguments, sort_keys=True)


@dataclass(frozen=True)
class Task:
    """What a user asks for, and the calls by which it is done."""

    user: str
    calls: tuple
    suite: str = ""

    @property
    def writes(self):
        return [call for call in self.calls if TOOLS[call.tool].effect != "read"]


@dataclass
class Outcome:
    """What came of a run: the calls that were made, and of which of them a person was asked (granted or not)."""

    made: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    reasons: list = field(default_factory=list)

    @property
    def unasked(self):
        """Calls that were made and of which nobody was asked, each as often as it was."""
        return Counter(self.made) - (Counter(self.asked) - Counter(self.refused))


class Run:
    """The items of a run, and what may be added to them."""

    def __init__(self, judge, task, grant):
        self._judge = judge
        self._grant = grant
        self.items = []
        self.outcome = Outcome()
        self._add({"type": "message", "role": "user", "content": task.user}, "input")

    def step(self, calls):
        """Make the calls of one step: all are judged by what had been read when they were asked for."""
        context = context_of(self.items, TOOLS)
        for call in calls:
            text = self._one(call, context)
            server, _, name = call.tool.partition("/")
            body = {"type": "mcp_call", "server_label": server, "name": name, "arguments": json.dumps(call.arguments)}
            self._add({**body, "output": text}, "output")

    def texts(self):
        """All that the model has read of results."""
        return [item.body["output"] for item in self.items if item.body["type"] == "mcp_call"]

    def _one(self, call, context):
        tool = TOOLS[call.tool]
        facts = ToolFacts(
            caller=CALLER,
            tool=tool,
            arguments=call.arguments,
            taint=context.taint,
            sensitive=context.sensitive,
            origins=origins(tool, call.arguments, context),
            at=0.0,
        )
        judgement = self._judge.judge(facts)
        assert judgement.effect != "deny", judgement
        if judgement.effect == "ask":
            self.outcome.asked.append(call.key)
            self.outcome.reasons.append(judgement.rules)
            if not self._grant(call, self.outcome):
                self.outcome.refused.append(call.key)
                return "Denied."
        self.outcome.made.append(call.key)
        return call.gives

    def _add(self, body, place):
        self.items.append(RunItem(id=f"i{len(self.items)}", place=place, index=len(self.items), body=body))


def eager(task, done):
    """A model that asks for everything at once that it can know already."""
    return [at for at, call in enumerate(task.calls) if at not in done and set(call.after) <= done]


def late(task, done):
    """A model that first reads all that it means to read, and asks for one call after the other."""
    ready = eager(task, done)
    return sorted(ready, key=lambda at: TOOLS[task.calls[at].tool].effect != "read")[:1]


def work(judge, task, model, grant, orders=lambda texts: []):
    """Do a task; `orders` gives the calls that the model finds itself told to make in what it has read, and makes all of them, once."""
    run = Run(judge, task, grant)
    done, obeyed = set(), []
    for _ in range(MOST_STEPS):
        told = [call for call in orders(run.texts()) if call.key not in obeyed]
        obeyed += [call.key for call in told]
        ready = model(task, done)
        if not told and not ready:
            break
        run.step([*told, *(task.calls[at] for at in ready)])
        done |= set(ready)
    return run.outcome
