"""What Codex CLI and Claude Code really send: recorded requests, their long texts shortened, survive and translate."""

import json
from pathlib import Path

import msgspec
import pytest

from gateway.core.content import FunctionTool, Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.items import Foreign, ToolCall, ToolResult
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES

FIXTURES = Path(__file__).parent / "fixtures"
CODEX = sorted((FIXTURES / "openai_responses" / "clients").glob("codex-*.json"))
CLAUDE_CODE = sorted((FIXTURES / "anthropic_messages" / "clients").glob("claude-code-*.json"))
COUNTS = [path for path in CLAUDE_CODE if "count" in path.name]
CALLS = [
    *((path, OPENAI_RESPONSES) for path in CODEX),
    *((path, ANTHROPIC_COUNT_TOKENS if path in COUNTS else ANTHROPIC_MESSAGES) for path in CLAUDE_CODE),
]


def name(value: object) -> str:
    return value.stem if isinstance(value, Path) else getattr(value, "name", "")


def request_in(path: Path) -> dict[str, object]:
    return json.loads(path.read_bytes())


def decoded(path: Path, dialect) -> Prompt:
    return dialect.decode_call(request_in(path))


@pytest.mark.parametrize(("path", "dialect"), CALLS, ids=name)
def test_a_recorded_request_comes_back_as_the_same_document(path, dialect):
    given = request_in(path)

    encoded = dialect.encode_call(
        decoded(path, dialect), model=given["model"], stream=given.get("stream", False), drop=False
    )

    assert json.loads(msgspec.json.encode(encoded.body)) == given
    assert encoded.dropped == ()


@pytest.mark.parametrize("path", [path for path in CLAUDE_CODE if path not in COUNTS], ids=name)
@pytest.mark.parametrize("other", [OPENAI_CHAT, OPENAI_RESPONSES], ids=name)
def test_nothing_that_claude_code_sends_is_refused_elsewhere(path, other):
    """The marks of its cache and the edits of its context are hints: named, and left out."""
    prompt = decoded(path, ANTHROPIC_MESSAGES)

    encoded = other.encode_call(prompt, model="m", stream=True, drop=False)

    assert {"cache_control", "context_management"} <= set(encoded.dropped)
    assert len(encoded.body["tools"]) == len(prompt.tools)


@pytest.mark.parametrize("path", CODEX, ids=name)
@pytest.mark.parametrize("other", [OPENAI_CHAT, ANTHROPIC_MESSAGES], ids=name)
def test_all_that_codex_loses_elsewhere_by_permission_is_named(path, other):
    prompt = decoded(path, OPENAI_RESPONSES)
    hosted = {f"tools[{number}]" for number, tool in enumerate(prompt.tools) if isinstance(tool, Foreign)}

    encoded = other.encode_call(prompt, model="m", stream=True, drop=True)

    assert {part.partition(".type")[0] for part in encoded.dropped if part.startswith("tools[")} == hosted
    assert {"client_metadata", "include", "prompt_cache_key"} <= set(encoded.dropped)
    assert len(encoded.body["tools"]) == len(prompt.tools) - len(hosted)


@pytest.mark.parametrize("path", CODEX, ids=name)
@pytest.mark.parametrize("other", [OPENAI_CHAT, ANTHROPIC_MESSAGES], ids=name)
def test_only_tools_without_a_form_elsewhere_are_refused_of_codex(path, other):
    """A namespace of tools and OpenAI's own web search are more than hints; both can be switched off in Codex."""
    prompt = decoded(path, OPENAI_RESPONSES)
    modest = msgspec.structs.replace(prompt, tools=tuple(t for t in prompt.tools if isinstance(t, FunctionTool)))

    with pytest.raises(UnsupportedParameter, match="'namespace'") as caught:
        other.encode_call(prompt, model="m", stream=True, drop=False)
    assert (caught.value.param or "").startswith("tools[")
    other.encode_call(modest, model="m", stream=True, drop=False)


def test_tool_results_of_both_clients_find_their_calls():
    for path, dialect in CALLS:
        if "after" not in path.name:
            continue
        items = decoded(path, dialect).items
        calls = [item.call_id for item in items if isinstance(item, ToolCall)]
        results = [item.call_id for item in items if isinstance(item, ToolResult)]
        assert sorted(calls) == sorted(results), path.name
        assert len(calls) == (2 if "two" in path.name else 1), path.name
