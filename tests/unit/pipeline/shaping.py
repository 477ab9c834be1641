"""A target that gives prepared answers, and what asks it through the stage that holds answers to a form."""

import msgspec

from gateway.config.structured_settings import StructuredSettings
from gateway.core.answer import Answer, AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.events import ArgumentsDelta, CutShort, Finished, Started, TextDelta
from gateway.core.items import Message, Text, ToolCall
from gateway.core.target import Target, Timeouts
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.pipeline.shaped import Shaped
from gateway.pipeline.shaped_judging import judging_means
from gateway.pipeline.shaped_ladder import Rungs
from gateway.schemas.worker import Judging

USAGE = Usage(input=5, output=7)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
GOOD = '{"city": "Paris", "people": 2100000}'
BAD = '{"city": "Paris", "people": "many"}'
DIALECTS = {one.name: one for one in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES)}
STRICT = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA, "strict": True}}]


def said(*texts):
    return Message(role="assistant", parts=tuple(Text(text=text) for text in texts))


def called(arguments, name="look_up"):
    return ToolCall(call_id="c1", name=name, arguments=arguments)


def answer(*items, reason=None, **finished):
    items = [said(item) if isinstance(item, str) else item for item in items]
    reason = reason or ("tool_calls" if any(isinstance(item, ToolCall) for item in items) else "stop")
    started = Started(id="1", model="m", created=0, target="up/m")
    return Answer(started=started, items=tuple(items), finished=Finished(reason=reason, usage=USAGE, **finished))


class Inner:
    """A target that gives these answers in turn, at last always the same, in pieces of `size` characters."""

    def __init__(self, *answers, size=4):
        self.asked = []
        self._answers = list(answers)
        self._size = size

    async def __call__(self, call, send):
        self.asked.append(call)
        told = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(told, Exception):
            raise told
        try:
            for event in replay(told):
                if call.stream and isinstance(event, (TextDelta, ArgumentsDelta)):
                    for at in range(0, len(event.text), self._size):
                        await send(msgspec.structs.replace(event, text=event.text[at : at + self._size]))
                else:
                    await send(event)
        except BaseException:
            await send(CutShort(usage=Usage(input=1)))
            raise


def call(*, stream=False, dialect=OPENAI_CHAT, **fields):
    if dialect is OPENAI_RESPONSES:
        fields = {"model": "m", "input": "hi", **fields}
    else:
        fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, **fields}
    return Call(
        id="call_1", operation="generate", dialect=dialect.name, model="m", stream=stream, caller=ANONYMOUS, received=0.0, body=b"{}",
        fields=fields, content=dialect.decode_call(fields),
    )  # fmt: skip


def target(**about):
    return Target(provider="up", model="m", **{"shapes": True, "timeouts": Timeouts(total=60.0), **about})


class Caller:
    """Takes what comes; `events` as they came, `answer` folded."""

    def __init__(self):
        self.events = []
        self._builder = AnswerBuilder()

    async def __call__(self, event):
        self.events.append(event)
        self._builder.add(event)

    @property
    def answer(self):
        return self._builder.answer()

    @property
    def text(self):
        """All text that came in pieces."""
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


async def ask(inner, asked, *, own="native", lost=(), tools=True, caller=None, now=lambda: 0.0, about=None, **settings):
    """Ask through the stage, and give the caller."""
    caller = caller or Caller()
    rungs = Rungs(target=target(**(about or {})), own=own, loses=lambda call: lost, tools=tools)
    await Shaped(inner, rungs, StructuredSettings(**settings), judging_means(Judging(), now))(asked, caller)
    return caller
