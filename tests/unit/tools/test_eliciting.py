"""What servers ask people for, as wishes: what is no form, no page or too much is refused in words. Sources: MCP 2025-11-25 and 2026-07-28, elicitation."""

import pytest

from gateway.tools.connection import ToolCallAsked
from gateway.tools.eliciting import Flight, needed, required

FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
ASKS = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": FORM}}


def params(**fields):
    return {"message": "Who?", "requestedSchema": FORM} | fields


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"method": "sampling/createMessage", "params": {}}, "sampling"),
        ({"method": "roots/list"}, "roots"),
        ({"method": "x"}, "'x'"),
        (7, "'None'"),
        ({"method": "elicitation/create"}, "cannot be read"),
        ({"method": "elicitation/create", "params": params(message=None)}, "words that cannot be shown"),
        ({"method": "elicitation/create", "params": params(message="x" * 4001)}, "words that cannot be shown"),
        ({"method": "elicitation/create", "params": params(requestedSchema=None)}, "a form that is none"),
        ({"method": "elicitation/create", "params": params(requestedSchema={"type": "string"})}, "a form that is none"),
        (
            {"method": "elicitation/create", "params": params(requestedSchema={**FORM, "properties": {"a": {"type": "object"}}})},
            "'a'",
        ),
        ({"method": "elicitation/create", "params": params(mode="url", url="javascript:alert(1)")}, "address"),
        ({"method": "elicitation/create", "params": params(mode="voice")}, "'voice'"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_to_people_is_refused_in_words(request_, why):
    output = needed({"inputRequests": {"k": request_}, "requestState": "s"})

    assert (output.is_error, output.wishes) == (True, ())
    assert why in output.text


def test_too_many_things_too_much_to_keep_and_nonsense_are_refused():
    many = needed({"inputRequests": {str(number): ASKS for number in range(9)}})
    much = needed({"inputRequests": {"k": ASKS}, "requestState": "x" * 70_000})
    strange = needed({"inputRequests": [ASKS]})

    assert many.is_error
    assert much.is_error
    assert strange.is_error


def test_a_server_that_only_wants_to_be_asked_again_asks_nobody():
    assert needed({"requestState": "s"}) is None


def test_a_page_that_has_to_be_visited_is_a_wish_and_an_error_without_one_is_an_error():
    [wish] = required(
        {"elicitations": [{"message": "Pay.", "url": "https://a.example", "elicitationId": "1"}]}, {}
    ).wishes

    assert (wish.message, wish.url) == ("Pay.", "https://a.example")
    assert required({"elicitations": []}, {}).is_error
    assert required(None, {}).is_error


def test_a_question_is_known_again_and_a_second_one_alike_is_another():
    asked = ToolCallAsked(tool=None, arguments={}, key="k", seconds=1)
    first = Flight(asked)
    assert first.answer(params()) == first.answer(params()) == {"action": "cancel"}
    one, two = first.wishes

    again = Flight(ToolCallAsked(tool=None, arguments={}, key="k", seconds=1, answers={one.key: {"name": "Ada"}}))
    assert again.answer(params()) == {"action": "accept", "content": {"name": "Ada"}}
    assert again.answer(params()) == {"action": "cancel"}
    assert again.wishes[0].key == two.key != one.key
    assert again.wishes[0].earlier == {one.key: {"name": "Ada"}}
