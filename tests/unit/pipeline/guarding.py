"""A model that says what it is told to, and a client that keeps what it heard: for the tests of guardrails."""

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.content import Prompt
from gateway.core.errors import UpstreamBroken
from gateway.core.events import (
    ArgumentsDelta,
    CutShort,
    Finished,
    ItemFinished,
    ItemStarted,
    Started,
    TextDelta,
)
from gateway.core.items import Message, Text, ToolCall
from gateway.core.usage import Usage
from gateway.pipeline.guarded import guarded
from gateway.pipeline.guarded_checks import WordsJudge
from gateway.pipeline.guarded_rail import Guardrail
from gateway.protection.judgements import Judgements
from gateway.protection.words import Words

STARTED = Started(id="1", model="m", created=0, target="up/big")
USAGE = Usage(input=10, output=5)
SECRET = "forbidden fruit"
WORDS = WordsJudge(Words([SECRET]))


def call(text="hello", operation="generate", content=None):
    prompt = Prompt(
        items=(
            Message(role="system", parts=(Text(text=f"never say {SECRET}"),)),
            Message(role="user", parts=(Text(text=text),)),
        )
    )
    return Call(
        id="call_1", operation=operation, dialect="openai_chat", model="m", stream=True, caller=Caller(id="k", tenant="acme"),
        received=0.0, body=b"x" * 40, fields={}, content=content or prompt,
    )  # fmt: skip


class Says:
    """A responder that says a text in pieces, tells what it had used when it is stopped, and keeps how far it got."""

    def __init__(self, *pieces, item=None, gate=None):
        self.pieces = pieces
        self.item = item
        self.gate = gate
        self.calls = []
        self.sent = 0

    async def __call__(self, call, send):
        self.calls.append(call)
        await send(STARTED)
        try:
            await self.answer(send)
        except BaseException:
            await send(CutShort(usage=USAGE))
            raise

    async def answer(self, send):
        if self.item is not None:
            await send(ItemStarted(index=0, item=ToolCall(call_id="c", name="f", arguments="")))
            for piece in self.item.arguments:
                await send(ArgumentsDelta(index=0, text=piece))
            await send(ItemFinished(index=0, item=self.item))
        else:
            await send(ItemStarted(index=0, item=Message(role="assistant", parts=())))
            for piece in self.pieces:
                await send(TextDelta(index=0, text=piece))
                self.sent += 1
            if self.gate is not None:
                await self.gate.wait()
            await send(ItemFinished(index=0, item=Message(role="assistant", parts=(Text(text="".join(self.pieces)),))))
        await send(Finished(usage=USAGE))


class Client:
    """Takes an answer, and says how it can be read by one who streams and by one who does not."""

    def __init__(self):
        self.events = []
        self.judgements = Judgements()

    async def __call__(self, event):
        self.events.append(event)

    async def ask(self, inner, *rails, asked=None):
        await guarded(inner, rails, self.judgements)(asked or call(), self)
        return self

    @property
    def streamed(self):
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def document(self):
        items = [event.item for event in self.events if isinstance(event, ItemFinished)]
        return "".join(part.text for item in items if isinstance(item, Message) for part in item.parts)

    @property
    def finished(self):
        (finished,) = [event for event in self.events if isinstance(event, Finished)]
        assert self.events[-1] is finished
        return finished

    @property
    def verdicts(self):
        return [(name, verdict) for name, verdict, _, _ in self.judgements.take("call_1").guards]


def rail(judge=WORDS, **fields):
    return Guardrail(name="g", judge=judge, **fields)


def output(judge=WORDS, **fields):
    return rail(judge, when="output", **fields)


def failing(error=None):
    async def judge(texts, call):
        raise error or UpstreamBroken("no")

    return judge
