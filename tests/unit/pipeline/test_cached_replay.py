"""How an answer is given again: in pieces that read well, at the pace of the setting, and as a document that is written once."""

import itertools

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Answer, AnswerBuilder, replay
from gateway.core.events import Finished, Started, TextDelta
from gateway.core.items import Message, Reasoning, Text
from gateway.core.usage import Usage
from gateway.pipeline.cached_replay import Documents, Pacing, dated, form_of, pieces, stream
from gateway.pipeline.shadowed_answer import DIALECTS
from tests.unit.pipeline.caching_doubles import Heard, World
from tests.unit.virtual_time import run_in_virtual_time

WORDS = "The quick brown fox jumps over the lazy dog. " * 20
ANSWER = Answer(
    started=Started(id="", model="m", created=0, target="up/m"),
    items=(Reasoning(text="Hm. " * 30, signature="s"), Message(role="assistant", parts=(Text(text=WORDS),))),
    finished=Finished(usage=Usage(input=1, output=2)),
)


def test_a_stream_from_the_cache_flows_at_the_pace_of_the_setting():
    async def main():
        times = []

        async def send(event):
            if isinstance(event, TextDelta):
                times.append((anyio.current_time(), len(event.text)))

        await stream(ANSWER, send, Pacing(pace=100.0, now=anyio.current_time, sleep=anyio.sleep))
        return times, anyio.current_time()

    times, took = run_in_virtual_time(main)

    assert took == pytest.approx((len(WORDS) + 120) / 100, abs=0.5)
    assert max(size for _, size in times) <= 12 + 10
    waits = [after - before for (before, _), (after, _) in itertools.pairwise(times)]
    assert max(waits) < 0.3


def test_a_slow_client_is_not_made_to_wait_twice():
    """What its reading takes counts as time that has passed."""

    async def main():
        async def send(event):
            if isinstance(event, TextDelta):
                await anyio.sleep(0.5)

        await stream(ANSWER, send, Pacing(pace=100.0, now=anyio.current_time, sleep=anyio.sleep))
        return anyio.current_time()

    slow = run_in_virtual_time(main)
    assert slow < len(list(pieces(WORDS, 12))) * 0.5 + 2


async def test_without_a_pace_all_comes_at_once():
    heard = Heard()

    async def never(seconds):
        pytest.fail("nobody waits")

    await stream(ANSWER, heard, Pacing(pace=0.0, now=lambda: 0.0, sleep=never))
    assert heard.text == WORDS
    assert len(heard.of(TextDelta)) == 1


async def test_the_events_make_the_same_answer():
    builder = AnswerBuilder()

    async def send(event):
        builder.add(event)

    async def at_once(seconds):
        del seconds

    await stream(ANSWER, send, Pacing(pace=200.0, now=lambda: 0.0, sleep=at_once))
    assert builder.answer() == ANSWER


@given(st.text(), st.integers(1, 40))
def test_pieces_are_the_text(text, size):
    cut = list(pieces(text, size))

    assert "".join(cut) == text
    assert all(cut) or text == ""


def test_pieces_end_with_words_where_there_are_some():
    cut = list(pieces(WORDS, 14))

    assert all(piece.endswith(" ") for piece in cut[:-1])


@pytest.mark.parametrize("sign", ["e\u0301", "\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f52c", "\u2764\ufe0f"])
def test_no_piece_ends_within_a_sign(sign):
    for size in range(1, 9):
        for piece in pieces(sign * 30, size):
            assert piece.replace(sign, "") == ""


def test_documents_take_no_more_than_their_bytes():
    world = World()
    documents = Documents(30_000)
    for number in range(200):
        documents.write(f"entry_{number}", "openai_chat", ANSWER, world.call(stream=False), 7)
        documents.find("entry_0", "openai_chat", world.call(stream=False), 7)

    assert documents._held <= 30_000
    assert documents.find("entry_0", "openai_chat", world.call(stream=False), 7) is not None, "what is used stays"
    assert documents.find("entry_150", "openai_chat", world.call(stream=False), 7) is None
    assert documents._held == sum(one.size for one in documents._known.values())


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_completions", "anthropic_messages"])
@pytest.mark.parametrize("asks", [{}, {"stream_options": {"include_usage": True}}])
def test_a_stream_that_is_written_once_is_each_callers_own(dialect, asks):
    """It has the bytes that its events would have had, with the id and the time of its call."""
    world, documents = World(), Documents(10**6)
    at_once = Pacing(pace=0.0, now=lambda: 0.0, sleep=anyio.sleep)
    for number in range(3):
        call = msgspec.structs.replace(world.call(content=False, **asks), dialect=dialect)
        form = form_of(call, at_once)
        found = documents.find("entry_1", form, call, 7 + number)
        assert (found is None) == (number == 0)
        started, data, finished = found or documents.write("entry_1", form, ANSWER, call, 7 + number)
        encoder = DIALECTS[dialect].event_encoder(call)

        assert data.data == b"".join(map(encoder.encode, replay(dated(ANSWER, 7 + number))))
        assert (started.id, started.created, started.content_type) == (call.id, 7 + number, "text/event-stream")
        assert finished == ANSWER.finished


@pytest.mark.parametrize("streamed", [False, True])
def test_a_document_that_is_known_says_of_its_answer_what_the_first_one_said(streamed):
    """By which version it was made, how it was held to its form, and what was left out or done here."""
    world, documents = World(), Documents(10**6)
    told = {"version": "v2", "structured": "native; repairs=1", "dropped": ("top_k",), "emulated": ("n",)}
    answer = msgspec.structs.replace(ANSWER, started=msgspec.structs.replace(ANSWER.started, **told))
    call = world.call(content=False, stream=streamed)
    first, _, _ = documents.write("entry_1", "a form", answer, call, 7)
    again, _, _ = documents.find("entry_1", "a form", call, 8)

    for started in (first, again):
        assert {name: getattr(started, name) for name in told} == told
        assert (started.target, started.model) == (ANSWER.started.target, ANSWER.started.model)


def test_streams_with_and_without_usage_are_different_ones():
    world, at_once = World(), Pacing(pace=0.0, now=lambda: 0.0, sleep=anyio.sleep)
    plain, usage = world.call(content=False), world.call(content=False, stream_options={"include_usage": True})

    assert len({form_of(call, at_once) for call in (plain, usage, world.call(stream=False))}) == 3


@pytest.mark.parametrize(
    ("changes", "pace"),
    [({"opened": True}, 0.0), ({}, 100.0), ({"content": object()}, 0.0), ({"dialect": "openai_responses"}, 0.0)],
    ids=["looked-into", "at-a-pace", "decoded", "shows-its-call"],
)
def test_a_stream_that_is_more_than_its_bytes_is_made_of_events(changes, pace):
    call = msgspec.structs.replace(World().call(content=False), **changes)

    assert form_of(call, Pacing(pace=pace, now=lambda: 0.0, sleep=anyio.sleep)) is None


def test_what_is_let_go_is_forgotten_in_every_form():
    world, documents = World(), Documents(10**6)
    forms = ["openai_chat", "openai_chat stream", "openai_chat stream usage"]
    for form in forms:
        documents.write("entry_1", form, ANSWER, world.call(stream=form != "openai_chat"), 7)
    documents.forget(["entry_1"])

    assert documents._held == 0
    assert [documents.find("entry_1", form, world.call(), 7) for form in forms] == [None] * 3


def test_a_document_that_shows_more_of_its_call_is_written_for_each():
    """A Response shows what was asked, metadata among it, which is in no key."""
    world, documents = World(), Documents(10**6)
    written = []
    for metadata in ({"a": "1"}, {"a": "2"}):
        call = msgspec.structs.replace(
            world.call(stream=False),
            dialect="openai_responses",
            fields={"model": "m", "input": "x", "metadata": metadata},
        )
        assert documents.find("entry_1", "openai_responses", call, 7) is None
        _, document, _ = documents.write("entry_1", "openai_responses", ANSWER, call, 7)
        written.append(msgspec.json.decode(document.data))

    assert [one["metadata"] for one in written] == [{"a": "1"}, {"a": "2"}]
    assert written[0]["id"] != written[1]["id"]
