"""What leaves is what may leave, and the caller gets his own values back: per tenant, per target, streaming or not."""

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.content import EmbeddingInput, FunctionTool, Prompt
from gateway.core.errors import ContentBlocked, UpstreamUnreachable
from gateway.core.events import (
    ArgumentsDelta,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    Started,
    TextDelta,
    Tried,
    Verbatim,
)
from gateway.core.items import Document, Foreign, Image, Message, Reasoning, Text, ToolCall, ToolResult
from gateway.core.target import Target
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.sse import SseParser
from gateway.pipeline.redacted import Redacted, RedactionRule
from gateway.protection.finding import KINDS
from gateway.protection.judgements import Judgements
from gateway.protection.matching import Match
from gateway.routing.opening import open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import World

STARTED = Started(id="1", model="m", created=0, target="up/big")
CANARY = "canary.jane@example.com"
CARD = "4111 1111 1111 1111"
EVERYTHING = dict.fromkeys(KINDS, "placeholder")


def rule(actions=EVERYTHING, attachments=True, **match):
    return RedactionRule(name="r", match=Match(**match), actions=actions, attachments=attachments)


def chat(*messages, tenant="default", stream=False, **fields):
    body = {"model": "m", "messages": list(messages), **fields}
    return Call(
        id="call_1", operation="generate", dialect="openai_chat", model="m", stream=stream,
        caller=Caller(id="k", tenant=tenant), received=0.0, body=msgspec.json.encode(body), fields=body,
        content=OPENAI_CHAT.decode_call(body),
    )  # fmt: skip


def says(text):
    return {"role": "user", "content": text}


class Upstream:
    """A responder that keeps what it was sent, and says what it is told to say about it."""

    def __init__(self, answer=lambda call: (), error=None):
        self._answer = answer
        self._error = error
        self.calls = []

    async def __call__(self, call, send):
        self.calls.append(call)
        if self._error is not None:
            raise self._error
        await send(STARTED)
        for event in self._answer(call):
            await send(event)
        await send(Finished())

    @property
    def seen(self):
        return repr([(call.content, call.fields, call.body) for call in self.calls])


async def ask(call, upstream, *rules, judgements=None):
    sent = []

    async def send(event):
        sent.append(event)

    await Redacted(upstream, rules, judgements or Judgements())(call, send)
    return sent


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def message(text, pieces=None):
    whole = Message(role="assistant", parts=(Text(text=text),))
    yield ItemStarted(index=0, item=Message(role="assistant", parts=()))
    for piece in pieces or [text]:
        yield TextDelta(index=0, text=piece)
    yield ItemFinished(index=0, item=whole)


def echo(call):
    return message(call.content.items[-1].parts[0].text)


async def test_a_hosted_model_sees_placeholders_and_the_caller_his_values():
    upstream = Upstream(echo)
    sent = await ask(chat(says(f"mail {CANARY}, pay {CARD}")), upstream, rule())

    assert upstream.calls[0].content.items[0].parts[0].text == "mail ⟦EMAIL_1⟧, pay ⟦CARD_1⟧"
    assert CANARY not in upstream.seen
    assert text_of(sent) == f"mail {CANARY}, pay {CARD}"
    assert sent[-2].item.parts[0].text == f"mail {CANARY}, pay {CARD}"


async def test_the_body_that_could_go_out_as_it_came_is_clean_too():
    upstream = Upstream(echo)
    await ask(chat(says(CANARY), user=CANARY, metadata={"by": CANARY}), upstream, rule())

    assert CANARY.encode() not in upstream.calls[0].body
    assert upstream.calls[0].opened


async def test_where_nothing_is_found_the_call_is_the_same_one_and_bytes_may_come_back():
    call = chat(says("nothing to see"))
    upstream = Upstream(lambda _: (Verbatim(b"{}"),))
    sent = await ask(call, upstream, rule())

    assert upstream.calls[0] is call
    assert Verbatim(b"{}") in sent


async def test_what_is_taken_out_for_good_goes_out_in_the_clients_own_dialect():
    upstream = Upstream(lambda _: (Verbatim(b"{}"),))
    await ask(chat(says(CANARY)), upstream, rule({"email": "redact"}))

    (call,) = upstream.calls
    assert (call.dialect, call.fields["messages"]) == ("openai_chat", [says("[EMAIL]")])
    assert msgspec.json.decode(call.body) == call.fields


async def test_everything_that_is_said_is_looked_at():
    items = (
        Message(role="system", parts=(Text(text=f"s {CANARY}"),)),
        Message(
            role="user",
            parts=(Text(text=CANARY), Document(text=f"d {CANARY}"), Foreign(dialect="x", raw={"deep": [CANARY]})),
        ),
        Reasoning(text=f"r {CANARY}", signature="sig"),
        ToolCall(call_id="c", name="mail", arguments=f'{{"to":"{CANARY}"}}'),
        ToolResult(call_id="c", parts=(Text(text=f'{{"found":["{CANARY}"]}}'),)),
        Foreign(dialect="x", raw={"query": CANARY}),
    )
    tools = (FunctionTool(name="mail", description=CANARY, parameters={"enum": [CANARY]}),)
    prompt = Prompt(
        items=items, tools=tools, user=CANARY, metadata={"a": CANARY}, stop=(CANARY,), rest={"x": {"y": CANARY}}
    )
    upstream = Upstream()
    call = msgspec.structs.replace(chat(says("x")), content=prompt, fields={}, body=b"")
    await ask(call, upstream, rule())

    (seen,) = upstream.calls
    assert "canary" not in upstream.seen
    assert msgspec.json.decode(seen.content.items[3].arguments) == {"to": "⟦EMAIL_1⟧"}
    assert seen.content.items[4].parts[0].text == '{"found":["⟦EMAIL_1⟧"]}'
    assert seen.content.items[2].signature == "sig"


async def test_texts_to_embed_are_looked_at():
    upstream = Upstream()
    content = EmbeddingInput(inputs=(f"a {CANARY}", (1, 2)))
    call = msgspec.structs.replace(chat(says("x")), operation="embed", content=content, fields={}, body=b"")
    await ask(call, upstream, rule())

    assert upstream.calls[0].content.inputs == ("a ⟦EMAIL_1⟧", (1, 2))


async def test_pictures_are_left_as_they_are_unless_they_may_not_leave():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 300}}
    call = chat(says([{"type": "text", "text": CANARY}, picture]))
    upstream = Upstream()
    await ask(call, upstream, rule())

    assert [part for part in upstream.calls[0].content.items[0].parts if isinstance(part, Image)] == [
        part for part in call.content.items[0].parts if isinstance(part, Image)
    ]
    with pytest.raises(ContentBlocked):
        await ask(call, Upstream(), rule(attachments=False))


@pytest.mark.parametrize("stream", [True, False])
async def test_tool_calls_get_their_values_back_and_stay_json(stream):
    value = 'o"neil\\x@example.com and jane@example.com'
    written = '{"to":"⟦EMAIL_1⟧","cc":["\\u27e6EMAIL_1\\u27e7"]}'

    def answer(_):
        item = ToolCall(call_id="c", name="mail", arguments=written)
        yield ItemStarted(index=0, item=ToolCall(call_id="c", name="mail", arguments=""))
        for piece in written if stream else [written]:
            yield ArgumentsDelta(index=0, text=piece)
        yield ItemFinished(index=0, item=item)

    sent = await ask(chat(says(value)), Upstream(answer), rule())
    arguments = "".join(event.text for event in sent if isinstance(event, ArgumentsDelta))

    assert msgspec.json.decode(arguments)["cc"] == [msgspec.json.decode(arguments)["to"]]
    assert "@example.com" in msgspec.json.decode(arguments)["to"]
    assert sent[-2].item.arguments == arguments


async def test_every_split_of_the_upstreams_bytes_gives_the_same_answer():
    said = f"a {CANARY} b"
    chunks = [
        {
            "id": "x",
            "model": "m",
            "created": 1,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}}],
        }
        for piece in ("a ⟦EM", "AIL", "_1", "⟧ b")
    ] + [{"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    raw = b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"

    def answer_from(place):
        parser, decoder = SseParser(), OPENAI_CHAT.event_decoder()
        for data in (raw[:place], raw[place:]):
            for name, payload in parser.feed(data):
                yield from decoder.feed(name, payload)
        yield from decoder.finish()

    class Bytes(Upstream):
        async def __call__(self, call, send):
            for event in answer_from(self.place):
                await send(event)

    upstream = Bytes()
    for place in range(len(raw)):
        upstream.place = place
        sent = await ask(chat(says(CANARY)), upstream, rule())

        assert text_of(sent) == said
        assert [event.item.parts[0].text for event in sent if isinstance(event, ItemFinished)] == [said]


async def test_thoughts_come_back_too_and_a_cut_placeholder_at_the_end_is_said():
    def answer(_):
        yield ItemStarted(index=0, item=Reasoning())
        yield ReasoningDelta(index=0, text="⟦EMAIL_")
        yield ReasoningDelta(index=0, text="1⟧ ⟦EM")
        yield ItemFinished(index=0, item=Reasoning(text="⟦EMAIL_1⟧ ⟦EM"))

    sent = await ask(chat(says(CANARY)), Upstream(answer), rule())

    assert "".join(event.text for event in sent if isinstance(event, ReasoningDelta)) == f"{CANARY} ⟦EM"
    assert sent[-2].item.text == f"{CANARY} ⟦EM"


async def test_bytes_are_no_answer_to_a_call_with_placeholders():
    with pytest.raises(RuntimeError, match="bytes"):
        await ask(chat(says(CANARY)), Upstream(lambda _: (Verbatim(b"{}"),)), rule())


async def test_what_may_not_leave_is_refused_with_its_kind_and_place_and_never_its_value():
    call = chat(says("hi"), says([{"type": "text", "text": f"is 536-90-4399 mine? {CANARY}"}]))
    upstream, judgements = Upstream(), Judgements()
    with capture_logs() as logs, pytest.raises(ContentBlocked) as raised:
        await ask(call, upstream, rule({"us_ssn": "block", "email": "placeholder"}), judgements=judgements)

    assert (raised.value.status, raised.value.code) == (400, "content_blocked")
    assert "us_ssn" in raised.value.message
    assert raised.value.param == "messages[1].content[0].text"
    assert upstream.calls == []
    said = repr((logs, str(raised.value), judgements.take("call_1")))
    assert "536-90" not in said
    assert "canary" not in said


async def test_a_report_only_counts():
    upstream, judgements = Upstream(), Judgements()
    call = chat(says(f"{CANARY} {CARD}"))
    await ask(call, upstream, rule(dict.fromkeys(KINDS, "report")), judgements=judgements)

    assert upstream.calls[0] is call
    assert judgements.take("call_1").found == (("card", 1), ("email", 1))
    assert judgements.take("call_1").found == ()


async def test_of_several_rules_the_strictest_counts():
    with pytest.raises(ContentBlocked):
        await ask(chat(says(CANARY)), Upstream(), rule(), rule({"email": "block"}), rule({"email": "report"}))


async def test_a_rule_is_for_its_tenants_and_teams_only():
    upstream = Upstream(echo)
    await ask(chat(says(CANARY), tenant="acme"), upstream, rule(tenants=("globex",)))
    await ask(chat(says(CANARY), tenant="acme"), upstream, rule(tenants=("ac*",)))
    await ask(chat(says(CANARY), tenant="acme"), upstream, rule(teams=("legal",)))

    assert [CANARY in repr(call.content) for call in upstream.calls] == [True, False, True]


async def test_a_fallback_from_local_to_hosted_redacts():
    local, hosted = Upstream(error=UpstreamUnreachable("down")), Upstream(echo)
    targets = [
        (Target(provider="local", model="m"), local),
        (Target(provider="cloud", model="m"), Redacted(hosted, [rule()], Judgements())),
    ]
    sent = []

    async def send(event):
        sent.append(event)

    world = World()
    routed = open_routed(open_pool("m", targets, RoutingPlan(), world.conditions), RoutingPlan(), world.timing, {})
    await routed(chat(says(CANARY)), send)

    assert (CANARY in local.seen, CANARY in hosted.seen) == (True, False)
    assert isinstance(sent[1], Tried)
    assert text_of(sent) == CANARY


async def test_a_users_own_placeholder_gets_no_value():
    upstream = Upstream(echo)
    sent = await ask(chat(says(f"{CANARY} and ⟦EMAIL_1⟧")), upstream, rule())

    assert text_of(sent) == f"{CANARY} and ⟦EMAIL_1⟧"
    assert upstream.calls[0].content.items[0].parts[0].text == "⟦EMAIL_1⟧ and ⟦LITERAL_1⟧"
