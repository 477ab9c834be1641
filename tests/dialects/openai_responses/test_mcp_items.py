"""A model reads calls of tools as its own functions, and never that something was not done of which nobody knows."""

import pytest

from gateway.dialects.openai_responses.mcp_items import (
    AGENT_WAITS,
    WAITS,
    call,
    completed,
    failed,
    for_model,
    item_id,
    request,
    response,
)

STEP = "0" * 23 + "1"
ONE, TWO = (item_id("mcp_call", STEP, index) for index in (0, 1))
ASKED = item_id("mcp_approval_request", STEP, 0)
QUESTION = request(ASKED, "ops", "scale", '{"to":3}')
BEGUN = failed(call(ONE, "ops", "scale", '{"to":3}'), "It is not known.", status="incomplete")


def outputs(*items):
    return [body["output"] for body in for_model(items) if body["type"] == "function_call_output"]


def test_calls_of_one_answer_come_together_and_then_what_came_of_them():
    shown = list(for_model([completed(call(ONE, "ops", "a", "{}"), "x"), completed(call(TWO, "ops", "b", "{}"), "y")]))

    assert [(body["type"], body["call_id"]) for body in shown] == [
        ("function_call", ONE), ("function_call", TWO), ("function_call_output", ONE), ("function_call_output", TWO),
    ]  # fmt: skip
    assert shown[0]["name"] == "ops__a"


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([QUESTION], ["waits for a person's approval. It has not been made."]),
        ([QUESTION, response("r", ASKED, approve=False)], ["it was not made."]),
        ([QUESTION, response("r", ASKED, approve=False, reason="Not now.")], ["The reason given: Not now."]),
        ([BEGUN, QUESTION], ["It is not known.", "It waits for a person, and has not been made again."]),
        ([BEGUN, QUESTION, response("r", ASKED, approve=False, reason="I looked: it was done.")], ["It is not known.", "it was done."]),
    ],
    ids=["asked", "refused", "refused-why", "lost", "lost-and-not-again"],
)  # fmt: skip
def test_what_people_are_asked_and_say_is_told_as_it_is(items, said):
    told = outputs(*items)

    assert len(told) == len(said)
    assert all(part in text for part, text in zip(said, told, strict=True))


def test_a_call_that_was_refused_is_shown_after_what_came_before_it_and_not_beside_it():
    before = completed(call(item_id("mcp_call", "0" * 24, 0), "ops", "look", "{}"), "x")

    shown = [body["type"] for body in for_model([before, QUESTION, response("r", ASKED, approve=False)])]

    assert shown == ["function_call", "function_call_output"] * 2


AGENT = failed(
    call(ONE, "agents", "helper", '{"input":"x"}', request="mcpr_" + "f" * 26), "It waits.", status="incomplete"
)
THEIRS = request("mcpr_" + "f" * 26, "ops", "scale", "{}")
ALSO_THEIRS = request("mcpr_" + "e" * 26, "ops", "scale", "{}")
NEXT = item_id("mcp_call", "0" * 23 + "2", 0)


def shown(*items):
    """The calls that a model sees, and what came of them."""
    bodies = list(for_model(items))
    outputs = {body["call_id"]: body["output"] for body in bodies if body["type"] == "function_call_output"}
    return [(body["name"], outputs[body["call_id"]]) for body in bodies if body["type"] == "function_call"]


@pytest.mark.parametrize("answer", [(), (response("r", THEIRS["id"], approve=False),)], ids=["open", "refused"])
def test_what_an_agent_asks_is_not_its_callers_call(answer):
    assert shown(AGENT, THEIRS, ALSO_THEIRS, *answer) == [("agents__helper", AGENT_WAITS)]


def test_an_agent_that_waited_is_shown_with_its_answer_alone():
    done = completed(call(NEXT, "agents", "helper", '{"input":"x"}', request=THEIRS["id"]), "Done.")

    assert shown(AGENT, THEIRS, response("r", THEIRS["id"], approve=True), done) == [("agents__helper", "Done.")]


def test_questions_of_the_run_itself_are_told_beside_an_agents():
    own = request(item_id("mcp_approval_request", STEP, 1), "ops", "scale", "{}")
    later = request(item_id("mcp_approval_request", "0" * 23 + "3", 0), "ops", "stop", "{}")
    done = completed(call(NEXT, "agents", "helper", '{"input":"x"}', request=THEIRS["id"]), "Done.")

    assert ("ops__scale", WAITS) in shown(AGENT, THEIRS, own)
    assert ("ops__stop", WAITS) in shown(AGENT, THEIRS, done, later)


def test_nobody_says_that_a_call_was_not_made_that_was_begun():
    told = outputs(BEGUN, QUESTION, response("r", ASKED, approve=False))

    assert not any("was not made" in text or "has not been made." in text for text in told)


def test_a_call_that_is_made_after_a_question_is_shown_with_what_came_of_it_alone():
    made = completed(call(TWO, "ops", "scale", '{"to":3}', request=ASKED), "done")

    assert outputs(QUESTION, response("r", ASKED, approve=True), made) == ["done"]
