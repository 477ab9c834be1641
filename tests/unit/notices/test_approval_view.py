"""What people are shown of an approval is what is asked, to the byte, and nothing in it is hidden."""

import json

import msgspec
import pytest

from gateway.notices.approval_view import approval_view, mark, outcome, visible
from tests.unit.notices.approvals import NOW, approval, vote


def shown(one, votes=()):
    return json.loads(msgspec.json.encode(approval_view(one, votes)))


def test_the_arguments_are_shown_as_they_are_asked_about_and_hashed():
    one = approval(arguments='{"amount":12345678901234567890,"x":1.10}')

    view = shown(one)

    assert view["arguments_text"] == '{"amount":12345678901234567890,"x":1.10}'
    assert view["arguments"]["amount"] == 12345678901234567890
    assert view["arguments_sha256"] == one.arguments_hash


def test_edited_arguments_stand_in_the_place_of_those_asked_about_which_are_shown_beside_them():
    view = shown(approval(edited='{"replicas":2}', version=2))

    assert view["arguments"] == {"replicas": 2}
    assert view["arguments_before"] == '{"host":"db-1","replicas":5}'


def test_where_each_argument_came_from_is_shown():
    view = shown(approval())

    assert view["origins"] == {
        "replicas": {"source": "web/fetch", "integrity": "untrusted", "confidentiality": "internal"}
    }
    assert view["taint"] == ["web/fetch"]


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\u2066", "\ufeff", "\x1b", "\U000e0041", "\u3164", "\x7f"])
def test_what_is_not_seen_or_turns_a_line_around_is_written_out(hidden):
    text = f'{{"path":"a{hidden}b"}}'

    assert hidden not in visible(text)
    assert "\\u" in visible(text)


@pytest.mark.parametrize("hidden", ["\u202e", "\U000e0041", "\u200b"])
def test_json_with_what_is_hidden_written_out_means_the_same(hidden):
    text = f'{{"path":"a{hidden}b"}}'

    assert json.loads(visible(text)) == json.loads(text)


def test_text_that_is_seen_stays_as_it_is():
    text = "Füße, 東京, \U0001f600\n\ttab"

    assert visible(text) == text


def test_a_mark_differs_with_everything_that_a_message_shows():
    states = [
        mark(approval(), []),
        mark(approval(), [vote()]),
        mark(approval(version=2), [vote()]),
        *(mark(approval(state=state), []) for state in ("approved", "denied", "expired", "cancelled")),
    ]

    assert len(set(states)) == len(states)
    assert mark(approval(state="consumed"), []) == mark(approval(state="approved"), [])


@pytest.mark.parametrize(
    ("one", "votes", "said"),
    [
        (approval(), [], "Nobody has answered yet."),
        (approval(quorum=2), [vote()], "1 of 2 have approved."),
        (approval(quorum=2, version=2), [vote(), vote("eve", version=2)], "1 of 2 have approved."),
        (approval(state="approved", decided_at=NOW), [vote()], "Approved by ada at 2026-09-21 14:13:20 UTC."),
        (approval(state="consumed", edited="{}"), [vote()], "Approved with other arguments by ada."),
        (approval(state="denied"), [vote(approve=False, reason="too many")], "Denied by ada: too many"),
        (approval(state="expired"), [], "Expired; nobody can answer any more."),
        (approval(state="cancelled"), [], "Cancelled; nobody can answer any more."),
    ],
)
def test_what_became_of_an_approval_is_said_in_a_sentence(one, votes, said):
    assert outcome(one, votes) == said
