"""Requests: nothing that a client sends is lost, and what is wrong is named."""

import copy
import json
import types
import typing
from pathlib import Path

import msgspec
import pytest
from openai.types.chat import completion_create_params

from gateway.core.content import FunctionTool, Prompt, ReasoningOptions
from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.core.items import Document, Foreign, Image, Message, Reasoning, Text, ToolCall, ToolResult
from gateway.dialects.openai_chat import OPENAI_CHAT

REQUESTS = sorted((Path(__file__).parents[1] / "fixtures" / "openai_chat" / "requests").glob("*.json"))
HELLO = {"role": "user", "content": "Hello"}


def encode(prompt, *, stream=False, drop=False):
    return OPENAI_CHAT.encode_call(prompt, model="m", stream=stream, drop=drop)


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_a_request_comes_back_key_for_key(path):
    fields = json.loads(path.read_bytes())
    before = copy.deepcopy(fields)

    body = encode(OPENAI_CHAT.decode_call(fields)).body

    expected = {name: value for name, value in fields.items() if name != "stream_options"}
    assert body == expected
    assert msgspec.json.encode(body["messages"]) == msgspec.json.encode(
        encode(OPENAI_CHAT.decode_call(fields)).body["messages"]
    )
    assert fields == before, "what the client sent must not be changed in place"


def _sample(annotation):
    """Make a value of a type of the package."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(annotation, "__required_keys__"):
        hints = typing.get_type_hints(annotation)
        return {name: _sample(hint) for name, hint in hints.items()}
    if origin is typing.Literal:
        return arguments[0]
    if origin is dict:
        return {"1": _sample(arguments[1])} if arguments[1] is not object else {"type": "object"}
    if annotation in (str, int, float, bool, object):
        return {str: "s", int: 1, float: 0.5, bool: True, object: {}}[annotation]
    if origin in (typing.Union, types.UnionType):
        return _sample(next(each for each in arguments if each is not type(None)))
    if arguments:
        return _sample(arguments[0]) if origin is typing.Annotated else [_sample(arguments[0])]
    raise AssertionError(annotation)


HINTS = typing.get_type_hints(completion_create_params.CompletionCreateParamsBase)
FIELDS = sorted(set(HINTS) - {"messages", "model", "tool_choice"})


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_the_official_client_is_accepted_and_goes_on(name):
    fields = {"model": "m", "messages": [HELLO], name: _sample(HINTS[name])}

    body = encode(OPENAI_CHAT.decode_call(fields), stream=name == "stream_options").body

    if name == "stream_options":
        assert body.pop("stream") is True
        assert body["stream_options"]["include_obfuscation"] is True
        return
    assert body == fields


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_the_wrong_type_is_named(name):
    fields = {"model": "m", "messages": [HELLO], name: [[0]]}
    if name == "stop":
        fields[name] = 5

    with pytest.raises(InvalidRequest) as caught:
        OPENAI_CHAT.decode_call(fields)

    assert caught.value.param is not None
    assert caught.value.param.split("[")[0] == name


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"model": 5}, "model"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [HELLO, {"role": "wizard", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": 5}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stop": ["a", 5]}, "stop[1]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools[0].function.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"logit_bias": {"a": "b"}}, "logit_bias"),
    ],
)
def test_a_fault_is_named_by_its_path(change, param):
    with pytest.raises(InvalidRequest) as caught:
        OPENAI_CHAT.decode_call({"model": "m", "messages": [HELLO], **change})

    assert caught.value.param == param
    assert param in caught.value.message or param.split(".")[-1] in caught.value.message


def test_a_missing_field_is_named():
    with pytest.raises(InvalidRequest) as caught:
        OPENAI_CHAT.decode_call({"model": "m"})

    assert caught.value.param == "messages"


def test_the_hub_sees_what_a_conversation_means():
    prompt = OPENAI_CHAT.decode_call(json.loads((REQUESTS[0].parent / "tools.json").read_bytes()))

    kinds = [type(item) for item in prompt.items]
    assert kinds[:5] == [Message, ToolCall, ToolCall, ToolResult, ToolResult]
    assert prompt.items[1].arguments == '{"city": "Rome"}'
    assert prompt.parallel_tool_calls is False
    assert isinstance(prompt.tools[0], FunctionTool)


def test_images_and_files_are_told_apart_by_source():
    prompt = OPENAI_CHAT.decode_call(json.loads((REQUESTS[0].parent / "multimodal.json").read_bytes()))

    parts = prompt.items[1].parts
    assert parts[1] == Image(url="https://e.x/a.png", detail="high")
    assert (parts[2].data, parts[2].media_type) == ("iVBORw0KGgo=", "image/png")
    assert isinstance(parts[6], Document)
    assert parts[6].media_type == "application/pdf"
    assert parts[8] == Foreign(
        dialect="openai_chat", raw={"type": "video_url", "video_url": {"url": "https://e.x/v.mp4"}}
    )


def test_a_custom_tools_result_is_one():
    prompt = OPENAI_CHAT.decode_call(json.loads((REQUESTS[0].parent / "custom_tools.json").read_bytes()))

    assert [item.kind for item in prompt.items[1:]] == ["custom", "custom"]
    assert prompt.tools[0].format == {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}


def test_what_a_chat_upstream_sealed_goes_back_to_chat_upstreams_alone():
    prompt = OPENAI_CHAT.decode_call(json.loads((REQUESTS[0].parent / "reasoning_details.json").read_bytes()))

    signed, redacted, encrypted = [item for item in prompt.items if isinstance(item, Reasoning)]
    assert (signed.signature, signed.origin, signed.text) == ("sig==", "openai_chat", "I think")
    assert (redacted.encrypted, redacted.origin) == ("blob", "openai_chat")
    assert (encrypted.encrypted, encrypted.summary, encrypted.origin) == ("blob", ("s",), "openai_chat")


# What comes from other dialects.


def said(text, role="user", **rest):
    return Message(role=role, parts=(Text(text=text),), **rest)


def test_a_stream_asks_for_usage():
    body = encode(Prompt(items=(said("x"),)), stream=True).body

    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_a_turn_of_the_model_becomes_one_message():
    items = (
        said("x"),
        Reasoning(text="I think"),
        said("I look.", "assistant"),
        ToolCall(call_id="a", name="f", arguments="{}"),
        ToolCall(call_id="b", name="f", arguments="{}"),
        ToolResult(call_id="a", parts=(Text(text="1"),)),
        ToolResult(call_id="b", parts=(Text(text="2"),), is_error=True),
    )

    encoded = encode(Prompt(items=items))

    assert [message["role"] for message in encoded.body["messages"]] == ["user", "assistant", "tool", "tool"]
    turn = encoded.body["messages"][1]
    assert (turn["reasoning_content"], turn["content"]) == ("I think", "I look.")
    assert [call["id"] for call in turn["tool_calls"]] == ["a", "b"]
    assert encoded.dropped == ("is_error",)


def test_images_of_tool_results_follow_in_a_user_message():
    items = (
        ToolCall(call_id="a", name="shot", arguments="{}"),
        ToolCall(call_id="b", name="shot", arguments="{}"),
        ToolResult(call_id="a", parts=(Text(text="done"), Image(data="AAAA", media_type="image/png"))),
        ToolResult(call_id="b", parts=(Text(text="nothing"),)),
    )

    messages = encode(Prompt(items=items)).body["messages"]

    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user"]
    assert messages[1]["content"] == "done"
    assert messages[3]["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_reasoning_goes_back_only_to_where_it_came_from():
    items = (said("x"), Reasoning(text="thinking", signature="s", origin="anthropic_messages"), said("A", "assistant"))

    encoded = encode(Prompt(items=items))

    assert encoded.dropped == ("reasoning",)
    assert "thinking" not in json.dumps(encoded.body["messages"][1])


@pytest.mark.parametrize(
    ("options", "effort"),
    [
        (ReasoningOptions(effort="xhigh"), "xhigh"),
        (ReasoningOptions(mode="disabled"), None),
        (ReasoningOptions(mode="enabled", budget=1024), "low"),
        (ReasoningOptions(mode="enabled", budget=8192), "medium"),
        (ReasoningOptions(mode="enabled", budget=32000), "high"),
        (ReasoningOptions(mode="adaptive"), None),
    ],
)
def test_how_much_to_think_is_translated(options, effort):
    assert encode(Prompt(items=(said("x"),), reasoning=options)).body.get("reasoning_effort") == effort


def test_what_chat_cannot_say_is_refused_or_named():
    prompt = Prompt(items=(said("x"),), top_k=5, rest={"anthropic_messages": {"container": "c", "betas": ["x"]}})

    with pytest.raises(UnsupportedParameter) as caught:
        encode(prompt)
    encoded = encode(prompt, drop=True)

    assert caught.value.param == "container"
    assert encoded.dropped == ("container", "betas", "top_k")
    assert encoded.body.keys() == {"model", "messages"}


def test_foreign_items_parts_and_tools_are_refused_by_path():
    alien = Foreign(dialect="openai_responses", raw={"type": "computer_call"})
    cases = {
        "items[1]": Prompt(items=(said("x"), alien)),
        "items[0].content[0]": Prompt(items=(Message(role="user", parts=(alien,)),)),
        "tools[0]": Prompt(items=(said("x"),), tools=(alien,)),
    }
    for param, prompt in cases.items():
        with pytest.raises(UnsupportedParameter) as caught:
            encode(prompt)
        assert caught.value.param == param


def test_a_change_by_a_stage_wins_over_the_form_that_the_client_used():
    prompt = OPENAI_CHAT.decode_call({"model": "m", "messages": [HELLO], "stop": "a", "max_tokens": 5})

    body = encode(msgspec.structs.replace(prompt, stop=("b",), max_output_tokens=3)).body

    assert body["stop"] == ["b"]
    assert body["max_completion_tokens"] == 3


def test_fields_that_ask_for_nothing_are_neither_refused_nor_named():
    rest = {
        "anthropic_messages": {"stream": True, "$form": 1, "container": None, "tools": [], "source": {"title": None}}
    }

    encoded = encode(Prompt(items=(said("x"),), rest=rest))

    assert encoded.dropped == ()
