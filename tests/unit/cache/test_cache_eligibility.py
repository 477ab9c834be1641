"""When not: calls whose answers are neither looked for nor kept, each with a word that says why. Issue 5, "When not"."""

import pytest

from gateway.cache.eligibility import why_not
from gateway.config.cache_settings import ModelCacheSettings
from tests.unit.cache.test_cache_key import call

BOUNDS = ModelCacheSettings()
TOOLS = [{"type": "function", "function": {"name": "send_mail", "parameters": {}}}]


def said(*parts):
    return {"messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"temperature": 1.01}, "temperature"),
        ({"n": 2}, "n"),
        ({"prompt": ["one", "other"]}, "n"),
        ({"prompt": [[1, 2], [3]]}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 0}, "logprobs"),
        ({"top_logprobs": 2}, "logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "logprobs"),
        ({"tools": TOOLS}, "tools"),
        ({"functions": [{"name": "f"}]}, "tools"),
        ({"tools": TOOLS, "tool_choice": "auto"}, "tools"),
        ({"web_search_options": {}}, "tools"),
        ({"mcp_servers": [{"url": "x"}]}, "tools"),
        ({"search_parameters": {"mode": "on"}}, "tools"),
        ({"plugins": [{"id": "web"}]}, "tools"),
        ({"data_sources": [{"type": "azure_search"}]}, "tools"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"container": "c"}, "container"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "audio"),
        (said({"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}), "attachment"),
        (said({"type": "image_url", "image_url": "http://example.com/cat.png"}), "attachment"),
        (said({"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}}), "attachment"),
        (said({"type": "file", "file": {"file_id": "file_1"}}), "attachment"),
        (said({"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}), "attachment"),
        (said({"type": "document", "source": {"type": "file", "file_id": "file_1"}}), "attachment"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a/b"}]}]}, "attachment"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://a/b"}]}]}, "attachment"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "attachment"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image", "source": {"url": "http://a"}}]}]}]},
            "attachment",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_cached_says_why(fields, why):
    assert why_not(call({"model": "m", **fields}), BOUNDS) == why


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1.0},
        {"temperature": None},
        {"n": 1},
        {"logprobs": False},
        {"tools": []},
        {"tools": TOOLS, "tool_choice": "none"},
        {"tools": TOOLS, "tool_choice": {"type": "none"}},
        {"store": False},
        {"background": False},
        {"prompt": {"id": "pmpt_1", "version": "3"}},
        {"prompt": "Once upon a time"},
        {"prompt": ["Once upon a time"]},
        {"prompt": [1, 2, 3]},
        {"modalities": ["text"]},
        said({"type": "text", "text": "see https://example.com"}),
        said({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
        said({"type": "image", "source": {"type": "base64", "data": "AAAA"}}),
        said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"url": "https://a"}}]}]},
    ],
    ids=str,
)
def test_the_rest_may_be_cached(fields):
    """An attachment that is in the body is in the key, by every byte of it."""
    assert why_not(call({"model": "m", **fields}), BOUNDS) == ""


def test_tools_of_the_client_may_be_allowed_and_those_that_the_provider_runs_may_not():
    allowing = ModelCacheSettings(tools=True)

    assert why_not(call({"tools": TOOLS}), allowing) == ""
    assert why_not(call({"tools": [{"name": "f", "input_schema": {}}]}), allowing) == ""
    assert why_not(call({"tools": [*TOOLS, {"type": "web_search"}]}), allowing) == "tools"
    assert why_not(call({"tools": [{"type": "code_execution_20250522", "name": "c"}]}), allowing) == "tools"


def test_the_temperature_is_the_operators():
    strict = ModelCacheSettings(most_temperature=0)

    assert why_not(call({"temperature": 0.1}), strict) == "temperature"
    assert why_not(call({"temperature": 0}), strict) == ""


def test_a_call_that_names_no_temperature_has_that_of_the_apis():
    """It is 1: where only cooler calls are cached, such a one is none of them."""
    for most, why in ((0, "temperature"), (0.99, "temperature"), (1, ""), (2, "")):
        bounds = ModelCacheSettings(most_temperature=most)
        assert why_not(call({"messages": []}), bounds) == why
        assert why_not(call({"messages": [], "n": 1}), bounds) == why
        assert why_not(call({"messages": [], "temperature": None}), bounds) == why
    embedding = call({"input": "x"}, operation="embed")
    assert why_not(embedding, ModelCacheSettings(most_temperature=0)) == ""


def test_copies_counts_and_calls_that_a_guardrail_has_changed_are_not_cached():
    assert why_not(call({"messages": []}, shadow_of="call_0"), BOUNDS) == "shadow"
    assert why_not(call({"messages": []}, operation="count_tokens"), BOUNDS) == "count_tokens"
    assert why_not(call({}), BOUNDS) == "edited"


def test_what_is_nested_too_deep_to_be_seen_through_is_not_cached():
    content = [{"type": "text", "text": "x"}]
    for _ in range(20):
        content = [{"type": "tool_result", "content": content}]

    assert why_not(call({"messages": content}), BOUNDS) == "attachment"
