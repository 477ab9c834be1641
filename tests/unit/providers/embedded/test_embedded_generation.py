"""What a request asks of the embedded model is taken whole or refused by name; nothing is silently dropped."""

import pytest

from gateway.core.errors import InvalidRequest, UnsupportedParameter, UnsupportedSchema
from gateway.providers.embedded.conversation import read_messages
from gateway.providers.embedded.generation import read_chat, read_text

pytestmark = pytest.mark.embedded

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def chat(**fields):
    return read_chat({"model": "m", "messages": HELLO, **fields}, slots=4, end=2)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"foo": 1}, "foo"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"functions": [{}]}, "functions"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"stream_options": {"x": 1}}, "stream_options.x"),
        ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "messages[0].mood"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "custom"}}, "tool_choice"),
    ],
)
def test_an_unsupported_parameter_is_named(fields, param):
    with pytest.raises(UnsupportedParameter) as caught:
        chat(**fields)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 9}, "n"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ["", "x"]}, "stop"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice.function.name",
        ),
    ],
)
def test_a_wrong_value_is_named(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        chat(**fields)

    assert caught.value.param == param


def test_a_schema_that_cannot_be_enforced_names_its_place():
    bad = {"type": "object", "properties": {"a": {"minLength": 10**9}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": bad}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": bad}}

    with pytest.raises(UnsupportedSchema) as of_tool:
        chat(tools=[tool])
    with pytest.raises(UnsupportedSchema) as of_format:
        chat(response_format=form)

    assert of_tool.value.param == "tools[0].function.parameters"
    assert of_format.value.param == "response_format.json_schema.schema"


def test_what_asks_for_nothing_is_let_through():
    wanted = chat(
        user="u",
        metadata={"a": "b"},
        store=True,
        prediction={"type": "content", "content": "x"},
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        safety_identifier="s",
        modalities=["text"],
        reasoning_effort="none",
        n=1,
        messages=[{"role": "user", "name": "Bob", "content": "Hello"}],
        service_tier="auto",
        tools=None,
        functions=None,
        audio=None,
        logit_bias={},
    )

    assert wanted.tools is None
    assert "grammar" not in wanted.requests[0]


def test_choices_of_one_seed_differ_and_repeat():
    first, second = chat(n=2, seed=7).requests

    assert (first["seed"], second["seed"]) == (7, 8)
    assert first["cache_prompt"] is False


def test_no_tool_is_described_when_none_may_be_called():
    wanted = chat(tools=[WEATHER], tool_choice="none")

    assert wanted.tools is None
    assert "get_weather" not in str(wanted.requests)


def test_a_named_tool_is_the_only_one_in_the_grammar():
    other = {"type": "function", "function": {"name": "other"}}
    wanted = chat(tools=[WEATHER, other], tool_choice={"type": "function", "function": {"name": "get_weather"}})

    assert "get_weather" in wanted.requests[0]["grammar"]
    assert "other" not in wanted.requests[0]["grammar"]


def allowed(mode, *names):
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_are_the_only_ones_in_the_grammar(mode):
    others = [{"type": "function", "function": {"name": name}} for name in ("other", "third")]
    wanted = chat(tools=[WEATHER, *others], tool_choice=allowed(mode, "third", "get_weather"))

    assert wanted.tools.mode == mode
    assert [tool.name for tool in wanted.tools.tools] == ["get_weather", "third"]
    assert "other" not in wanted.requests[0]["grammar"]


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        (allowed("none", "get_weather"), "mode"),
        (allowed("auto"), "tools"),
        (allowed("auto", "unknown"), "tools[0].function.name"),
    ],
)
def test_a_faulty_list_of_allowed_tools_is_named(choice, param):
    with pytest.raises(InvalidRequest) as caught:
        chat(tools=[WEATHER], tool_choice=choice)

    assert caught.value.param == f"tool_choice.allowed_tools.{param}"


def test_earlier_calls_and_results_become_text_and_turns_alternate():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = read_messages(
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "2"}]},
            {"role": "tool", "tool_call_id": "1", "content": "one"},
            {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "two"}]},
        ],
        None,
    )

    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"].count('<tool_call>{"name": "f", "arguments": {}}</tool_call>') == 2
    assert "one" in messages[2]["content"]
    assert "two" in messages[2]["content"]


@pytest.mark.parametrize("prompt", ["", [], [""], [[]], [1, "a"], None, 5, ["x"] * 17, [-1]])
def test_a_prompt_that_is_none_is_refused(prompt):
    with pytest.raises(InvalidRequest) as caught:
        read_text({"prompt": prompt}, slots=4)

    assert caught.value.param == "prompt"


def test_each_prompt_has_its_own_choices():
    wanted = read_text({"prompt": ["a", [1, 2]], "n": 2}, slots=4)

    assert [request["prompt"] for request in wanted.requests] == ["a", "a", [1, 2], [1, 2]]
    assert wanted.requests[0]["max_tokens"] == 16


def test_a_chat_answer_without_a_limit_has_one():
    assert chat().requests[0]["max_tokens"] == 512
    assert chat(max_tokens=700).requests[0]["max_tokens"] == 700
    assert chat(max_completion_tokens=3).requests[0]["max_tokens"] == 3


@pytest.mark.parametrize("messages", [{}, {"messages": None}])
def test_what_is_missing_is_said_to_be_missing(messages):
    with pytest.raises(InvalidRequest, match=r"^Missing required parameter: `messages`\.$") as of_chat:
        read_chat({"model": "m", **messages}, slots=4)
    with pytest.raises(InvalidRequest, match=r"^Missing required parameter: `prompt`\.$"):
        read_text({"model": "m"}, slots=4)

    assert of_chat.value.param == "messages"


def test_a_prompt_of_a_wrong_type_is_told_all_that_it_may_be():
    with pytest.raises(InvalidRequest, match="a string, an array of token ids, or an array"):
        read_text({"prompt": 5}, slots=4)
