"""Codex CLI works against /v1/responses: answers, commands that it runs, failures, and every kind of upstream."""

import pytest

from gateway.core.items import Json

pytestmark = pytest.mark.agent_clis

ROUTES = ["scripted", "over-chat", "over-messages", "over-responses"]


def messages(run) -> list[str]:
    items = [line["item"] for line in run.lines if line["type"] == "item.completed"]
    return [item["text"] for item in items if item["type"] == "agent_message"]


def usage(run) -> dict[str, Json]:
    return next(line["usage"] for line in run.lines if line["type"] == "turn.completed")


def failure(run) -> str:
    return next(line["error"]["message"] for line in run.lines if line["type"] == "turn.failed")


def test_codex_shows_an_answer_and_its_token_counts(codex):
    run = codex("scripted", "PLAIN question")

    assert messages(run) == ["The answer is forty-two."], run.text
    assert run.statuses == [200]
    counted = usage(run)
    assert (counted["input_tokens"], counted["cached_input_tokens"], counted["output_tokens"]) == (1400, 200, 7)


@pytest.mark.parametrize("model", ROUTES)
def test_codex_runs_a_command_and_hands_its_output_back(codex, model):
    run = codex(model, "SHELL task")

    commands = [line["item"] for line in run.lines if line.get("item", {}).get("type") == "command_execution"]
    assert [command["exit_code"] for command in commands] == [None, 0], run.text
    assert messages(run)[0] == "I will look."
    assert messages(run)[1].startswith("The note says: ")
    assert "the secret word is heliotrope" in messages(run)[1]
    assert run.statuses == [200, 200]
    assert usage(run)["reasoning_output_tokens"] == 6


def test_codex_waits_and_asks_again_when_the_upstream_is_busy(codex):
    run = codex("flaky-for-codex", "BUSY task")

    assert messages(run) == ["Served after a wait."], run.text
    assert run.statuses == [429, 200]


def test_codex_asks_again_when_a_stream_breaks_off(codex):
    run = codex("flaky-for-codex", "BROKEN task")

    assert messages(run)[-1] == "Whole at last.", run.text
    assert "The connection was lost." in run.text
    assert len(run.calls) == 2


def test_codex_shows_why_an_upstream_refused(codex):
    run = codex("scripted", "STRANGE task")

    assert run.status != 0
    assert "This prompt is too strange." in failure(run)


def test_codex_shows_that_a_model_does_not_exist(codex):
    run = codex("scriptd", "PLAIN question")

    assert run.status != 0
    assert "'scriptd' does not exist here" in failure(run)
    assert "'scripted'" in failure(run)


def test_what_codex_wants_beyond_chat_is_refused_by_name_unless_dropping_is_allowed(codex):
    """Tools in a namespace and OpenAI's own web search have no form there; Codex can do without both."""
    refused = codex("over-chat-strictly", "SHELL task")
    modest = codex("over-chat-strictly", "SHELL task", "--config", 'web_search="disabled"', "--disable", "multi_agent")

    assert "namespace" in failure(refused)
    assert "the secret word is heliotrope" in messages(modest)[-1], modest.text
    assert modest.statuses == [200, 200]


SOCKET = ("--config", "model_providers.switchgear.supports_websockets=true")


@pytest.mark.parametrize("model", ROUTES)
def test_codex_works_over_a_web_socket(codex, model):
    """Where it cannot have one it says so, and goes on without."""
    run = codex(model, "SHELL task", *SOCKET)

    assert "WebSocket" not in run.text
    assert "the secret word is heliotrope" in messages(run)[-1], run.text
    assert run.statuses == [200, 200]


@pytest.mark.parametrize(("task", "last"), [("BUSY task", "Served after a wait."), ("BROKEN task", "Whole at last.")])
def test_codex_asks_again_over_a_web_socket(codex, task, last):
    run = codex("flaky-for-sockets", task, *SOCKET)

    assert messages(run)[-1] == last, run.text
    assert len(run.calls) == 2


def test_codex_shows_over_a_web_socket_why_an_upstream_refused(codex):
    run = codex("scripted", "STRANGE task", *SOCKET)

    assert run.status != 0
    assert "This prompt is too strange." in failure(run)


def test_what_is_dropped_of_a_codex_request_is_named(codex):
    run = codex("over-chat", "PLAIN question")

    assert {"client_metadata", "prompt_cache_key"} <= set(run.calls[0]["dropped"])
