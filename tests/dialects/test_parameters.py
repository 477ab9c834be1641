"""What an API cannot carry is what its own encoder refuses; hints do not count, and what is left of a prompt asks for nothing lost."""

import pytest

from gateway.core.content import Prompt
from gateway.core.items import Message, Text
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.parameters import PARAMETERS, asked_for, parameters_lost, without

HI = [{"role": "user", "content": "hi"}]
EVERYTHING = {
    "frequency_penalty": {"frequency_penalty": 0.5},
    "json_object": {"response_format": {"type": "json_object"}},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "max_completion_tokens": {"max_completion_tokens": 9},
    "max_tokens": {"max_tokens": 9},
    "n": {"n": 3},
    "parallel_tool_calls": {
        "parallel_tool_calls": False,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    },
    "presence_penalty": {"presence_penalty": 0.5},
    "reasoning": {"reasoning_effort": "high"},
    "seed": {"seed": 7},
    "stop": {"stop": ["END"]},
    "system": {"messages": [{"role": "system", "content": "Be brief."}, *HI]},
    "temperature": {"temperature": 0.3},
    "top_k": {"top_k": 5},
    "top_p": {"top_p": 0.9},
    "verbosity": {"verbosity": "low"},
}
NOTHING = {
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "logprobs": False,
    "verbosity": "medium",
    "stop": [],
    "logit_bias": {},
}


def prompt(**fields):
    return OPENAI_CHAT.decode_call({"model": "m", "messages": HI, **fields})


@pytest.mark.parametrize(
    ("dialect", "fields", "lost"),
    [
        (ANTHROPIC_MESSAGES, {"n": 2, "seed": 1, "logprobs": True, "temperature": 1.5}, {"n", "seed", "logprobs", "temperature"}),
        (ANTHROPIC_MESSAGES, {"response_format": {"type": "json_object"}, "logit_bias": {"1": 2}}, {"response_format", "logit_bias"}),
        (ANTHROPIC_MESSAGES, {"stop": "x", "temperature": 1, "top_k": 3, "parallel_tool_calls": False}, set()),
        (OPENAI_RESPONSES, {"stop": "x", "n": 2, "seed": 1, "presence_penalty": 1}, {"stop", "n", "seed", "presence_penalty"}),
        (OPENAI_RESPONSES, {"response_format": {"type": "json_object"}, "logprobs": True, "temperature": 2}, set()),
        (OPENAI_CHAT, {"stop": "x", "n": 2, "seed": 1, "top_k": 3, "logit_bias": {"1": 2}}, set()),
    ],
)  # fmt: skip
def test_what_is_lost_is_what_the_encoder_refuses(dialect, fields, lost):
    assert set(parameters_lost(dialect, prompt(**fields))) == lost


def test_hints_are_not_lost():
    assert (
        parameters_lost(ANTHROPIC_MESSAGES, prompt(user="ann", metadata={"a": "b"}, store=True, prompt_cache_key="k"))
        == ()
    )


def test_what_is_wrong_in_itself_is_left_to_who_serves_it():
    odd = prompt(tool_choice={"type": "function", "function": {"name": "nowhere"}}, tools=[])

    assert isinstance(parameters_lost(ANTHROPIC_MESSAGES, odd), tuple)


def test_every_parameter_has_its_example():
    assert EVERYTHING.keys() == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_call_that_asks_for_a_parameter_does_so_no_more_without_it(name):
    asking = prompt(**EVERYTHING[name])
    assert asked_for(asking, frozenset(PARAMETERS)) == (name,)
    left = without(asking, name)

    # A limit gets its other name.
    other = {"max_tokens": ("max_completion_tokens",), "max_completion_tokens": ("max_tokens",)}
    assert asked_for(left, frozenset(PARAMETERS)) == other.get(name, ())
    # And it is not on the wire any more, whatever notes the dialect keeps of how it was written.
    body = OPENAI_CHAT.encode_call(left, model="m", stream=False, drop=False).body
    assert not (EVERYTHING[name].keys() - {"messages", "tools"}) & body.keys()


def test_neutral_values_ask_for_nothing():
    assert asked_for(prompt(**NOTHING), frozenset(PARAMETERS)) == ()


def said(role, *texts):
    return Message(role=role, parts=tuple(Text(text=text) for text in texts))


def test_instructions_become_the_users_words_in_their_order():
    items = (
        said("system", "A"),
        said("developer", "B"),
        said("user", "hi"),
        said("assistant", "yes"),
        said("system", "C"),
    )
    left = without(Prompt(items=items), "system").items

    assert [(item.role, [part.text for part in item.parts]) for item in left] == [
        ("user", ["A\n\n", "B\n\n", "hi"]), ("assistant", ["yes"]), ("user", ["C"]),
    ]  # fmt: skip


@pytest.mark.parametrize("items", [(said("system", "A"),), (said("system", "A"), said("assistant", "x"))])
def test_instructions_are_not_lost_where_the_user_says_nothing(items):
    left = without(Prompt(items=items), "system").items

    assert (left[0].role, left[0].parts[0].text) == ("user", "A")


FIELDS = [
    *EVERYTHING.values(), {"tools": [{"type": "custom", "custom": {"name": "c"}}]}, {"temperature": 1.5}, {"service_tier": "flex"},
    {"tools": EVERYTHING["parallel_tool_calls"]["tools"], "tool_choice": "required"}, {"modalities": ["text", "audio"]},
    {"web_search_options": {}}, {"user": "ann"}, {"store": True}, {"stream": True}, {"max_tokens": 5}, {"stop": None},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, {"functions": []},
]  # fmt: skip


@pytest.mark.parametrize("dialect", [ANTHROPIC_MESSAGES, OPENAI_RESPONSES], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_the_cheap_look_overlooks_nothing_that_the_encoder_refuses(dialect, fields):
    asked = prompt(**fields)
    refused = dialect.encode_call(asked, model="m", stream=False, drop=True).refused

    assert parameters_lost(dialect, asked) == refused


@pytest.mark.parametrize(
    ("name", "other"), [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")]
)
def test_a_limit_of_tokens_is_sent_by_its_other_name(name, other):
    body = OPENAI_CHAT.encode_call(without(prompt(**{name: 9}), name), model="m", stream=False, drop=False).body

    assert (body.get(name), body[other]) == (None, 9)
