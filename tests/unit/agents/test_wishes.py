"""What people say, read as the form asks for it: a table of the pure function. Promised by docs/approvals.md."""

import pytest

from gateway.agents.wishes import asked_by_agent, read_answer
from gateway.core.tools import Wish


def form(*required, **fields):
    return Wish(message="?", schema={"type": "object", "properties": fields, "required": list(required)})


TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
SOME = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
FLAG = {"type": "boolean"}
BOTH = form("name", name=TEXT, seats=WHOLE)


@pytest.mark.parametrize(
    ("wish", "said", "answer"),
    [
        (form("a", a=TEXT), "plain words: with a colon", {"a": "plain words: with a colon"}),
        (form("a", a=TEXT), "{not json", {"a": "{not json"}),
        (form("a", a=TEXT), '{"a": "b"}', {"a": "b"}),
        (form("a", a=WHOLE), " 12 ", {"a": 12}),
        (form("a", a=NUMBER), "1.5", {"a": 1.5}),
        (form("a", a=FLAG), "Yes", {"a": True}),
        (form("a", a=FLAG), "no", {"a": False}),
        (form("a", a=SOME), "a, b", {"a": ["a", "b"]}),
        (form(a=TEXT), "", {}),
        (BOTH, "name: Ada: the first\n\nseats: 3", {"name": "Ada: the first", "seats": 3}),
        (BOTH, '{"name": "Ada", "seats": 3}', {"name": "Ada", "seats": 3}),
        (BOTH, "name: Ada", {"name": "Ada"}),
        (asked_by_agent("?", []), "Blue.", {"answer": "Blue."}),
        (Wish(message="?", url="https://a.example"), "done", None),
        (Wish(message="?", schema={"type": "object", "properties": {}}), "", None),
    ],
)
def test_an_answer_is_read_as_its_form_asks(wish, said, answer):
    assert read_answer(wish, said) == (answer, "")


@pytest.mark.parametrize(
    ("wish", "said", "why"),
    [
        (form("a", a=TEXT), "  ", "missing: a"),
        (form("a", a=WHOLE), "1.5", "a whole number"),
        (form("a", a=WHOLE), "true", "a whole number"),
        (form("a", a=NUMBER), "much", "a number"),
        (form("a", a=FLAG), "maybe", "yes or no"),
        (BOTH, "Ada, 3", "a line `name: value`"),
        (BOTH, "{broken", "begins like JSON"),
        (BOTH, "seats: 3", "missing: name"),
        (BOTH, "name: Ada\nage: 3", "Nobody asks for 'age'"),
        (BOTH, '{"name": "Ada", "age": 3}', "Nobody asks for 'age'"),
        (form("a", a=TEXT), "x" * 20_001, "more than 20000"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_why(wish, said, why):
    assert why in read_answer(wish, said)[1]
