"""Claude Code works against /v1/messages and count_tokens: answers, tools that it runs, thinking, failures."""

import pytest

from gateway.core.items import Json

pytestmark = pytest.mark.agent_clis

ROUTES = ["scripted", "over-chat", "over-chat-strictly", "over-messages", "over-responses"]


def result(run) -> dict[str, Json]:
    return next(line for line in run.lines if line["type"] == "result")


def blocks(run, kind: str) -> list[dict[str, Json]]:
    said = [line["message"]["content"] for line in run.lines if line["type"] in ("assistant", "user")]
    return [block for content in said if isinstance(content, list) for block in content if block["type"] == kind]


def generations(run) -> list[int]:
    return [call["status"] for call in run.calls if call["operation"] == "generate"]


def test_claude_code_shows_an_answer_and_its_token_counts(claude):
    run = claude("scripted", "PLAIN question")

    end = result(run)
    assert (end["subtype"], end["result"]) == ("success", "The answer is forty-two."), run.text
    assert generations(run) == [200]
    counted = end["usage"]
    assert (counted["input_tokens"], counted["cache_read_input_tokens"], counted["output_tokens"]) == (1200, 200, 7)


@pytest.mark.parametrize("model", ROUTES)
def test_claude_code_runs_a_command_and_hands_its_output_back(claude, model):
    run = claude(model, "BASH task")

    assert [block["content"] for block in blocks(run, "tool_result")] == ["the secret word is heliotrope"], run.text
    assert result(run)["result"] == "The note says: the secret word is heliotrope"
    assert result(run)["num_turns"] == 2
    assert generations(run) == [200, 200]


def test_claude_code_runs_two_tools_of_one_answer(claude):
    run = claude("scripted", "BOTH task")

    assert {block["name"] for block in blocks(run, "tool_use")} == {"Bash", "Read"}, run.text
    assert len(blocks(run, "tool_result")) == 2
    assert result(run)["subtype"] == "success"
    assert generations(run) == [200, 200]


@pytest.mark.parametrize("model", ["scripted", "over-messages"])
def test_claude_code_gets_thinking_with_its_signature_and_may_send_it_back(claude, model):
    run = claude(model, "BASH task")

    [thinking] = blocks(run, "thinking")
    assert (thinking["thinking"], thinking["signature"]) == ("Let me look at the note first.", "c2lnbmVk")
    assert generations(run) == [200, 200]


def test_claude_code_waits_and_asks_again_when_the_upstream_is_busy(claude):
    run = claude("flaky-for-claude", "BUSY task")

    assert result(run)["result"] == "Served after a wait.", run.text
    assert generations(run) == [429, 200]


def test_claude_code_recovers_when_a_stream_breaks_off(claude):
    run = claude("flaky-for-claude", "BROKEN task")

    assert result(run)["result"] == "Whole at last.", run.text
    assert len(generations(run)) == 2


def test_claude_code_shows_why_an_upstream_refused(claude):
    end = result(claude("scripted", "STRANGE task"))

    assert end["is_error"]
    assert end["api_error_status"] == 400
    assert "This prompt is too strange." in end["result"]


def test_claude_code_shows_that_a_model_does_not_exist(claude):
    end = result(claude("scriptd", "PLAIN question"))

    assert end["is_error"]
    assert end["api_error_status"] == 404


def test_claude_code_talks_to_the_embedded_model(claude):
    """Without its tools, for which so small a model has no room, and without an effort, which it does not know.

    When it stops is the model's own affair: Claude Code asks it to go on, up to three times, where it was cut.
    """
    modest = ("--system-prompt", "You are helpful.", "--tools", "")
    limits = {"CLAUDE_CODE_EFFORT_LEVEL": "unset", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "64"}

    run = claude("embedded", "Say hello in one short sentence.", *modest, **limits)

    end = result(run)
    assert (end["subtype"], set(generations(run))) == ("success", {200}), run.text
    assert end["result"].strip()
    assert end["usage"]["input_tokens"] > 0
    assert end["usage"]["output_tokens"] > 0


def test_claude_code_counts_tokens(claude):
    run = claude("scripted", "/context")

    counts = [call for call in run.calls if call["operation"] == "count_tokens"]
    assert counts, run.text
    assert {call["status"] for call in counts} == {200}
    assert "Context Usage" in result(run)["result"]
