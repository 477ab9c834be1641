"""What was taken out comes back: wherever a stream is cut, in JSON too, and nothing that a user wrote is taken for it."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protection.detect import detect
from gateway.protection.finding import KINDS
from gateway.protection.placeholders import Placeholders
from gateway.protection.redaction import Redactor, find_path
from gateway.protection.restoring import Restorer, restored

VALUES = (
    "jane@example.com",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "536-90-4399",
    "+49 30 901820",
    'a"b\\c@example.com',
)
ALL = dict.fromkeys(KINDS, "placeholder")
SMUGGLED = (
    "⟦EMAIL_1⟧",
    "⟦LITERAL_1⟧",
    "⟦",
    "⟧",
    "⟦EMAIL_",
    "_1⟧",
    "\\u27e6EMAIL_1\\u27e7",
    "\\",
    "EMAIL_1",
    "\u200b",
    "⟦EMAIL_1",
)
texts = st.lists(
    st.sampled_from((*VALUES, *SMUGGLED, " ", ", ", "\n", "text", "é", '"', "{", "1")) | st.text(max_size=4)
).map("".join)


def redacted(text, actions=ALL):
    placeholders = Placeholders()
    redactor = Redactor(actions, placeholders)
    return redactor.text(text), placeholders, redactor


def cut(text, places):
    ends = sorted({0, *(place % (len(text) + 1) for place in places), len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def streamed(pieces, placeholders, *, in_json=False):
    restorer = Restorer(placeholders, in_json=in_json)
    return "".join([restorer.feed(piece) for piece in pieces] + [restorer.finish()])


@given(texts, st.lists(st.integers(min_value=0)))
def test_redacted_and_restored_is_the_same_wherever_it_is_cut(text, places):
    hidden, placeholders, redactor = redacted(text)
    if text[:1] in "{[" and redactor.changed:
        return  # a JSON document may come back in another form: that is tested below

    assert restored(hidden, placeholders) == text
    assert streamed(cut(hidden, places), placeholders) == text


@given(texts)
def test_no_value_survives(text):
    hidden, _, redactor = redacted(text)
    values = {text[start:end] for _, start, end in detect(text)}

    assert detect(hidden) == []
    assert bool(values) == bool(redactor.counts)


@given(
    st.dictionaries(st.sampled_from(["to", "note", "ssn"]), texts), st.lists(st.integers(min_value=0)), st.booleans()
)
def test_json_stays_json_and_its_values_come_back(document, places, ascii_only):
    text = msgspec.json.encode(document).decode()
    hidden, placeholders, _ = redacted(text)
    if ascii_only:
        hidden = "".join(
            char if char.isascii() else "".join(f"\\u{unit:04x}" for unit in units(char)) for char in hidden
        )

    assert msgspec.json.decode(streamed(cut(hidden, places), placeholders, in_json=True)) == document
    assert msgspec.json.decode(restored(hidden, placeholders, in_json=True)) == document


def units(char):
    raw = char.encode("utf-16-be")
    return [int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2)]


@given(texts)
def test_places_are_exact_in_the_original(text):
    for _, start, end in detect(text):
        assert detect(text[start:end], key="password") or detect(text[max(0, start - 60) : end]), text[start:end]


def test_the_same_value_has_the_same_placeholder():
    hidden, placeholders, _ = redacted("jane@example.com wrote to joe@example.com and jane@example.com")

    assert hidden == "⟦EMAIL_1⟧ wrote to ⟦EMAIL_2⟧ and ⟦EMAIL_1⟧"
    assert placeholders.values == {"⟦EMAIL_1⟧": "jane@example.com", "⟦EMAIL_2⟧": "joe@example.com"}


def test_what_a_user_wrote_is_not_taken_for_a_placeholder():
    hidden, placeholders, _ = redacted("jane@example.com ⟦EMAIL_1⟧")

    assert hidden == "⟦EMAIL_1⟧ ⟦LITERAL_1⟧"
    assert restored("say ⟦LITERAL_1⟧", placeholders) == "say ⟦EMAIL_1⟧"


def test_a_placeholder_that_nobody_has_made_stays_as_it_is():
    _, placeholders, _ = redacted("jane@example.com")

    assert streamed("⟦EMAIL_2⟧ ⟦NO⟧ ⟦", placeholders) == "⟦EMAIL_2⟧ ⟦NO⟧ ⟦"


def test_no_more_is_held_back_than_a_placeholder():
    _, placeholders, _ = redacted("jane@example.com")
    restorer = Restorer(placeholders)
    said = ""
    for number, char in enumerate("x⟦y⟦EMAIL_⟦EMAIL_1 is not ⟦EMAIL_1⟧" * 3, start=1):
        said += restorer.feed(char)

        assert number - len(said) <= placeholders.longest or "jane" in said


@pytest.mark.parametrize("escape", ["⟦EMAIL_1⟧", r"\u27e6EMAIL_1\u27e7", r"\u27E6EMAIL_1\u27E7", r"⟦EMAIL_1\u27e7"])
def test_arguments_get_their_values_however_the_model_writes_the_brackets(escape):
    _, placeholders, _ = redacted('a"b\\c@example.com x"@example.com')
    value = placeholders.values["⟦EMAIL_1⟧"]
    written = f'{{"to":"{escape}"}}'

    for place in range(len(written)):
        whole = streamed([written[:place], written[place:]], placeholders, in_json=True)
        assert msgspec.json.decode(whole) == {"to": value}


def test_a_doubled_backslash_is_no_escape():
    _, placeholders, _ = redacted("jane@example.com")
    written = r'{"path":"C:\\u27e6EMAIL_1\\u27e7"}'

    for place in range(len(written)):
        assert streamed([written[:place], written[place:]], placeholders, in_json=True) == written


def test_numbers_in_a_document_are_found_as_texts_are():
    hidden, placeholders, _ = redacted('{"card":4111111111111111,"n":7,"deep":[{"bsn":111222333}]}')

    assert msgspec.json.decode(hidden) == {"card": "⟦CARD_1⟧", "n": 7, "deep": [{"bsn": "⟦NL_BSN_1⟧"}]}
    assert placeholders.values["⟦CARD_1⟧"] == "4111111111111111"


@pytest.mark.parametrize(
    "text",
    [
        r'{"a":"jane\u0040example.com"}',
        '{"a":"{\\"b\\":\\"jane\\\\u0040example.com\\"}"}',
        '{"a":"x","a":"jane@example.com"}',
        '{"a":"jane@example.com","a":"x"}',
        '{"jane@example.com":1}',
        '{"a":"jane@example.com"',
        "[" * 2000 + '"jane@example.com"' + "]" * 2000,
    ],
)
def test_no_way_of_writing_json_hides_a_value(text):
    hidden, _, redactor = redacted(text)

    assert redactor.counts["email"] >= 1
    assert "jane" not in hidden


def test_redacted_for_good_is_named_by_its_kind_and_reported_is_left():
    hidden, placeholders, redactor = redacted("jane@example.com 536-90-4399", {"email": "redact", "us_ssn": "report"})

    assert (hidden, placeholders.values) == ("[EMAIL] 536-90-4399", {})
    assert redactor.counts == {"email": 1, "us_ssn": 1}


def test_media_is_not_looked_into():
    picture = "data:image/png;base64," + "QUJD" * 1000

    assert redacted(picture)[0] == picture


def test_what_is_refused_is_found_again_in_the_request():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": [{"text": "x 536-90-4399"}]}],
    }

    assert find_path(body, frozenset({"us_ssn"})) == "messages[1].content[0].text"
    assert find_path(body, frozenset({"card"})) is None
