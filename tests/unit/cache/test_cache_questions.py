"""The question in a call: only where it is one user's text alone, and nothing else was said that matters."""

import pytest

from gateway.cache.key import canonical
from gateway.cache.questions import asked

SYSTEM = {"role": "system", "content": "Be short."}
USER = {"role": "user", "content": "How high is K2?"}
TURN = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [SYSTEM, USER]},
        {"messages": [{"role": "developer", "content": "x"}, USER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "How high is K2?"}]}]},
        {"system": "Be short.", "messages": [USER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "How high is K2?", "cache_control": {}}]}]},
        {"input": "How high is K2?", "instructions": "Be short."},
        {"input": [USER]},
        {
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How high is K2?"}]}
            ]
        },
    ],
    ids=str,
)
def test_a_question_is_found_in_every_dialect(fields):
    found = asked(fields)

    assert found.text == "How high is K2?"
    assert found.said == ()
    assert b"K2" not in canonical(found.rest)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [*TURN, USER]},
        {"messages": []},
        {"messages": [USER, {"role": "assistant", "content": "It is"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "file", "file": {}}]}]},
        {"messages": [{"role": "user", "content": "  "}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": "hello"},
        {"input": ["a", "b"]},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"prompt": "Once"},
        {},
    ],
    ids=str,
)
def test_elsewhere_there_is_none(fields):
    assert asked(fields) is None


def test_conversations_have_one_only_where_that_is_allowed():
    found = asked({"messages": [SYSTEM, *TURN, USER]}, conversations=True)

    assert (found.text, found.said) == ("How high is K2?", ("Hi", "Hello!"))
    with_a_tool = [*TURN, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, USER]
    assert asked({"messages": with_a_tool}, conversations=True) is None


def test_all_but_the_question_is_what_questions_must_share():
    def rest(fields):
        return canonical(asked(fields, conversations=True).rest)

    other = {**USER, "content": "How high is Everest?"}
    assert rest({"messages": [SYSTEM, USER]}) == rest({"messages": [SYSTEM, other]})
    assert rest({"messages": [SYSTEM, USER]}) != rest({"messages": [{**SYSTEM, "content": "Be long."}, USER]})
    assert rest({"messages": [SYSTEM, USER]}) != rest({"messages": [SYSTEM, {**USER, "name": "eve"}]})
    assert rest({"messages": [*TURN, USER]}) != rest({"messages": [USER]})
    assert rest({"messages": [USER], "temperature": 0}) != rest({"messages": [USER]})
