"""A finished answer keeps the promise of its schema, or it is an error."""

import pytest

from gateway.core.errors import InvalidOutput
from gateway.providers.embedded.choices import Choice, Folded
from gateway.providers.embedded.generation import read_chat
from gateway.schemas.worker import Judging

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def _asked(**more):
    body = {
        "messages": [{"role": "user", "content": "How old?"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "age", "schema": SCHEMA}},
        **more,
    }
    wanted = read_chat(body, slots=1)
    return wanted, Choice(0, wanted)


def _said(text, finish=None):
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


@pytest.fixture
async def judging():
    judging = Judging()
    yield judging
    await judging.aclose()


async def test_a_finished_answer_that_satisfies_its_schema_passes(judging):
    wanted, choice = _asked()
    choice.read(_said('{"age": '))

    chunks = choice.read(_said("7}", "stop"))
    await wanted.promise.keep(choice.finished, judging)

    assert chunks[-1]["finish_reason"] == "stop"


async def test_a_finished_answer_that_a_stop_string_cut_is_an_error_with_its_text(judging):
    wanted, choice = _asked(stop="}")
    choice.read(_said('{"age": 7', "stop"))

    with pytest.raises(InvalidOutput, match=r'not valid JSON.*\{"age": 7') as caught:
        await wanted.promise.keep(choice.finished, judging)

    assert caught.value.status == 422
    assert caught.value.param == "response_format"


def test_an_answer_cut_by_the_token_limit_is_incomplete_and_no_error():
    _, choice = _asked()

    chunks = choice.read(_said('{"age": ', "length"))

    assert choice.finished is None
    assert chunks[-1]["finish_reason"] == "length"


@pytest.mark.parametrize(("tools", "content"), [([{"type": "function", "function": {"name": "f"}}], None), ([], "")])
def test_a_call_that_was_cut_before_its_name_has_no_content(tools, content):
    wanted = read_chat({"messages": [{"role": "user", "content": "Hi"}], "tools": tools}, slots=1)
    choice, folded = Choice(0, wanted), Folded(0, wanted)
    for chunk in choice.read(_said("<tool_call>" if tools else "", "length")):
        folded.add(chunk)

    whole = folded.whole()

    assert whole["message"] == {"role": "assistant", "content": content}
    assert whole["finish_reason"] == "length"
