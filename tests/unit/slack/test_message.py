"""What is shown in Slack is the whole of what is asked, and nothing that a model wrote can pass for anything else."""

import json

import pytest

from gateway.slack.message import MOST_SHOWN, Ticket, message, modal
from tests.slack_double import buttons, fault_of, words
from tests.unit.notices.approvals import approval, vote

FORGERIES = [
    "<!channel>",
    "<@U0ADA>",
    "<https://evil.example|Approve>",
    "*bold* _it_ `code`",
    "&lt;!here&gt;",
    ":tada:",
    "```",
]


def labels(shown):
    return [button["text"]["text"] for button in buttons(shown)]


def test_the_exact_arguments_are_shown():
    shown = message(approval(), [], "n")

    assert '{\n  "host": "db-1",\n  "replicas": 5\n}' in words(shown)


def test_why_it_is_asked_and_where_each_argument_came_from_is_shown():
    said = words(message(approval(groups=("sre",), quorum=2), [], "n"))

    for part in ("ops/scale", "sre-helper", "bob", "More than 3 replicas need leave. (large-scale)", "2 of sre",
                 "replicas comes from: web/fetch (untrusted, internal)", "The model had read: web/fetch"):  # fmt: skip
        assert part in said


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_a_model_or_a_tool_wrote_is_never_markup(forgery):
    """In the elements of rich text Slack reads none; the line for notifications is escaped."""
    shown = message(
        approval(arguments=json.dumps({"x": forgery}), agent=forgery, tool=forgery, reason=forgery, taint=(forgery,)),
        [],
        "n",
    )

    assert "<" not in shown["text"]
    for block in shown["blocks"]:
        assert block["type"] in ("rich_text", "actions", "context")
        if block["type"] == "context":
            assert [element["type"] for element in block["elements"]] == ["plain_text"]
    assert '"mrkdwn"' not in json.dumps(shown)


def test_text_that_turns_a_line_around_is_written_out():
    shown = message(approval(arguments='{"path":"\u202egpj.exe"}'), [], "n")

    assert "\u202e" not in json.dumps(shown, ensure_ascii=False)
    assert "\\u202e" in words(shown)


def test_a_button_carries_the_approval_its_version_and_the_nonce_and_never_the_arguments():
    shown = message(approval(version=3), [], "nonce")

    tickets = {Ticket.read(button["value"]) for button in buttons(shown)}

    assert tickets == {Ticket(approval="mcpr_1", version=3, nonce="nonce")}
    assert "db-1" not in json.dumps(buttons(shown))


def test_who_cannot_see_all_of_the_arguments_cannot_approve_them_there():
    whole = message(approval(arguments=json.dumps({"x": "y" * (MOST_SHOWN - 100)})), [], "n")
    cut = message(approval(arguments=json.dumps({"x": "y" * MOST_SHOWN})), [], "n", show_url="https://gw.example")

    assert labels(whole) == ["Approve", "Deny"]
    assert labels(cut) == ["Deny"]
    assert "more characters are not shown" in words(cut)
    assert "switchgear approvals show mcpr_1 or at https://gw.example" in words(cut)


@pytest.mark.parametrize("state", ["approved", "denied", "expired", "cancelled", "consumed"])
def test_there_are_buttons_only_while_somebody_may_answer(state):
    assert labels(message(approval(), [], "n")) == ["Approve", "Deny"]
    assert labels(message(approval(state=state), [vote()], "n")) == []


def test_what_people_said_is_shown():
    shown = message(approval(state="denied"), [vote(approve=False, reason="not today")], "n")

    assert "Denied by ada: not today" in words(shown)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("call", ["Approve", "Deny"]),
        ("outcome", ["Do it again", "Do not repeat it"]),
        ("question", ["Answer", "Refuse"]),
    ],
)
def test_the_buttons_say_what_they_do(kind, expected):
    assert labels(message(approval(kind=kind), [], "n")) == expected


def test_however_much_is_said_slack_takes_the_message():
    many = {f"arguments[{number}].{'x' * 200}": approval().origins["replicas"] for number in range(500)}
    shown = message(
        approval(
            arguments=json.dumps({"x": "é" * 50_000}), origins=many, reason="r" * 9000, taint=tuple("t" * 300 for _ in range(400)),
            rules=("q" * 300,) * 50, groups=("g" * 128,) * 20, agent="a" * 500,
        ),
        [vote("v" * 100, reason="w" * 2000)], "n",
    )  # fmt: skip

    assert fault_of(shown) == ""
    assert "490 more are not shown" in words(shown)


@pytest.mark.parametrize(
    "text", ["", "mcpr_1", "mcpr_1|1", "mcpr_1||n", "|1|n", "mcpr_1|x|n", "mcpr_1|-1|n", "mcpr_1|1|", "a|٣|n"]
)
def test_what_is_no_ticket_is_none(text):
    assert Ticket.read(text) is None


def test_a_form_brings_back_where_it_belongs():
    ticket = Ticket(approval="mcpr_1", version=1, nonce="n")

    view = modal(ticket, "C0MAIN", approve=False, kind="call")

    assert view["private_metadata"] == "C0MAIN|mcpr_1|1|n"
    assert all(len(view[part]["text"]) <= 24 for part in ("title", "submit", "close"))
