"""Only what leaves nothing behind and makes nobody act is made twice at once; what is not known to be harmless is not."""

import msgspec
import pytest

from gateway.core.call import opened
from gateway.routing.hedging.harmless import is_harmless
from tests.unit.routing.routing_doubles import call_of

FUNCTION = {"type": "function", "function": {"name": "f"}}


def call(dialect, operation="generate", **fields):
    return msgspec.structs.replace(call_of(**fields), dialect=dialect, operation=operation)


@pytest.mark.parametrize(
    "made",
    [
        call("openai_chat", messages=[]),
        call("openai_chat", messages=[], store=False, tools=[FUNCTION, {"type": "custom", "custom": {"name": "c"}}]),
        call("openai_chat", messages=[], web_search_options=None, tools=[]),
        call(
            "anthropic_messages",
            messages=[],
            tools=[{"name": "f", "input_schema": {}}, {"type": "custom", "name": "g"}],
        ),
        call("openai_completions", prompt="Once upon"),
        call("openai_responses", input="hi", store=False, tools=[{"type": "function", "name": "f"}]),
        call("openai_embeddings", "embed", input="hi"),
        call("rerank", "rerank", query="q"),
        call("openai_moderations", "moderate", input="hi"),
        call("anthropic_count_tokens", "count_tokens", messages=[], tools=[{"type": "web_search_20250305"}]),
    ],
)
def test_harmless(made):
    assert is_harmless(made)


@pytest.mark.parametrize(
    "made",
    [
        call("openai_chat", messages=[], store=True),
        call("openai_chat", messages=[], web_search_options={}),
        call("openai_chat", messages=[], tools=[FUNCTION, {"type": "web_search"}]),
        call("openai_chat", messages=[], tools="all"),
        call("openai_chat", messages=[], tools=["all"]),
        call("openai_chat", messages=[], plugins=[{"id": "web"}]),
        call("openai_chat"),
        call("anthropic_messages", messages=[], tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        call("anthropic_messages", messages=[], tools=[{"type": "code_execution_20250825", "name": "code_execution"}]),
        call("anthropic_messages", messages=[], tools=[{"type": "computer_20250124", "name": "computer"}]),
        call("anthropic_messages", messages=[], mcp_servers=[{"url": "https://mcp.example"}]),
        call("anthropic_messages", messages=[], container="c_1"),
        call("openai_responses", input="hi"),
        call("openai_responses", input="hi", store=True),
        opened(call("openai_responses", input="hi")),
        call("openai_responses", input="hi", store=None),
        call("openai_responses", input="hi", store=False, background=True),
        call("openai_responses", input="hi", store=False, previous_response_id="resp_1"),
        call("openai_responses", input="hi", store=False, conversation="conv_1"),
        call("openai_responses", input="hi", store=False, prompt={"id": "pmpt_1"}),
        *[
            call("openai_responses", input="hi", store=False, tools=[{"type": kind}])
            for kind in (
                "mcp",
                "web_search",
                "code_interpreter",
                "computer_use_preview",
                "image_generation",
                "file_search",
            )
        ],
    ],
)
def test_not_harmless(made):
    assert not is_harmless(made)
