"""Names that a model found leave as placeholders, not at all, or never; and come back into the answer, however it is cut."""

import msgspec
import pytest

from gateway.config.names_settings import NamesSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import ContentBlocked, Unavailable
from gateway.core.events import ArgumentsDelta, Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.items import Message, Text, ToolCall
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.pipeline.named import Names
from gateway.pipeline.redacted import Redacted, RedactionRule
from gateway.protection.finding import NAMES
from gateway.protection.judgements import Judgements
from gateway.protection.matching import Match

pytestmark = pytest.mark.embedded

STARTED = Started(id="1", model="m", created=0, target="up/big")
SAID = "Please write to Maria Gonzalez, who lives in Hamburg."
HIDDEN = "Please write to ⟦PERSON_1⟧, who lives in ⟦PLACE_1⟧."


@pytest.fixture(scope="module")
def names():
    return Names(NamesSettings())


def rule(action="placeholder", kinds=NAMES, **match):
    return RedactionRule(name="r", match=Match(**match), actions=dict.fromkeys(kinds, action))


def chat(*texts, tenant="default", **fields):
    body = {"model": "m", "messages": [{"role": "user", "content": text} for text in texts], **fields}
    return Call(
        id="call_1", operation="generate", dialect="openai_chat", model="m", stream=True,
        caller=Caller(id="k", tenant=tenant), received=0.0, body=msgspec.json.encode(body), fields=body,
        content=OPENAI_CHAT.decode_call(body),
    )  # fmt: skip


class Upstream:
    """Keeps what it was sent, and repeats the last message in pieces of `size` characters, as text and to a tool."""

    def __init__(self, size=1):
        self._size = size
        self.calls = []

    async def __call__(self, call, send):
        self.calls.append(call)
        text = call.content.items[-1].parts[0].text
        arguments = msgspec.json.encode({"to": text}).decode()
        await send(STARTED)
        await send(ItemStarted(index=0, item=Message(role="assistant", parts=())))
        for start in range(0, len(text), self._size):
            await send(TextDelta(index=0, text=text[start : start + self._size]))
        await send(ItemFinished(index=0, item=Message(role="assistant", parts=(Text(text=text),))))
        await send(ItemStarted(index=1, item=ToolCall(call_id="c", name="mail", arguments="")))
        for start in range(0, len(arguments), self._size):
            await send(ArgumentsDelta(index=1, text=arguments[start : start + self._size]))
        await send(ItemFinished(index=1, item=ToolCall(call_id="c", name="mail", arguments=arguments)))
        await send(Finished())

    @property
    def seen(self):
        return repr([(call.content, call.fields, call.body) for call in self.calls])


async def ask(call, upstream, *rules, names, judgements=None):
    sent = []

    async def send(event):
        sent.append(event)

    await Redacted(upstream, rules, judgements or Judgements(), names)(call, send)
    return sent


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_names_leave_as_placeholders_and_come_back_however_the_answer_is_cut(names, size):
    upstream = Upstream(size)
    sent = await ask(chat(SAID), upstream, rule(), names=names)

    assert upstream.calls[0].content.items[0].parts[0].text == HIDDEN
    assert "Gonzalez" not in upstream.seen
    assert "".join(event.text for event in sent if isinstance(event, TextDelta)) == SAID
    arguments = "".join(event.text for event in sent if isinstance(event, ArgumentsDelta))
    assert msgspec.json.decode(arguments) == {"to": SAID}
    assert [event.item for event in sent if isinstance(event, ItemFinished)] == [
        Message(role="assistant", parts=(Text(text=SAID),)),
        ToolCall(call_id="c", name="mail", arguments=arguments),
    ]


async def test_a_name_is_the_same_one_in_all_that_a_call_says(names):
    upstream = Upstream()
    await ask(
        chat(SAID, "ok", "Maria Gonzalez:", user="Maria Gonzalez", metadata={"of": "Maria Gonzalez"}),
        upstream,
        rule(),
        names=names,
    )

    (call,) = upstream.calls
    assert [item.parts[0].text for item in call.content.items] == [HIDDEN, "ok", "⟦PERSON_1⟧:"]
    assert (call.fields["user"], call.fields["metadata"]) == ("⟦PERSON_1⟧", {"of": "⟦PERSON_1⟧"})
    assert "Gonzalez" not in upstream.seen


async def test_names_and_what_detectors_find_have_their_own_actions(names):
    upstream, judgements = Upstream(), Judgements()
    both = RedactionRule(
        name="r", match=Match(), actions={"person": "redact", "place": "report", "email": "placeholder"}
    )
    await ask(chat(f"{SAID} Or to maria@example.com."), upstream, both, names=names, judgements=judgements)

    text = upstream.calls[0].content.items[0].parts[0].text
    assert text == "Please write to [PERSON], who lives in Hamburg. Or to ⟦EMAIL_1⟧."
    assert dict(judgements.take("call_1").found) == {"person": 1, "place": 1, "email": 1}


async def test_names_that_may_not_leave_refuse_the_call_and_the_place_is_told(names):
    upstream = Upstream()
    with pytest.raises(ContentBlocked, match="person") as refused:
        await ask(chat("hello", SAID), upstream, rule("block", ["person"]), names=names)

    assert refused.value.param == "messages[1].content"
    assert "Maria" not in refused.value.message
    assert upstream.calls == []


async def test_only_calls_that_a_rule_of_names_matches_pay_for_the_model(names):
    class Unasked:
        async def find(self, texts):
            raise AssertionError(texts)

    call, upstream = chat(SAID), Upstream()
    await ask(call, upstream, rule(tenants=("clinic",)), rule(kinds=["email"]), names=Unasked())

    assert upstream.calls == [call]


async def test_where_names_cannot_be_looked_for_nothing_leaves_or_what_detectors_leave_over(tmp_path):
    settings = NamesSettings(timeout=0.001)
    upstream = Upstream()
    with pytest.raises(Unavailable):
        await ask(chat(SAID), upstream, rule(), names=Names(settings))

    assert upstream.calls == []
    opened = Names(msgspec.structs.replace(settings, fails="open"))
    await ask(chat(f"{SAID} a@example.com"), upstream, rule(), rule(kinds=["email"]), names=opened)
    assert upstream.calls[0].content.items[0].parts[0].text == f"{SAID} ⟦EMAIL_1⟧"
