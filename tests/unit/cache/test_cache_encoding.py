"""An answer is written and read back with nothing lost."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.encoding import decode, encode
from gateway.core.answer import Answer
from gateway.core.events import Embeddings, Finished, Moderations, Ranking, Started, TokenCount
from gateway.core.items import Audio, Document, Foreign, Image, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.core.usage import Usage

STARTED = Started(
    id="", model="m", created=0, target="up/m", dropped=("seed",), emulated=("n",), structured="tool; repairs=1"
)
USAGE = Usage(input=1, cache_read=2, cache_write=3, cache_write_1h=4, output=5, reasoning=6, estimated=True)
ITEMS = (
    Reasoning(
        text="Hm",
        summary=("a", "b"),
        signature="s",
        encrypted="e",
        redacted=True,
        origin="anthropic_messages",
        id="rs_1",
    ),
    Message(
        role="assistant",
        id="msg_1",
        name="n",
        cache={"type": "ephemeral"},
        rest={"openai_chat": {"x": [1, 2.5, None, "é", {"deep": True}]}},
        parts=(
            Text(text="So \U0001f600", annotations=({"type": "url_citation"},), logprobs=({"token": "a"},)),
            Refusal(text="no"),
            Image(url="u", data="d", media_type="image/png", file_id="f", detail="low"),
            Document(url="u", text="t", name="n"),
            Audio(data="d", format="wav"),
            Foreign(dialect="x", raw={"a": 1}),
        ),
    ),
    ToolCall(call_id="c", name="f", arguments="{}", kind="custom", id="fc_1"),
    ToolResult(call_id="c", parts=(Text(text="r"),), is_error=True),
    Foreign(dialect="x", raw={"type": "y"}),
)
FINISHED = Finished(
    reason="stop_sequence",
    usage=USAGE,
    error=None,
    stop_sequence="###",
    detail={"openai_chat": {"system_fingerprint": "fp"}},
    estimate=USAGE,
)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(started=STARTED, items=ITEMS, finished=FINISHED),
        Answer(started=STARTED, result=Embeddings(vectors=((0.1, -2.5e-9), (math.inf, 3.0))), finished=FINISHED),
        Answer(started=STARTED, result=Ranking(results=((3, 0.5), (1, 0.25))), finished=FINISHED),
        Answer(started=STARTED, result=Moderations(results=({"flagged": True},)), finished=FINISHED),
        Answer(started=STARTED, result=TokenCount(input_tokens=7), finished=Finished()),
    ],
    ids=lambda answer: type(answer.result).__name__,
)  # fmt: skip
def test_nothing_is_lost(answer):
    assert decode(encode(answer)) == answer


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.lists(st.floats(allow_nan=False), max_size=8))
def test_any_text_and_any_number_comes_back(text, numbers):
    answer = Answer(started=STARTED, items=(Message(role="assistant", parts=(Text(text=text),)),), finished=Finished())
    vectors = Answer(started=STARTED, result=Embeddings(vectors=(tuple(numbers),)), finished=Finished())

    assert decode(encode(answer)) == answer
    assert decode(encode(vectors)) == vectors


def test_what_cannot_be_written_and_what_is_no_answer_are_clear_errors():
    huge = Finished(detail={"x": {"n": 2**80}})
    with pytest.raises(ValueError, match="cannot be written"):
        encode(Answer(started=STARTED, items=ITEMS, finished=huge))
    for data in (b"", b"\x93", b"{}", encode(Answer(started=STARTED, finished=Finished()))[:-3]):
        with pytest.raises(ValueError, match="no answer"):
            decode(data)
