"""Whose reasoning a call holds: remembered within bounds, looked for only where it can be, and left out where it cannot be read."""

import json
from pathlib import Path

import msgspec
import pytest

from gateway.core.call import Call, opened
from gateway.core.caller import ANONYMOUS
from gateway.core.content import Prompt
from gateway.core.events import Finished, ItemFinished, Started, Verbatim
from gateway.core.items import Message, Reasoning
from gateway.core.target import Target
from gateway.dialects.sealed_reasoning import Envelope, wrap
from gateway.routing.affinity import Affine, Affinity, Origins, affine
from gateway.routing.opaque_reasoning import asks_for, key_of, may_hold, opaque_keys, without
from gateway.routing.opening import Known, open_pool
from gateway.routing.plan import RoutingPlan
from gateway.routing.seat import Seat
from tests.unit.routing.routing_doubles import WORD, Upstream, World, call_of, hear

FIXTURES = Path(__file__).resolve().parents[2] / "dialects/fixtures"
LEFT, RIGHT = Target(provider="left", model="m"), Target(provider="right", model="m")


class Time:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def asked(dialect, fields, content=None):
    return Call(
        id="call_1", operation="generate", dialect=dialect, model="m", stream=bool(fields.get("stream")), caller=ANONYMOUS,
        received=0.0, body=json.dumps(fields).encode(), fields=fields, content=content,
    )  # fmt: skip


def client(dialect, name):
    recorded = json.loads((FIXTURES / dialect / "clients" / f"{name}.json").read_text())
    return asked(dialect, recorded.get("body", recorded))


def test_an_origin_is_remembered_for_a_while():
    time = Time()
    origins = Origins(time, seconds=10)
    origins.note(b"key", "left/m")

    assert origins.find(b"key") == "left/m"
    time.now = 10.0
    assert origins.find(b"key") is None
    assert len(origins) == 0


def test_no_more_than_so_many_are_remembered():
    origins = Origins(Time(), most=2)
    for key in (b"1", b"2", b"1", b"3"):
        origins.note(key, "left/m")

    assert [origins.find(key) for key in (b"1", b"2", b"3")] == ["left/m", None, "left/m"]


def test_a_sealed_text_has_the_key_of_what_is_in_it():
    assert key_of(wrap(Envelope(origin="anthropic_messages", text="Hm.", signature="c2lnbmVk"))) == key_of("c2lnbmVk")
    assert key_of("sgr1.broken") is None
    assert key_of("") is None


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("anthropic_messages", "claude-code-2.1-after-tool"), ("openai_responses", "codex-0.169-after-tool")],
)
def test_what_real_clients_send_back_is_found(dialect, name):
    call = client(dialect, name)

    assert len(opaque_keys(call)) == 1
    stripped, names = without(call, lambda key: True)
    assert names
    assert opaque_keys(stripped) == []
    assert msgspec.json.decode(stripped.body) == stripped.fields
    assert opaque_keys(call)  # never changed in place


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("anthropic_messages", "claude-code-2.1-after-tool"), ("openai_responses", "codex-0.169-after-tool")],
)
async def test_a_call_that_goes_out_by_its_items_is_no_exception(dialect, name):
    """As in a cascade, in a vote, and where an answer may be gone on with."""
    call = opened(client(dialect, name))
    origins, target = Origins(Time()), Upstream("left/m")
    [key] = opaque_keys(call)
    origins.note(key, "right/m")
    seats = [Seat(one, target, World().condition(one.name)) for one in (LEFT, RIGHT)]

    [begun, *_] = await hear(Affine(target, LEFT, origins), call)

    assert begun.dropped
    assert opaque_keys(target.asked[0]) == []
    assert Affinity(origins).lead(call, seats)[0] is seats[1]


def test_a_call_without_any_is_not_looked_into():
    call = call_of(messages=[{"role": "user", "content": "signature"}])

    assert not may_hold(call)
    assert not asks_for(call)


@pytest.mark.parametrize(
    ("dialect", "fields", "asks"),
    [
        ("openai_responses", {"include": ["reasoning.encrypted_content"]}, True),
        ("openai_responses", {"include": []}, False),
        ("anthropic_messages", {"thinking": {"type": "adaptive"}}, True),
        ("anthropic_messages", {"thinking": {"type": "disabled"}}, False),
        ("openai_chat", {"reasoning_effort": "low"}, True),
        ("openai_embeddings", {"reasoning": {}}, False),
    ],
)
def test_an_answer_is_looked_into_only_where_it_may_hold_some(dialect, fields, asks):
    assert asks_for(asked(dialect, fields)) is asks


async def learnt(dialect, pieces, *, stream):
    """What is learnt of an answer that passes as it is."""
    origins = Origins(Time())
    fields = {
        "stream": stream,
        "thinking": {"type": "enabled"},
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"a": 1},
    }
    upstream = Upstream("left/m", [*(Verbatim(piece) for piece in pieces), Finished()])
    await hear(Affine(upstream, LEFT, origins), asked(dialect, fields))
    return origins


@pytest.mark.parametrize(
    ("dialect", "recorded", "opaque"),
    [
        ("anthropic_messages", "streams/thinking_and_tools.sse", ["EqQBCkYIBxgC+/=="]),
        ("anthropic_messages", "answers/tools_and_thinking.json", ["Er8=", "Ew=="]),
        ("openai_chat", "streams/reasoning_details.sse", None),
    ],
)
async def test_recorded_answers_tell_what_they_hold(dialect, recorded, opaque):
    data = (FIXTURES / dialect / recorded).read_bytes()
    streams = recorded.endswith(".sse")
    pieces = [event + b"\n\n" for event in data.split(b"\n\n") if event] if streams else [data]
    for cut in (pieces, [b"".join(pieces)]):
        origins = await learnt(dialect, cut, stream=streams)

        if opaque is None:
            assert len(origins) > 0
        else:
            assert [origins.find(key_of(one)) for one in opaque] == ["left/m"] * len(opaque)


async def test_what_is_escaped_is_learnt_as_it_will_come_back():
    data = rb'{"output": [{"type": "reasoning", "encrypted_content": "ab\/cd\u002b=="}], "text": "\"signature\": \"none\""}'
    origins = await learnt("openai_responses", [data], stream=False)

    assert origins.find(key_of("ab/cd+==")) == "left/m"
    assert len(origins) == 1


async def test_translated_answers_tell_it_too():
    origins = Origins(Time())
    item = Reasoning(text="Hm.", signature="c2lnbmVk", origin="anthropic_messages")
    upstream = Upstream("left/m", [ItemFinished(index=0, item=item), Finished()])
    await hear(Affine(upstream, LEFT, origins), asked("openai_chat", {"reasoning_effort": "high"}))

    assert origins.find(key_of("c2lnbmVk")) == "left/m"


async def test_items_are_left_out_together_with_the_body():
    origins = Origins(Time())
    origins.note(key_of("c2lnbmVk"), "left/m")
    kept = Message(role="user", parts=())
    content = Prompt(items=(kept, Reasoning(text="Hm.", signature="c2lnbmVk", origin="anthropic_messages")))
    block = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
    fields = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [block]}]}
    upstream = Upstream("right/m")
    heard = await hear(Affine(upstream, RIGHT, origins), asked("anthropic_messages", fields, content))

    [seen] = upstream.asked
    assert seen.content.items == (kept,)
    assert seen.fields == {"messages": [{"role": "user", "content": "Hi"}]}
    assert isinstance(heard[0], Started)
    assert heard[0].dropped == ("messages[1]",)


async def test_another_model_of_the_same_account_reads_it():
    origins = Origins(Time())
    origins.note(key_of("c2lnbmVk"), "left/other")
    fields = {
        "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "c2lnbmVk"}]}]
    }
    upstream, call = Upstream("left/m"), asked("anthropic_messages", fields)
    await hear(Affine(upstream, LEFT, origins), call)

    assert upstream.asked == [call]


def test_where_there_is_one_account_nobody_stands_between():
    upstream = Upstream("left/m")

    assert affine(upstream, LEFT, None) is upstream


async def test_a_call_that_needs_none_of_it_passes_by():
    upstream, heard = Upstream("left/m"), []

    async def send(event):
        heard.append(event)

    passed = []

    def inner(call, given):
        passed.append(given)
        return upstream(call, given)

    await Affine(inner, LEFT, Origins(Time()))(call_of(), send)

    assert passed == [send]
    assert WORD in heard


@pytest.mark.parametrize(("strategy", "first"), [("fallback", "right/m"), ("cascade", "left/m")])
def test_a_cascade_stays_in_order_whoever_made_what_the_call_holds(strategy, first):
    call = client("anthropic_messages", "claude-code-2.1-after-tool")
    origins = Origins(Time())
    [key] = opaque_keys(call)
    origins.note(key, "right/m")
    answering = [(LEFT, Upstream("left/m")), (RIGHT, Upstream("right/m"))]
    pool = open_pool("m", answering, RoutingPlan(strategy=strategy), World().conditions, Known(origins=origins))

    assert pool.decide(call, 0.0)[0][0].name == first
