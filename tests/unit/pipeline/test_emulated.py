"""What a target lacks is done here, said in the answer's start, and nothing else about the answer changes; what cannot be done is refused."""

import itertools

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Answer, AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import UnsupportedParameter, UpstreamUnreachable
from gateway.core.events import CutShort, Finished, Spent, Started, TextDelta
from gateway.core.items import Message, Text, ToolCall
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_chat.wire import choice_of
from gateway.pipeline.emulated import Emulated, emulated, losses_of
from gateway.pipeline.emulated_answer import Cut, Unfenced

USAGE = Usage(input=5, output=7, reasoning=1)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "required": ["a"]}}}


def answer(*items, finished=Finished(usage=USAGE)):  # noqa: B008 it is frozen
    start = Started(id="1", model="m", created=0, target="up/m")
    return Answer(started=start, items=tuple(items), finished=finished)


def said(text):
    return Message(role="assistant", parts=(Text(text=text),))


class Inner:
    """A target that gives these answers in turn, at last always the same, texts in pieces of `size` characters."""

    def __init__(self, *answers, size=3):
        self.asked = []
        self._answers = list(answers)
        self._size = size

    async def __call__(self, call, send):
        self.asked.append(call)
        told = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(told, Exception):
            await send(CutShort(usage=Usage(input=1)))
            raise told
        for event in replay(told):
            if isinstance(event, TextDelta):
                for at in range(0, len(event.text), self._size):
                    await send(msgspec.structs.replace(event, text=event.text[at : at + self._size]))
            else:
                await send(event)


def call(**fields):
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return Call(
        id="call_1", operation="generate", dialect="openai_chat", model="m", stream=True, caller=ANONYMOUS, received=0.0, body=b"{}",
        fields=fields, content=OPENAI_CHAT.decode_call(fields),
    )  # fmt: skip


async def ask(inner, asked, *, lacks=(), **permission):
    target = Target(provider="up", model="m", without=frozenset(lacks), **(permission or {"emulate": True}))
    builder, events = AnswerBuilder(), []

    async def send(event):
        builder.add(event)
        events.append(event)

    await Emulated(inner, target, losses_of(target, object()))(asked, send)
    return builder.answer(), events


async def test_a_call_that_asks_for_nothing_that_is_lacking_goes_on_as_it_is():
    inner, asked = Inner(answer(said("hello"))), call(temperature=0.5)
    got, _ = await ask(inner, asked, lacks=("stop", "n", "system"))

    assert inner.asked == [asked]
    assert got.started.emulated == ()


async def test_a_text_ends_before_a_stop_sequence_streamed_or_whole():
    for size in (1, 2, 5, 100):
        got, events = await ask(
            Inner(answer(said("one two END three")), size=size), call(stop=["END", "three"]), lacks=("stop",)
        )

        assert got.items[0].parts[0].text == "one two "
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one two "
        assert (got.finished.reason, got.finished.stop_sequence, got.finished.usage) == ("stop_sequence", "END", USAGE)
        assert got.started.emulated == ("stop",)


async def test_no_part_comes_after_the_one_that_was_ended():
    parts = (Text(text="a"), Text(text="b END c"), Text(text="d"))
    got, _ = await ask(Inner(answer(Message(role="assistant", parts=parts))), call(stop="END"), lacks=("stop",))

    assert [part.text for part in got.items[0].parts] == ["a", "b "]


async def test_nothing_comes_after_the_stop_sequence():
    inner = Inner(answer(said("so END"), ToolCall(call_id="c", name="f", arguments="{}")))
    got, _ = await ask(inner, call(stop="END"), lacks=("stop",))

    assert len(got.items) == 1


async def test_a_text_without_the_sequence_is_whole():
    got, _ = await ask(Inner(answer(said("an EN and an E"))), call(stop="END"), lacks=("stop",))

    assert got.items[0].parts[0].text == "an EN and an E"
    assert got.finished.reason == "stop"


async def test_several_answers_are_several_calls_put_together():
    inner = Inner(
        answer(said("a")), answer(said("b"), finished=Finished(reason="length", usage=USAGE)), answer(said("c"))
    )
    got, _ = await ask(inner, call(n=3), lacks=("n",))

    assert [(choice_of(item), item.parts[0].text) for item in got.items] == [(0, "a"), (1, "b"), (2, "c")]
    assert got.finished.usage == Usage(input=15, output=21, reasoning=3)
    assert ["n" in one.content.rest["openai_chat"] for one in inner.asked] == [False] * 3
    body = msgspec.json.decode(OPENAI_CHAT.encode_answer(got, call(n=3)))
    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in body["choices"]] == [
        (0, "a", "stop"), (1, "b", "length"), (2, "c", "stop"),
    ]  # fmt: skip


async def test_each_of_several_answers_is_edited_by_itself():
    got, _ = await ask(Inner(answer(said("a.b")), answer(said("c"))), call(n=2, stop="."), lacks=("n", "stop"))

    assert [item.parts[0].text for item in got.items] == ["a", "c"]
    assert got.finished.detail["openai_chat"]["reasons"] == {"0": "stop_sequence", "1": "stop"}


async def test_where_one_of_several_fails_all_fail_and_what_was_used_is_told():
    heard = []

    async def send(event):
        heard.append(event)

    target = Target(provider="up", model="m", without=frozenset({"n"}), emulate=True)
    inner = Inner(answer(said("a")), UpstreamUnreachable("gone"), answer(said("c")))
    with pytest.raises(UpstreamUnreachable, match="gone"):
        await Emulated(inner, target, losses_of(target, object()))(call(n=2), send)

    assert heard == [
        Spent(target="up/m", usage=USAGE, why="choice"), Spent(target="up/m", usage=Usage(input=1), why="choice"),
    ]  # fmt: skip


async def test_where_a_target_has_a_limit_several_answers_take_no_more_than_the_calls_one_place():
    there, most = [], []

    async def slow(call, send):
        there.append(call)
        most.append(len(there))
        await anyio.lowlevel.checkpoint()
        await Inner(answer(said("a")))(call, send)
        there.pop()

    target = Target(provider="up", model="m", without=frozenset({"n"}), emulate=True)
    for limited, at_once in ((True, 1), (False, 3)):
        most.clear()
        builder = AnswerBuilder()

        async def send(event, builder=builder):
            builder.add(event)

        await emulated(slow, target, object(), limited=limited)(call(n=3), send)
        assert (len(builder.answer().items), max(most)) == (3, at_once)


async def test_the_others_are_not_waited_for_once_one_has_failed():
    asked = []

    async def stuck(call, send):
        asked.append(call)
        if len(asked) == 2:
            raise UpstreamUnreachable("gone")
        await anyio.sleep_forever()

    with anyio.fail_after(5), pytest.raises(UpstreamUnreachable):
        await ask(stuck, call(n=3), lacks=("n",))


async def test_what_only_the_api_lacks_is_left_to_its_encoder_unless_it_is_to_be_emulated():
    class Provider:
        def loses(self, call):
            return ("seed",)

    heard, inner = [], Inner(answer(said("x")))

    async def send(event):
        heard.append(event)

    target = Target(provider="up", model="m", without=frozenset({"stop"}), drop=True)
    with_loss = losses_of(target, Provider())
    await Emulated(inner, target, with_loss)(call(stop="END", seed=3), send)

    assert (inner.asked[0].content.stop, inner.asked[0].content.seed) == ((), 3)
    assert heard[0].dropped == ("stop",)


async def test_more_answers_than_a_few_are_refused():
    with pytest.raises(UnsupportedParameter) as caught:
        await ask(Inner(answer(said("a"))), call(n=9), lacks=("n",))

    assert caught.value.param == "n"


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('\n\n```\n{"a": 1}```\n\n', '{"a": 1}'),
        ('```json\n{"a": "```"}\n```\nI hope this helps!', '{"a": "```"}'),
        ("Here it is: no JSON at all, but many words.", "Here it is: no JSON at all, but many words."),
        ("short", "short"),
        ("", ""),
        ("```", ""),
    ],
)
async def test_json_that_is_asked_for_in_words_comes_without_its_fence(text, out):
    for size in (1, 4, 100):
        got, _ = await ask(
            Inner(answer(said(text)), size=size), call(response_format={"type": "json_object"}), lacks=("json_object",)
        )

        assert got.items[0].parts[0].text == out


async def test_the_form_is_told_after_all_other_instructions():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    inner = Inner(answer(said("{}")))
    got, _ = await ask(inner, call(messages=messages, response_format=SCHEMA), lacks=("json_schema",))
    asked = inner.asked[0].content

    assert asked.output is None
    assert [item.role for item in asked.items] == ["system", "system", "user"]
    assert '{"type":"object","required":["a"]}' in asked.items[1].parts[0].text
    assert got.started.emulated == ("json_schema",)


async def test_instructions_become_the_users_words_and_so_does_the_form():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    inner = Inner(answer(said("{}")))
    await ask(inner, call(messages=messages, response_format=SCHEMA), lacks=("json_schema", "system"))
    (item,) = inner.asked[0].content.items

    assert item.role == "user"
    assert [part.text[:9] for part in item.parts] == ["Be brief.", "Answer wi", "hi"]


async def test_of_several_tool_calls_the_first_is_kept():
    calls = [ToolCall(call_id=f"c{number}", name="f", arguments="{}") for number in range(3)]
    got, _ = await ask(
        Inner(answer(said("so"), *calls)), call(parallel_tool_calls=False), lacks=("parallel_tool_calls",)
    )

    assert [item.call_id for item in got.items[1:]] == ["c0"]


@pytest.mark.parametrize("fields", [{"seed": 1}, {"logprobs": True}, {"top_k": 4}, {"n": 2, "seed": 1}])
async def test_what_cannot_be_emulated_stays_an_error(fields):
    inner = Inner(answer(said("x")))
    with pytest.raises(UnsupportedParameter, match="on_unsupported: drop"):
        await ask(inner, call(**fields), lacks=("seed", "logprobs", "top_k", "n"))

    assert inner.asked == []


async def test_by_default_what_the_operator_knows_to_be_lacking_is_refused():
    with pytest.raises(UnsupportedParameter) as caught:
        await ask(Inner(answer(said("x"))), call(stop="x"), lacks=("stop",), emulate=False)

    assert caught.value.param == "stop"


async def test_by_permission_it_is_left_out_and_told():
    inner = Inner(answer(said("x END")))
    got, _ = await ask(inner, call(stop="END", seed=3, temperature=1), lacks=("stop", "seed"), drop=True)
    asked = inner.asked[0].content

    assert (asked.stop, asked.seed, asked.temperature) == ((), None, 1)
    assert (got.started.dropped, got.started.emulated) == (("seed", "stop"), ())
    assert got.items[0].parts[0].text == "x END"


async def test_instructions_are_never_left_out():
    inner = Inner(answer(said("x")))
    got, _ = await ask(
        inner,
        call(messages=[{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]),
        lacks=("system",),
        drop=True,
    )

    assert [part.text for part in inner.asked[0].content.items[0].parts] == ["S\n\n", "hi"]
    assert (got.started.dropped, got.started.emulated) == ((), ("system",))


def whole(edit, pieces):
    return "".join([*map(edit.feed, pieces), edit.end()])


@given(st.text(alphabet="abE\n`{", max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_however_a_text_is_cut_into_pieces_what_comes_out_is_the_same(text, cuts):
    places = sorted({0, *[min(cut, len(text)) for cut in cuts], len(text)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]

    assert whole(Cut(("ab", "bE", "a`{b")), pieces) == whole(Cut(("ab", "bE", "a`{b")), [text])
    assert whole(Unfenced(), pieces) == whole(Unfenced(), [text])


@given(st.text(alphabet="abE", max_size=30), st.integers(1, 5))
def test_a_cut_is_where_the_first_sequence_begins(text, size):
    stops = ("ab", "bE")
    found = [place for stop in stops if (place := text.find(stop)) >= 0]

    assert (
        whole(Cut(stops), [text[at : at + size] for at in range(0, len(text), size)])
        == text[: min(found, default=len(text))]
    )
