"""Cedar text is divided and measured before Cedar sees it: Cedar names no line, and overflows its stack on deep nesting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.policy_settings import PolicyText
from gateway.policies.source import MOST_TOKENS, divide

PERMIT = "permit (principal, action, resource)"


def split(text):
    return divide(PolicyText(name="a.cedar", path="policies/a.cedar", text=text))


def test_policies_are_told_apart_with_their_lines():
    pieces, faults = split(
        f'// one; two\n{PERMIT};\n\n@id("b;")\n{PERMIT} // ; not here\nwhen {{ "\\";" == "" }}; {PERMIT};'
    )

    assert faults == []
    assert [(piece.line, piece.column, piece.derived_id) for piece in pieces] == [
        (2, 1, "a.cedar:2"),
        (4, 1, "a.cedar:4"),
        (6, 23, "a.cedar:6:23"),
    ]
    assert pieces[1].text.startswith('@id("b;")')


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{PERMIT};\n{PERMIT}\n", 2, "a semicolon is missing"),
        (f'{PERMIT};\n{PERMIT} when {{ "open }};\n', 2, "a quotation mark"),
        (f"{PERMIT} when {{ {'(' * 60}true{')' * 60} }};", 1, "nested more than"),
        (f"\n\n{PERMIT} when {{ {' && '.join(['true'] * MOST_TOKENS)} }};", 3, "too long"),
        (f"{PERMIT} when {{ {'if true then ' * 20_000} true }};", 1, "too long"),
        (f"{PERMIT};\n// permit\u202e\n", 2, "U+202E"),
        (f"{PERMIT};\nfor\u200bbid", 2, "U+200B"),
    ],
)
def test_what_cannot_be_a_policy_is_named_with_its_line(text, line, said):
    _, faults = split(text)

    assert [(fault.file, fault.line) for fault in faults] == [("policies/a.cedar", line)]
    assert said in faults[0].message


def test_a_long_list_of_names_is_no_long_policy():
    names = ", ".join(f'"model-{number}"' for number in range(2_000))

    pieces, faults = split(f"{PERMIT} when {{ [{names}].contains(resource.id) }};")

    assert (len(pieces), faults) == (1, [])


def test_a_comment_ends_where_cedar_says_it_does():
    # A carriage return ends a comment there: what hides behind it counts.
    pieces, _ = split(f"// note\r{PERMIT};")

    assert len(pieces) == 1


@given(st.text(alphabet='pf();"\\/\n\r @{}\u202e', max_size=60))
def test_no_text_stops_the_reading(text):
    pieces, faults = split(text)

    assert all(piece.text.endswith(";") and piece.line >= 1 for piece in pieces)
    assert all(fault.line >= 1 for fault in faults)
