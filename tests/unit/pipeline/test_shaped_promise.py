"""Schemas are checked before anybody is asked, and what comes out at the end is judged whoever had a say in it."""

import pytest

from gateway.core.errors import InvalidOutput, UnsupportedSchema
from gateway.core.events import Finished, Started, Verbatim
from gateway.pipeline.shaped_judging import judging_means
from gateway.pipeline.shaped_promise import Promised
from gateway.pipeline.shaped_wish import asks_for_form
from gateway.schemas.worker import Judging
from tests.unit.pipeline.shaping import BAD, FORMAT, GOOD, STRICT, Caller, Inner, answer, call, called


async def ask(inner, asked, *, last=True):
    caller = Caller()
    await Promised(inner, judging_means(Judging(), lambda: 0.0), 100, last=last)(asked, caller)
    return caller


async def test_what_was_changed_on_its_way_is_an_error():
    for stream in (False, True):
        with pytest.raises(InvalidOutput) as caught:
            await ask(Inner(answer(BAD)), call(response_format=FORMAT, stream=stream))
        assert (caught.value.param, caught.value.raw) == ("response_format", BAD)
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(called(BAD))), call(tools=STRICT))


async def test_what_is_still_valid_passes():
    assert (await ask(Inner(answer(GOOD)), call(response_format=FORMAT))).text == GOOD
    assert (await ask(Inner(answer(GOOD[:5], reason="length")), call(response_format=FORMAT))).text == GOOD[:5]
    assert (await ask(Inner(answer("free")), call())).text == "free"


async def test_an_answer_that_went_out_as_it_came_was_never_to_be_judged():
    async def relaying(asked, send):
        del asked
        await send(Started(id="1", model="m", created=0, target="up/m", content_type="application/json"))
        await send(Verbatim(b"{}"))
        await send(Finished())

    caller = Caller()
    await Promised(relaying, judging_means(Judging(), lambda: 0.0), 100, last=True)(
        call(response_format=FORMAT), caller
    )
    assert [type(event) for event in caller.events] == [Started, Verbatim, Finished]


async def test_a_schema_that_is_none_is_refused_before_anybody_is_asked():
    inner = Inner(answer(GOOD))
    bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
    with pytest.raises(UnsupportedSchema) as caught:
        await ask(inner, call(response_format=bad))

    assert caught.value.param == "response_format.json_schema.schema"
    assert inner.asked == []


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        ({}, False), ({"response_format": {"type": "text"}}, False), ({"text": {"verbosity": "low"}}, False), ({"tools": []}, False),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, False), ({"tools": [{"name": "f", "strict": False}]}, False),
        ({"response_format": {"type": {"type": 1}}}, False), ({"response_format": "json"}, False), ({"tools": "x"}, False),
        ({"response_format": {"type": "json_object"}}, True), ({"text": {"format": {"type": "json_schema"}}}, True),
        ({"output_config": {"format": {"type": "json_schema"}}}, True), ({"output_format": {"type": "json_schema"}}, True),
        ({"tools": [{"name": "f", "strict": True}]}, True), ({"tools": [{"function": {"strict": True}}]}, True),
        ({"structured_outputs": {"regex": "a"}}, True),
    ],
)  # fmt: skip
def test_a_body_is_asked_cheaply_whether_it_wants_a_form(fields, asks):
    assert asks_for_form(fields) is asks
