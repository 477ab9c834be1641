"""Bodies that came of late: read once, for whoever sends them again, and never more of them than there is room for."""

import sys
import tracemalloc

import msgspec
import pytest

from gateway.core.known import MOST_KEYS, Known
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.pipeline import bodies as module
from gateway.pipeline.bodies import LARGEST, Bodies, cost_of
from tests.unit.pipeline.caching_doubles import Heard, World


def known(**fields):
    return Known(fields=fields, model="m", stream=False, content=None)


def met(bodies, body, dialect="openai_chat", times=2):
    read = known(body=len(body))
    for _ in range(times):
        bodies.meet(dialect, body, read)
    return read


def test_a_body_is_known_from_its_second_coming():
    """What never comes again takes no room."""
    bodies, read = Bodies(), known()
    bodies.meet("openai_chat", b"{}", read)
    assert bodies.find("openai_chat", b"{}") is None

    bodies.meet("openai_chat", b"{}", read)
    assert bodies.find("openai_chat", b"{}") is read


def test_another_body_and_another_dialect_are_not_known():
    bodies = Bodies()
    met(bodies, b'{"a":1}')

    assert bodies.find("openai_chat", b'{"a": 1}') is None
    assert bodies.find("openai_completions", b'{"a":1}') is None


def test_a_very_long_body_is_never_known():
    bodies, body = Bodies(), b" " * (LARGEST + 1)
    met(bodies, body)

    assert bodies.find("openai_chat", body) is None


def test_bodies_are_forgotten_when_they_are_too_many(monkeypatch):
    monkeypatch.setattr(module, "MOST_BODIES", 8)
    bodies = Bodies()
    for number in range(100):
        met(bodies, b"%d" % number)

    assert len(bodies._known) <= 8
    assert bodies.find("openai_chat", b"99") is not None


def test_bodies_are_forgotten_when_they_take_too_much(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    bodies = Bodies()
    for number in range(100):
        met(bodies, b"[%d," % number + b"1" * 10_000)
        assert bodies._bytes <= 100_000
        assert bodies._bytes == sum(cost_of(body, decoded=False) for _, body in bodies._known)


def test_what_was_met_is_forgotten_when_it_is_too_much(monkeypatch):
    monkeypatch.setattr(module, "MOST_MET", 8)
    bodies = Bodies()
    for number in range(100):
        met(bodies, b"%d" % number, times=1)

    assert len(bodies._met) <= 8


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b",".join([b"[]"] * 5000) + b"]}",
        b'{"a":[' + b",".join([b"{}"] * 5000) + b"]}",
        b'{"a":[' + b",".join([b'{"":0}'] * 5000) + b"]}",
        b'{"a":[' + b",".join([b'""'] * 5000) + b"]}",
        b'{"a":[' + b",".join([b"1e9"] * 5000) + b"]}",
        b"{" + b",".join([b'"%d":9' % number for number in range(5000)]) + b"}",
        b'{"a":"' + b"x" * 50_000 + b'"}',
        '{"a":"{}"}'.replace("{}", "x" * 50_000 + "\U0001f642").encode(),
        b'{"a":"' + b"x" * 50_000 + b'\\ud83d\\ude42"}',
    ],
    ids=["lists", "objects", "keys", "texts", "numbers", "one-object", "text", "wide-text", "escaped-wide-text"],
)
def test_a_body_is_charged_for_all_the_memory_that_it_takes(body):
    """Many short values take far more room than their text: who sends them must not fill the memory."""

    assert memory_of(msgspec.json.decode(body)) + sys.getsizeof(body) <= cost_of(body, decoded=False)


def memory_of(value):

    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(memory_of(key) + memory_of(each) for key, each in value.items())
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(memory_of, value))
    return sys.getsizeof(value)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OPENAI_CHAT, {"messages": [{"role": "user", "content": "a"}] * 2000}),
        (OPENAI_CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 2000}]}),
        (ANTHROPIC_MESSAGES, {"max_tokens": 1, "messages": [{"role": "user", "content": "a"}] * 2000}),
        (OPENAI_RESPONSES, {"input": [{"role": "user", "content": "a"}] * 2000}),
    ],
    ids=["messages", "parts", "anthropic", "responses"],
)
def test_a_body_that_was_translated_is_charged_for_that_too(dialect, body):
    written = msgspec.json.encode({"model": "m", **body})
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fields = msgspec.json.decode(written)
        content = dialect.decode_call(fields)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert content is not None
    assert taken + sys.getsizeof(written) <= cost_of(written, decoded=True)


def test_keys_of_many_callers_take_no_more_than_their_room():
    one = known()
    for number in range(1000):
        one.note_key(number, ("", "key"))

    assert len(one.keys) <= MOST_KEYS
    assert one.keys[999] == ("", "key")


async def test_a_key_is_not_remembered_with_all_that_a_client_may_write_into_its_headers():
    """They are in the key, and would be kept with it: of every body, for many callers."""
    world, kept = World(), []
    for size in (10, 10_000):
        call = world.call(content=False)
        known = Known(fields=call.fields, model=call.model, stream=call.stream, content=None)
        headers = ((b"anthropic-beta", b"x" * size),)
        told = []
        for _ in range(3):
            heard = Heard()
            await world.cached(msgspec.structs.replace(call, known=known, headers=headers), heard)
            told.append(heard.told)
        assert told == ["miss", "exact", "exact"]
        kept.append(len(known.keys))

    assert kept == [1, 0]
