"""Prompts of other dialects to requests for Anthropic upstreams."""

import base64

import pytest

from gateway.core.content import (
    CustomTool,
    FunctionTool,
    OutputFormat,
    Prompt,
    ReasoningOptions,
    ToolChoice,
)
from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.core.items import (
    Audio,
    Document,
    Foreign,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES


def said(role, *texts):
    return Message(role=role, parts=tuple(Text(text=text) for text in texts))


HI = said("user", "hi")


def encode(*items, drop=False, **options):
    prompt = Prompt(items=items or (HI,), **options)
    return ANTHROPIC_MESSAGES.encode_call(prompt, model="claude", stream=False, drop=drop)


def body(*items, **options):
    encoded = encode(*items, **options)
    assert encoded.dropped == ()
    return encoded.body


def test_max_tokens_is_always_sent_because_the_api_demands_it():
    assert body()["max_tokens"] == 4096
    assert body(max_output_tokens=7)["max_tokens"] == 7
    assert body(reasoning=ReasoningOptions(budget=2000))["max_tokens"] == 6096


def test_leading_instructions_become_the_system_prompt_and_later_ones_stay_in_place():
    wire = body(said("system", "a"), said("developer", "b"), HI, said("developer", "c"), said("user", "d"))

    assert wire["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert wire["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    assert body(said("system", "a"), HI)["system"] == "a"


def test_neighbours_of_one_role_become_one_message_with_tool_results_first():
    wire = body(
        HI,
        said("assistant", "calling"),
        ToolCall(call_id="a", name="f", arguments='{"x":1}'),
        ToolCall(call_id="b", name="g", arguments=""),
        said("user", "meanwhile"),
        ToolResult(call_id="a", parts=(Text(text="1"),)),
        ToolResult(call_id="b", parts=(Text(text="2"), Image(url="https://example.org/a.png")), is_error=True),
    )

    assert wire["messages"][1]["content"] == [
        {"type": "text", "text": "calling"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    assert [block["type"] for block in wire["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    assert wire["messages"][2]["content"][0] == {"type": "tool_result", "tool_use_id": "a", "content": "1"}
    assert wire["messages"][2]["content"][1]["is_error"] is True


def test_empty_texts_are_left_out_because_the_api_refuses_them():
    wire = body(said("system", ""), HI, said("assistant", ""), said("user", "", "more"))

    assert "system" not in wire
    assert wire["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "more"}]}
    ]


def test_a_trailing_assistant_message_is_a_prefill_and_stays():
    assert body(HI, said("assistant", "The answer is"))["messages"][-1] == {
        "role": "assistant",
        "content": "The answer is",
    }


def test_a_prompt_without_messages_is_a_clear_error():
    with pytest.raises(InvalidRequest, match="at least one message") as caught:
        encode(said("system", "only"))

    assert caught.value.param == "messages"


def test_thinking_of_this_api_goes_back_byte_for_byte_and_that_of_others_is_left_out_and_named():
    native = Reasoning(text="Hm", signature="Er8+/==", origin="anthropic_messages")
    hidden = Reasoning(encrypted="Ew==", redacted=True, origin="anthropic_messages")
    other = Reasoning(summary=("s",), encrypted="gAAA", origin="openai_responses", id="rs_1")
    call = ToolCall(call_id="a", name="f", arguments="{}")

    encoded = encode(HI, native, hidden, other, call)

    assert encoded.dropped == ("reasoning",)
    assert encoded.body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "Er8+/=="},
        {"type": "redacted_thinking", "data": "Ew=="},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]


def test_pictures_and_documents_take_the_form_that_the_api_has():
    parts = (
        Image(data="iVBORw0KGgo=", detail="auto"),
        Image(url="https://example.org/a.png"),
        Image(file_id="file_1"),
        Document(data="JVBERi0=", name="a.pdf"),
        Document(data=base64.b64encode("grün".encode()).decode(), media_type="text/markdown"),
        Document(url="https://example.org/a.pdf"),
        Refusal(text="no"),
    )

    content = body(Message(role="user", parts=parts))["messages"][0]["content"]

    assert [block.get("source") for block in content] == [
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        {"type": "url", "url": "https://example.org/a.png"},
        {"type": "file", "file_id": "file_1"},
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        {"type": "text", "media_type": "text/plain", "data": "grün"},
        {"type": "url", "url": "https://example.org/a.pdf"},
        None,
    ]
    assert content[3]["title"] == "a.pdf"


def test_tools_get_the_schema_that_the_api_demands():
    tools = (FunctionTool(name="f"), FunctionTool(name="g", parameters={"properties": {}}, strict=True))

    assert body(tools=tools)["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}, "strict": True},
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tool_choice": ToolChoice(mode="required")}, {"type": "any"}),
        ({"tool_choice": ToolChoice(mode="named", names=("f",))}, {"type": "tool", "name": "f"}),
        ({"tool_choice": ToolChoice(mode="none"), "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        (
            {"tool_choice": ToolChoice(mode="required"), "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_of_tools_is_translated(options, expected):
    assert body(tools=(FunctionTool(name="f"),), **options).get("tool_choice") == expected


def test_allowed_tools_are_the_only_ones_sent():
    tools = (FunctionTool(name="f"), FunctionTool(name="g"))

    wire = body(tools=tools, tool_choice=ToolChoice(mode="auto", names=("g",)))

    assert [tool["name"] for tool in wire["tools"]] == ["g"]


@pytest.mark.parametrize(
    ("reasoning", "thinking", "effort"),
    [
        (ReasoningOptions(effort="none"), {"type": "disabled"}, None),
        (ReasoningOptions(effort="minimal"), {"type": "adaptive"}, "low"),
        (ReasoningOptions(effort="xhigh"), {"type": "adaptive"}, "xhigh"),
        (ReasoningOptions(effort="high", summary="detailed"), {"type": "adaptive", "display": "summarized"}, "high"),
        (ReasoningOptions(budget=2048), {"type": "enabled", "budget_tokens": 2048}, None),
    ],
)
def test_reasoning_effort_becomes_thinking(reasoning, thinking, effort):
    wire = body(reasoning=reasoning)

    assert wire["thinking"] == thinking
    assert wire.get("output_config", {}).get("effort") == effort


def test_a_schema_for_the_output_is_passed_on():
    output = OutputFormat(kind="json_schema", name="n", schema={"type": "object"}, strict=True)

    assert body(output=output)["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_a_user_and_a_service_tier_find_their_place():
    wire = body(user="u", service_tier="default")

    assert wire["metadata"] == {"user_id": "u"}
    assert wire["service_tier"] == "standard_only"


UNSUPPORTED = [
    ({"temperature": 1.5}, "temperature"),
    ({"seed": 1}, "seed"),
    ({"presence_penalty": 0.5}, "presence_penalty"),
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"logprobs": True}, "logprobs"),
    ({"verbosity": "low"}, "verbosity"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"output": OutputFormat(kind="json_object")}, "response_format"),
    ({"tools": (CustomTool(name="c"),)}, "tools[0]"),
    ({"tools": (Foreign(dialect="openai_responses", raw={"type": "web_search"}),)}, "tools[0]"),
    ({"tool_choice": ToolChoice(mode="named", raw={"type": "file_search"})}, "tool_choice"),
    ({"reasoning": ReasoningOptions(effort="galactic")}, "reasoning.effort"),
    ({"rest": {"openai_chat": {"n": 2}}}, "n"),
    ({"rest": {"openai_chat": {"logit_bias": {"1": 2}}}}, "logit_bias"),
    ({"items": (Message(role="user", parts=(Audio(data="", format="wav"),)), HI)}, "messages[0].content[0]"),
    ({"items": (Message(role="system", parts=(Image(url="u"),)), HI)}, "system.content[0]"),
    (
        {"items": (HI, Foreign(dialect="openai_responses", raw={"type": "computer_call"}))},
        "messages[1]",
    ),
]


@pytest.mark.parametrize(("options", "param"), UNSUPPORTED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_the_api_lacks_is_refused_by_name_or_dropped_by_permission(options, param):
    prompt = Prompt(**{"items": (HI,), **options})

    with pytest.raises(UnsupportedParameter, match="Anthropic Messages API") as caught:
        ANTHROPIC_MESSAGES.encode_call(prompt, model="claude", stream=False, drop=False)
    dropped = ANTHROPIC_MESSAGES.encode_call(prompt, model="claude", stream=False, drop=True)

    assert caught.value.param == param
    assert dropped.dropped == (param,)


def test_hints_are_left_out_and_named_without_asking():
    encoded = encode(
        Message(role="user", name="bob", parts=(Text(text="hi"),)),
        metadata={"job": "7"},
        rest={"openai_chat": {"store": True, "prompt_cache_key": "k", "n": 1, "$form": "x", "audio": None}},
    )

    assert encoded.dropped == ("store", "prompt_cache_key", "name", "metadata")


def test_ids_that_the_api_refuses_are_changed_alike_in_call_and_result():
    wire = body(
        HI,
        ToolCall(call_id="functions.f:0", name="f", arguments="{}"),
        ToolResult(call_id="functions.f:0", parts=(Text(text="r"),)),
    )

    assert wire["messages"][1]["content"][0]["id"] == "functions_2ef_3a0"
    assert wire["messages"][2]["content"][0]["tool_use_id"] == "functions_2ef_3a0"


@pytest.mark.parametrize("arguments", ["{broken", "[1]", "words"])
def test_arguments_that_are_no_object_are_kept_whole(arguments):
    wire = body(HI, ToolCall(call_id="a", name="f", arguments=arguments))

    assert wire["messages"][1]["content"][0]["input"] == {"unparsed_arguments": arguments}
    again = ANTHROPIC_MESSAGES.decode_call(wire)
    assert again.items[1].arguments == arguments


def test_equal_items_give_equal_bytes_so_that_prompt_caches_hold():
    first = encode(said("system", "s"), HI).body
    longer = encode(said("system", "s"), HI, said("assistant", "a"), said("user", "b")).body

    assert list(first) == list(longer)
    assert longer["messages"][: len(first["messages"])] == first["messages"]


def test_counting_sends_nothing_that_only_generation_knows():
    prompt = Prompt(items=(HI,), temperature=0.5, stop=("x",), max_output_tokens=5, user="u")

    encoded = ANTHROPIC_COUNT_TOKENS.encode_call(prompt, model="claude", stream=False, drop=False)

    assert encoded.body == {"model": "claude", "messages": [{"role": "user", "content": "hi"}]}
