"""What tests of cascades and votes share: answers whole, targets that give them, and what was accounted for."""

from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from gateway.config.ensemble_settings import CascadeSettings, JudgeSettings, VoteSettings
from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.content import OutputFormat, Prompt, Tool
from gateway.core.events import (
    CutShort,
    Decided,
    Event,
    Finished,
    FinishReason,
    ItemFinished,
    ItemStarted,
    Spent,
    Started,
    TextDelta,
    Tried,
)
from gateway.core.items import Item, Message, Refusal, Text, ToolCall
from gateway.core.responder import Responder, Send
from gateway.core.usage import Usage
from gateway.routing.ensembles.judging import Judge
from gateway.routing.ensembles.opening import open_ensemble
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import Upstream, World, started

USED = Usage(input=10, output=2)


def question(text: str = "How much is 6 times 7?", *, call: str = "call_1", **prompt: Any) -> Call:
    """A call that asks something."""
    content = Prompt(items=(Message(role="user", parts=(Text(text=text),)),), **prompt)
    return Call(
        id=call, operation="generate", dialect="openai_chat", model="m", stream=True, caller=ANONYMOUS, received=0.0,
        body=b"{" + b" " * 38 + b"}", fields={}, content=content,
    )  # fmt: skip


def says(
    text: str | None = None,
    *items: Item,
    reason: FinishReason = "stop",
    logprob: float | None = None,
    usage: Usage | None = USED,
) -> list[Event]:
    """An answer's events: a text in two pieces, then items whole."""
    events: list[Event] = []
    said: list[Item] = list(items)
    if text is not None:
        marks = None if logprob is None else ({"token": text, "logprob": logprob},)
        message = Message(role="assistant", parts=(Text(text=text, logprobs=marks),))
        events = [
            ItemStarted(index=0, item=Message(role="assistant", parts=())),
            TextDelta(index=0, text=text[:1]),
            TextDelta(index=0, text=text[1:], logprobs=marks),
            ItemFinished(index=0, item=message),
        ]
    for number, item in enumerate(said, len(events) and 1):
        events += [ItemStarted(index=number, item=item), ItemFinished(index=number, item=item)]
    return [*events, Finished(reason=reason, usage=usage)]


def refuses() -> list[Event]:
    """An answer that refuses in words."""
    return says(None, Message(role="assistant", parts=(Refusal(text="I would rather not."),)))


def calls(name: str, arguments: str) -> list[Event]:
    """An answer that calls a tool."""
    return says(None, ToolCall(call_id="c1", name=name, arguments=arguments), reason="tool_calls")


class Waiting:
    """A target that says `before`, and then nothing until it is cancelled; it tells then what it has used."""

    def __init__(self, name: str, before: Sequence[Event] = (), tells: bool = True) -> None:
        self.target = Upstream(name).target
        self.reached = anyio.Event()
        self._before = before
        self._tells = tells
        self.cancelled = False

    async def __call__(self, call: Call, send: Send) -> None:
        try:
            await send(started(self.target.name))
            for event in self._before:
                await send(event)
            self.reached.set()
            await anyio.sleep_forever()
        except BaseException:
            self.cancelled = True
            if self._tells:
                await send(CutShort(usage=Usage(input=7, output=1, estimated=True)))
            raise


def cascade(
    world: World, *targets: Any, asks: Responder | None = None, deadline: float = 600.0, **settings: Any
) -> Responder:
    """A cascade over targets."""
    plan = RoutingPlan(strategy="cascade", cascade=CascadeSettings(**settings), deadline=deadline)
    return _open(world, plan, targets, asks)


def vote(
    world: World,
    *targets: Any,
    asks: Responder | None = None,
    weights: Sequence[float] = (),
    deadline: float = 600.0,
    **settings: Any,
) -> Responder:
    """A vote of targets."""
    plan = RoutingPlan(strategy="vote", vote=VoteSettings(**settings), weights=tuple(weights), deadline=deadline)
    return _open(world, plan, targets, asks)


def _open(world: World, plan: RoutingPlan, targets: Sequence[Any], judge: Responder | None) -> Responder:
    fields = {name: getattr(plan, name) for name in ("strategy", "cascade", "vote", "deadline")}
    routed = world.routed(*targets, weights=plan.weights, **fields)

    def open_judge(settings: JudgeSettings) -> Judge:
        assert judge is not None
        return Judge(settings, judge, "j/judge", lambda: world.chance)

    return open_ensemble(routed, plan, world.timing, open_judge)


class Heard:
    """What a caller heard, sorted out."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def send(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def answer(self) -> Answer:
        builder = AnswerBuilder()
        for event in self.events:
            builder.add(event)
        return builder.answer()

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.of(TextDelta))

    @property
    def target(self) -> str:
        (start,) = self.of(Started)
        return start.target

    @property
    def spent(self) -> list[tuple[str, str, int]]:
        return [(one.target, one.why, one.usage.total) for one in self.of(Spent)]

    @property
    def tried(self) -> list[tuple[str, str, str]]:
        return [(one.target, one.error, one.following) for one in self.of(Tried)]

    @property
    def verdicts(self) -> dict[str, tuple[str, str]]:
        last = self.of(Decided)[-1].decision
        return {one.target: (one.verdict, one.why) for one in last.considered}


async def ask(responder: Responder, call: Call | None = None) -> Heard:
    """Give what a caller hears."""
    heard = Heard()
    await responder(call or question(), heard.send)
    return heard


class JudgeDouble:
    """Stands for a judging model: says what it is told to, and keeps what it was shown."""

    def __init__(self, *said: str | Exception) -> None:
        self.asked: list[Call] = []
        self._said = list(said)

    async def __call__(self, call: Call, send: Send) -> None:
        self.asked.append(call)
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        await send(started("j/judge"))
        if isinstance(said, Exception):
            raise said
        for event in says(said, usage=Usage(input=100, output=5)):
            await send(event)

    @property
    def shown(self) -> str:
        content = self.asked[-1].content
        assert isinstance(content, Prompt)
        return msgspec.json.encode(content).decode()


def schema(properties: dict[str, Any]) -> OutputFormat:
    """A promised form of the answer."""
    return OutputFormat(
        kind="json_schema", schema={"type": "object", "properties": properties, "required": sorted(properties)}
    )


def tools(*given: Tool) -> dict[str, Any]:
    """Tools for a question."""
    return {"tools": given}
