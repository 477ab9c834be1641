"""Tokens become whole words and whole names; what a model knew once is found everywhere in the call, and comes back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protection.finding import NAMES, Finding
from gateway.protection.known_names import KnownNames
from gateway.protection.name_spans import name_spans, windows
from gateway.protection.placeholders import Placeholders
from gateway.protection.prose import Prose
from gateway.protection.redaction import Redactor, find_path
from gateway.protection.restoring import Restorer, restored


def values(text, tokens):
    marked = [(text.index(piece), text.index(piece) + len(piece), kind) for piece, kind in tokens]
    return [(kind, text[start:end]) for kind, start, end in name_spans(text, marked)]


def known(text, *names):
    return KnownNames({text: [Finding(kind, text.index(name), text.index(name) + len(name)) for kind, name in names]})


@pytest.mark.parametrize(
    ("text", "tokens", "names"),
    [
        ("ask Okonkwo now", [("Ok", "person"), ("onk", "person")], ["Okonkwo"]),
        ("ask Maria Gonzalez's boss", [("Maria", "person"), ("Gonz", "person")], ["Maria Gonzalez"]),
        ("ask Anna-Lena Weiß", [("Anna", "person"), ("Lena", "person"), ("Weiß", "person")], ["Anna-Lena Weiß"]),
        ("ask J. R. Smith", [("J", "person"), ("R", "person"), ("Smith", "person")], ["J. R. Smith"]),
        ("met John. Mary left", [("John", "person"), ("Mary", "person")], ["John", "Mary"]),
        ("John, Mary", [("John", "person"), ("Mary", "person")], ["John", "Mary"]),
        ("Ada\nGrace", [("Ada", "person"), ("Grace", "person")], ["Ada", "Grace"]),
        ("Ada Berlin", [("Ada", "person"), ("Berlin", "place")], ["Ada", "Berlin"]),
        ("at Ben & Co today", [("Ben", "organisation"), ("&", "organisation"), ("Co", "organisation")], ["Ben & Co"]),
        ("我叫王小明住在北京", [("王小明", "person"), ("北京", "place")], ["王小明", "北京"]),
        ("मैं प्रिया हूँ", [("प्रि", "person")], ["प्रिया"]),
        ("only , here", [(",", "person")], []),
    ],
)
def test_tokens_become_whole_words_and_whole_names(text, tokens, names):
    assert [value for _, value in values(text, tokens)] == names


@given(st.text(alphabet="ab \né🙂", max_size=1500))
def test_windows_cover_every_character_overlap_and_go_on(text):
    found = list(windows(text))

    assert found[0][0] == 0
    assert found[-1][1] == len(text)
    for (start, end), (after, beyond) in pairwise(found):
        assert start < after < end <= beyond
        assert end - start <= 480


def test_windows_of_a_beginning_stay_the_same_when_a_text_grows():
    text = "Maria Gonzalez lives in Hamburg. " * 60

    assert list(windows(text + "And so on. " * 30))[: len(list(windows(text))) - 1] == list(windows(text))[:-1]


def test_a_name_that_was_known_once_is_found_everywhere_as_a_whole_word():
    names = known("I am Maria Gonzalez", ("person", "Maria Gonzalez"))
    text = "Maria Gonzalez wrote; Maria Gonzalezes did not; (Maria Gonzalez) again"

    assert [(start, end) for _, start, end in names.find(text, NAMES)] == [(0, 14), (49, 63)]
    assert names.find(text, frozenset({"place"})) == []


def test_a_name_in_small_letters_is_found_only_where_the_model_saw_it():
    names = known("my name is will", ("person", "will"))

    assert names.find("my name is will", NAMES) == [Finding("person", 11, 15)]
    assert names.find("they will come", NAMES) == []


def test_names_of_scripts_without_spaces_are_found_within_a_run_of_signs():
    names = known("我叫王小明", ("person", "王小明"))

    assert names.find("昨天王小明来了", NAMES) == [Finding("person", 2, 5)]


def test_the_longer_of_two_names_counts():
    names = known("Ada met Ada Lovelace", ("person", "Ada Lovelace"))
    both = KnownNames({"Ada": [Finding("person", 0, 3)], "Ada Lovelace": [Finding("person", 0, 12)]})

    assert both.find("Ada Lovelace and Ada", NAMES) == [Finding("person", 0, 12), Finding("person", 17, 20)]
    assert names.find("Ada", NAMES) == []


def test_many_names_that_begin_alike_cost_no_square():
    text = " ".join(f"Ann N{number}" for number in range(5_000))
    places = [(match := text.index(f"Ann N{number}"), match + len(f"Ann N{number}")) for number in range(0, 5_000, 5)]
    names = KnownNames({text: [Finding("person", start, end) for start, end in places]})

    assert len(names.find("Ann N10 " * 20_000, NAMES)) == 20_000


def test_names_overlapping_what_detectors_find_leave_nothing_in_the_open():
    text = "write to maria.gonzalez@example.com or Maria Gonzalez"
    names = known(text, ("person", "Maria Gonzalez"), ("person", "maria"))
    redactor = Redactor({"email": "placeholder", "person": "placeholder"}, Placeholders(), names)

    assert redactor.text(text) == "write to ⟦EMAIL_1⟧ or ⟦PERSON_1⟧"


def test_documents_within_texts_are_looked_at_value_by_value():
    said = Prose()
    said.text('{"customer": {"full name": "maria gonzalez"}, "n": 7, "type": "thinking", "signature": "TWFyaWE="}')
    said.text("[Note] Maria called")
    said.text("{}")
    said.text("42")

    assert list(said.texts) == ["full name", "maria gonzalez", "thinking", "[Note] Maria called"]


def test_the_words_of_an_api_are_no_prose():
    said = Prose(spaced=True)
    said.json({"model": "chat", "tool_choice": "auto", "messages": [{"role": "user", "content": "I am Ada"}]})

    assert list(said.texts) == ["I am Ada"]


def test_the_place_of_a_refused_name_is_told():
    names = known("I am Ada", ("person", "Ada"))
    body = {"messages": [{"content": "hello"}, {"content": [{"text": "I am Ada"}]}]}

    assert find_path(body, frozenset({"person"}), names=names) == "messages[1].content[0].text"


PIECES = ("Maria Gonzalez", "Maria", "PERSON", "PERSON_1", "⟦PERSON_1⟧", "⟦LITERAL_1⟧", "⟦", "⟧", "_1", " ", ", ", "王小明", '"', "\\u27e6PERSON_1\\u27e7")  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.lists(st.integers(0, 200), max_size=8))
def test_names_come_back_wherever_a_stream_is_cut(text, cuts):
    names = KnownNames(
        {
            "Maria Gonzalez": [Finding("person", 0, 14)],
            "Maria": [Finding("person", 0, 5)],
            "PERSON": [Finding("person", 0, 6)],
            "王小明": [Finding("person", 0, 3)],
        }
    )
    placeholders = Placeholders()
    out = Redactor({"person": "placeholder"}, placeholders, names).text(text)
    ends = sorted({0, len(out), *(cut % (len(out) + 1) for cut in cuts)})
    restorer = Restorer(placeholders)
    pieces = [restorer.feed(out[start:end]) for start, end in pairwise(ends)]

    assert "王小明" not in out
    assert restored(out, placeholders) == text
    assert "".join((*pieces, restorer.finish())) == text
