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


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "http://bank.example/", "https://bank.example@evil.example/", "https://",
        "https://[evil", "https://a.example:99999/", "https://bank.example\\@evil.example", "https://a.example/\u202egnp.exe", "https://b\u0430nk.example/",
        "https://xn--bnk-6cd.example/", "https://a.example/|click", "https://a.example/> <https://evil.example", "https://a.example/\n", " https://a.example/", "//a.example/",
        "https://a.example/" + "x" * 2000, 7, None,
    ],
)  # fmt: skip
def test_people_are_sent_to_no_address_that_is_other_than_it_looks(url):
    """They see it in Slack, in a terminal, in a client: it must lead where it says, and nobody may read along."""
    output = needed({"inputRequests": {"k": {"method": "elicitation/create", "params": params(mode="url", url=url)}}})
    told = required({"elicitations": [{"message": "Pay.", "url": url}]}, {})

    assert output.wishes == told.wishes == ()
    assert "a page whose address is none" in output.text


@pytest.mark.parametrize(
    "url", ["https://a.example/x?y=%20#z", "HTTPS://A.example", "http://127.0.0.1:8080/", "http://localhost/"]
)
def test_people_are_sent_to_pages(url):
    (wish,) = needed(
        {"inputRequests": {"k": {"method": "elicitation/create", "params": params(mode="url", url=url)}}}
    ).wishes

    assert wish.url == url


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"password": {"type": "string"}}, "a secret"),
        ({"newPassword": {"type": "string"}}, "a secret"),
        ({"api_key": {"type": "string"}}, "a secret"),
        ({"githubAccessToken": {"type": "string"}}, "a secret"),
        ({"x": {"type": "string", "format": "password"}}, "a secret"),
        ({"a": {"type": ["string"]}}, "cannot be shown"),
        ({"a": {"type": {}}}, "cannot be shown"),
        ({"a": {}}, "cannot be shown"),
        ({"a": 7}, "cannot be shown"),
    ],
)
def test_nobody_writes_a_secret_into_a_form_or_is_shown_what_is_no_field(field, says):
    """MCP 2025-11-25, elicitation: servers must not ask for secrets in forms. What is answered is kept in the journal and shown."""
    form = {"type": "object", "properties": {"name": {"type": "string"}, **field}}
    output = needed({"inputRequests": {"k": {"method": "elicitation/create", "params": params(requestedSchema=form)}}})

    assert (output.is_error, output.wishes) == (True, ())
    assert says in output.text


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
