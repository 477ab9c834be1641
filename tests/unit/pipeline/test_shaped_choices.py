"""Each choice of an answer is held to the form by itself, and what came in pieces is what was judged."""

import msgspec
import pytest

from gateway.core.errors import InvalidOutput
from gateway.core.events import Finished, ItemFinished, ItemStarted, TextDelta
from gateway.core.items import ToolCall
from tests.unit.pipeline.shaping import (
    BAD,
    FORMAT,
    GOOD,
    STRICT,
    Inner,
    answer,
    ask,
    call,
    called,
    said,
)


def numbered(item, at):
    return msgspec.structs.replace(item, rest={"openai_chat": {"$choice": at}})


def reasons(*given):
    return {"openai_chat": {"reasons": {str(number): reason for number, reason in enumerate(given)}}}


async def test_a_choice_that_says_nothing_is_an_error():
    asked = call(response_format=FORMAT, n=2)
    for item, empty in ((said(GOOD), 1), (numbered(said(GOOD), 1), 0)):
        with pytest.raises(InvalidOutput, match=f"choice {empty}: the answer is empty"):
            await ask(Inner(answer(item, detail=reasons("stop", "stop"))), asked)
    cut = answer(said(GOOD), detail=reasons("stop", "length"))
    assert (await ask(Inner(cut), asked)).text == GOOD
    with pytest.raises(InvalidOutput, match="is empty"):
        await ask(Inner(answer()), call(response_format=FORMAT))


async def test_a_choice_that_calls_no_tool_is_judged_by_its_text():
    asked, less = call(response_format=FORMAT, n=2), {"lost": ("json_schema",)}
    prose = answer(called(GOOD, "place"), numbered(said("Paris is large."), 1), detail=reasons("tool_calls", "stop"))
    with pytest.raises(InvalidOutput, match="choice 1"):
        await ask(Inner(prose), asked, **less)
    both = answer(
        *(called(GOOD, "place"), said("Let me see."), numbered(said(GOOD), 1)), detail=reasons("tool_calls", "stop")
    )
    caller = await ask(Inner(both), asked, **less)
    assert [item.parts[0].text for item in caller.answer.items] == [GOOD, GOOD]
    assert caller.answer.finished.detail == reasons("stop", "stop")


async def test_a_free_text_for_a_strict_tool_is_an_error():
    free = ToolCall(call_id="c1", name="look_up", arguments="Paris", kind="custom")
    for stream in (False, True):
        with pytest.raises(InvalidOutput, match="takes arguments"):
            await ask(Inner(answer(free)), call(tools=STRICT, stream=stream))


@pytest.mark.parametrize("extension", [{"choice": ["yes", "no"]}, {"regex": "yes|no"}])
async def test_what_is_no_json_is_judged_as_it_goes_out(extension):
    asked = call(structured_outputs=extension)
    assert (await ask(Inner(answer("yes")), asked, own="vllm")).text == "yes"
    for text in (" yes", "yes\n", ""):
        with pytest.raises(InvalidOutput) as raised:
            await ask(Inner(answer(text)), asked, own="vllm")
        assert raised.value.param == "structured_outputs"


class Pieces:
    """A target whose pieces are not what it says in the end."""

    def __init__(self, pieces, whole):
        self.pieces, self.whole = pieces, whole

    async def __call__(self, call, send):
        told = answer(self.whole)
        await send(told.started)
        await send(ItemStarted(index=0, item=said()))
        for piece in self.pieces:
            await send(TextDelta(index=0, text=piece))
        await send(ItemFinished(index=0, item=said(self.whole)))
        await send(Finished(reason="stop"))


async def test_pieces_that_are_not_the_whole_are_an_error_once_they_are_out():
    other = Pieces(['{"city": "Rome", ', '"people": 1}'], GOOD)
    with pytest.raises(InvalidOutput, match="came in pieces"):
        await ask(other, call(response_format=FORMAT, stream=True))
    late = Pieces(["Well: ", BAD], GOOD)
    caller = await ask(late, call(response_format=FORMAT, stream=True))
    assert caller.text == GOOD
    same = Pieces([GOOD[:5], GOOD[5:]], GOOD)
    assert (await ask(same, call(response_format=FORMAT, stream=True))).text == GOOD
