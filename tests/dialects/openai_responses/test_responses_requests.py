"""Requests: what a client of the Responses API may send, and what an upstream of it gets to see."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from gateway.core.content import CustomTool, FunctionTool, OutputFormat, Prompt, ReasoningOptions, ToolChoice
from gateway.core.errors import InvalidRequest, NotFound, UnsupportedParameter
from gateway.core.items import Document, Foreign, Image, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.dialects.openai_responses import OPENAI_RESPONSES

STATELESS = {"previous_response_id": "resp_1", "conversation": "conv_1", "background": True}


def decode(**fields: Any) -> Prompt:
    return OPENAI_RESPONSES.decode_call({"model": "m", "input": "x", **fields})


def encode(prompt: Prompt, *, drop: bool = False):
    return OPENAI_RESPONSES.encode_call(prompt, model="m", stream=False, drop=drop)


def ask(*items, **fields: Any) -> Prompt:
    return Prompt(items=items or (Message(role="user", parts=(Text(text="x"),)),), **fields)


@pytest.mark.parametrize("name", ["text", "codex", "everything", "nothing_asked"])
def test_a_request_comes_back_as_the_same_document(fixtures, name):
    given = json.loads((fixtures / "requests" / f"{name}.json").read_bytes())

    prompt = OPENAI_RESPONSES.decode_call(given)
    encoded = OPENAI_RESPONSES.encode_call(prompt, model=given["model"], stream=given.get("stream", False), drop=False)

    assert json.loads(msgspec.json.encode(encoded.body)) == given
    assert encoded.dropped == ()


def test_every_field_of_the_official_client_is_accepted_or_refused_by_name(fixtures):
    given = json.loads((fixtures / "requests" / "everything.json").read_bytes())
    official = set(get_type_hints(ResponseCreateParamsNonStreaming))

    assert official - {*given, *STATELESS, "prompt"} == set()
    for name, value in STATELESS.items():
        with pytest.raises(InvalidRequest, match="stored responses are not available") as caught:
            decode(**{name: value})
        assert caught.value.param == name


def test_a_template_that_a_provider_keeps_is_refused_by_name():
    """A template of this server's own never comes as far as this: whatever does is not here."""
    with pytest.raises(NotFound, match="There is no prompt 'pmpt_1' here") as caught:
        decode(prompt={"id": "pmpt_1", "version": "2", "variables": {"name": "Ada"}})

    assert caught.value.param == "prompt.id"
    assert "runs" not in caught.value.message


def test_what_codex_sends_becomes_items_and_tools(fixtures):
    prompt = OPENAI_RESPONSES.decode_call(json.loads((fixtures / "requests" / "codex.json").read_bytes()))

    roles = [item.role for item in prompt.items if isinstance(item, Message)]
    assert roles == ["system", "developer", "user", "user", "assistant"]
    assert [tool.name for tool in prompt.tools if isinstance(tool, (FunctionTool, CustomTool))] == [
        "exec_command", "update_plan", "apply_patch", "view_image",
    ]  # fmt: skip
    assert [tool.raw["type"] for tool in prompt.tools if isinstance(tool, Foreign)] == ["local_shell", "web_search"]
    assert prompt.reasoning is not None
    assert (prompt.reasoning.effort, prompt.reasoning.summary, prompt.verbosity) == ("medium", "auto", "low")
    assert prompt.parallel_tool_calls is False
    calls = [item for item in prompt.items if isinstance(item, ToolCall)]
    assert [(call.kind, call.call_id) for call in calls] == [("function", "call_1"), ("custom", "call_3")]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "robot", "content": ""}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 3}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": {}, "call_id": "c"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "reasoning", "id": "r", "summary": [{"text": 1}]}]}, "input[0].summary[0].text"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "strict": 1}]}, "tools[0].strict"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "none", "tools": []}}, "tool_choice.mode"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"include": [1]}, "include[0]"),
        ({"truncation": "some"}, "truncation"),
        ({"include": ["reasoning.encrypted_content", "everything"]}, "include[1]"),
        ({"store": "yes"}, "store"),
        ({"stream": 1}, "stream"),
        ({"background": "no"}, "background"),
        ({"stop": [1]}, "stop[0]"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        decode(**fields)

    assert caught.value.param == param
    assert caught.value.status == 400


def test_a_whole_fixture_with_any_one_value_spoilt_is_read_or_refused_but_never_breaks(fixtures):
    """Whatever the JSON, the door gives a Prompt or a 400."""
    given = json.loads((fixtures / "requests" / "everything.json").read_bytes())
    refused: list[InvalidRequest] = []
    for path in _paths(given):
        for bad in (None, 7, "x", [], {}, [[]], True):
            try:
                OPENAI_RESPONSES.decode_call(_with(given, path, bad))
            except InvalidRequest as error:
                refused.append(error)

    assert len(refused) > 100
    assert all(error.param for error in refused)


def _paths(value, path=()):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _with(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], new)
    return copy


def test_an_upstream_is_told_not_to_store_unless_the_client_said_otherwise():
    assert encode(ask()).body["store"] is False
    assert encode(decode()).body["store"] is False
    assert encode(decode(store=True)).body["store"] is True


def test_encrypted_reasoning_is_asked_for_only_if_the_client_did():
    assert "include" not in encode(ask()).body
    assert encode(decode(include=["reasoning.encrypted_content"])).body["include"] == ["reasoning.encrypted_content"]


def test_a_call_from_another_dialect_is_written_in_the_plainest_way():
    body = encode(
        ask(
            Message(role="system", parts=(Text(text="Be kind."),)),
            Message(role="user", parts=(Text(text="Look"), Image(data="AAAA", media_type="image/png"))),
            Message(role="assistant", parts=(Text(text="I look."),), id="chatcmpl-1"),
            ToolCall(call_id="c1", name="look", arguments="{}", id="toolu_1"),
            ToolResult(call_id="c1", parts=(Text(text="seen"),)),
            ToolResult(call_id="c2", parts=(Text(text="a"), Image(url="https://e.com/a.png", detail="low"))),
            Message(role="assistant", parts=(Text(text="One."), Refusal(text="No."))),
            tools=(FunctionTool(name="look", parameters={"type": "object"}), CustomTool(name="sing")),
            tool_choice=ToolChoice(mode="named", names=("sing",)),
            output=OutputFormat(kind="json_schema", schema={"type": "object"}),
            reasoning=ReasoningOptions(budget=8000),
            max_output_tokens=50,
            user="u",
        )
    ).body

    assert body == {
        "model": "m",
        "input": [
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                ],
            },
            {"type": "message", "role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "https://e.com/a.png", "detail": "low"},
                ],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "One.", "annotations": []},
                    {"type": "refusal", "refusal": "No."},
                ],
                "id": "msg_6",
                "status": "completed",
            },
        ],
        "tools": [
            {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False},
            {"type": "custom", "name": "sing"},
        ],
        "tool_choice": {"type": "custom", "name": "sing"},
        "max_output_tokens": 50,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}}},
        "reasoning": {"effort": "medium"},
        "user": "u",
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def test_equal_calls_are_written_as_equal_bytes(fixtures):
    given = (fixtures / "requests" / "everything.json").read_bytes()

    first, second = (msgspec.json.encode(encode(OPENAI_RESPONSES.decode_call(json.loads(given))).body) for _ in "ab")

    assert first == second


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"top_k": 4}, "top_k"),
        ({"stop": ("END",)}, "stop"),
        ({"seed": 1}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"rest": {"openai_chat": {"n": 2}}}, "n"),
        ({"rest": {"openai_chat": {"logit_bias": {"1": 2}}}}, "logit_bias"),
        ({"tools": (Foreign(dialect="anthropic_messages", raw={"type": "bash_20250124"}),)}, "tools[0]"),
        (
            {"tools": (FunctionTool(name="f", rest={"anthropic_messages": {"defer_loading": True}}),)},
            "tools[0].defer_loading",
        ),
        ({"tool_choice": ToolChoice(mode="auto", raw={"openai_chat": {"type": "x"}})}, "tool_choice"),
        (
            {
                "items": (
                    Foreign(dialect="anthropic_messages", raw={"type": "server_tool_use"}),
                    Message(role="user", parts=(Text(text="x"),)),
                )
            },
            "input[0]",
        ),
    ],
)
def test_what_this_api_lacks_is_refused_or_by_permission_dropped_and_named(fields, name):
    prompt = msgspec.structs.replace(ask(), **fields)

    with pytest.raises(UnsupportedParameter, match="Responses API") as caught:
        encode(prompt)
    assert caught.value.param == name
    assert name in encode(prompt, drop=True).dropped


def test_hints_of_other_dialects_are_dropped_and_named_or_mapped():
    prompt = ask(
        Message(role="user", parts=(Text(text="x", cache={"type": "ephemeral"}),)),
        rest={"openai_chat": {"n": 1, "prediction": {"type": "content"}, "safety_identifier": "s"}},
        service_tier="standard_only",
    )

    encoded = encode(prompt)

    assert encoded.body["safety_identifier"] == "s"
    assert set(encoded.dropped) == {"cache_control", "prediction", "service_tier"}


def test_instructions_stay_instructions_and_a_stage_may_change_them():
    prompt = decode(instructions="Be brief.")
    assert prompt.items[0].role == "system"

    first = msgspec.structs.replace(prompt.items[0], parts=(Text(text="Be long."),))
    changed = msgspec.structs.replace(prompt, items=(first, *prompt.items[1:]), temperature=0.3)

    body = encode(changed).body
    assert (body["instructions"], body["temperature"], body["input"]) == ("Be long.", 0.3, "x")


def test_what_a_stage_sets_wins_over_a_null_of_the_client():
    prompt = msgspec.structs.replace(decode(temperature=None), temperature=0.1)

    assert encode(prompt).body["temperature"] == 0.1


def test_a_plain_document_becomes_a_file_that_the_api_takes():
    part = encode(ask(Message(role="user", parts=(Document(text="héllo"),)))).body["input"][0]["content"][0]

    assert part == {
        "type": "input_file",
        "file_data": "data:text/plain;base64,aMOpbGxv",
        "filename": "document.txt",
    }


def test_reasoning_of_another_origin_never_reaches_this_upstream():
    encoded = encode(ask(Reasoning(text="hm", signature="sig", origin="anthropic_messages"), *ask().items))

    assert [item["type"] for item in encoded.body["input"]] == ["message"]
    assert encoded.dropped == ("reasoning",)
