"""What holds for the guards whatever the text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.guards import GUARDS, read, refusal
from gateway.cache.guards.alignment import distance, is_slip
from gateway.cache.guards.lexicon import lexicon, spelled_out, stem
from gateway.cache.guards.reading import MOST_CHARACTERS
from tests.unit.cache.guards.labelled import load

PAIRS = [*load("pairs_*.jsonl"), *load("fresh.jsonl")]
QUESTIONS = sorted({text for pair in PAIRS for text in (pair.asked, pair.kept)})
PLAIN = [
    text
    for text in QUESTIONS
    if text.isascii() and not any(letter in "`'\"/_-.@#$%^*+=<>()|&~:" for letter in text[:-1])
]
verdicts = st.sampled_from(("", *GUARDS))


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=300)
def test_any_two_texts_get_a_verdict_and_the_same_both_ways(asked, kept):
    assert refusal(asked, kept) in {"", *GUARDS}
    assert (refusal(asked, kept) == "") == (refusal(kept, asked) == "")


@given(st.text(max_size=400))
def test_a_text_is_never_refused_its_own_answer(text):
    assert refusal(text, text) == ""


@given(st.sampled_from(QUESTIONS), st.sampled_from(QUESTIONS))
def test_the_verdict_does_not_depend_on_who_asked_first(asked, kept):
    assert (refusal(asked, kept) == "") == (refusal(kept, asked) == "")


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.asked[:40])
def test_every_labelled_pair_is_judged_the_same_both_ways(pair):
    assert (refusal(pair.asked, pair.kept) == "") == (refusal(pair.kept, pair.asked) == "")


@given(st.sampled_from(PLAIN), st.sampled_from((str.upper, str.lower, str.title, str.swapcase)))
def test_case_makes_no_difference(text, changed):
    assert refusal(text, changed(text)) == ""


@given(
    st.sampled_from(PLAIN),
    st.sampled_from(("", "?", "!", "...", " ?", "?!", ".")),
    st.sampled_from(("", " ", "\n", "  ")),
)
def test_marks_at_the_end_and_space_make_no_difference(text, mark, space):
    assert refusal(text, space + text.rstrip("?!. ") + mark + space) == ""


@given(st.lists(st.sampled_from([word for text in PLAIN for word in text.split()]), max_size=40))
def test_any_words_in_a_row_are_read(words):
    text = " ".join(words)

    assert refusal(text, text + "?") == ""


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a " * 50_000,
        "'a" * 50_000,
        "`" * 100_000,
        '"' * 100_000,
        "a.b/c-d_" * 12_500,
        "1,2" * 33_000,
        "how do i " * 11_000,
        "http://" * 14_000,
        "twenty " * 14_000,
        "((((((" * 16_000,
    ],
)
def test_a_hundred_kilobytes_are_judged_at_once(text):
    began = time.perf_counter()
    for length in (100_000, MOST_CHARACTERS, 1_000):
        refusal(text[:length], text[: length - 1] + "?")

    # Three comparisons, one of the longest text that is read; a runaway pattern takes minutes.
    assert time.perf_counter() - began < 1.5


def test_a_pair_of_questions_takes_well_under_half_a_millisecond():
    kept = [read(pair.kept) for pair in PAIRS]
    asked = [pair.asked for pair in PAIRS]
    for text, reading in zip(asked, kept, strict=True):
        refusal(text, reading)
    best = min(_seconds(asked, kept) for _ in range(3))

    assert best / len(asked) < 0.0005


def _seconds(asked, kept):
    began = time.process_time()
    for text, reading in zip(asked, kept, strict=True):
        refusal(text, reading)
    return time.process_time() - began


def test_a_slip_is_near_of_one_beginning_and_no_other_word():
    assert is_slip("pasword", "password")
    assert is_slip("shceduling", "scheduling")
    assert not is_slip("form", "from")
    assert not is_slip("austria", "australia")
    assert not is_slip("moral", "amoral")
    assert not is_slip("mortgagor", "mortgagee")
    assert not is_slip("kubectl", "cubectl")


@given(st.text("abcd", max_size=8), st.text("abcd", max_size=8))
def test_the_distance_of_two_words_is_bounded_and_the_same_both_ways(one, other):
    assert distance(one, other, 2) == distance(other, one, 2) <= 3
    assert (distance(one, other, 2) == 0) == (one == other)


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("resets", "reset"),
        ("resetting", "reset"),
        ("hoping", "hope"),
        ("stopped", "stop"),
        ("countries", "country"),
        ("wrote", "write"),
    ],
)
def test_forms_of_a_word_are_one(word, base):
    assert stem(word) == base


def test_a_pattern_stands_for_every_choice():
    assert spelled_out("how (do|can) i (best|)") == [
        ("how", "do", "i", "best"),
        ("how", "do", "i"),
        ("how", "can", "i", "best"),
        ("how", "can", "i"),
    ]


def test_no_phrase_begins_with_nothing_and_every_group_is_found():
    words = lexicon()

    assert "" not in words.phrases.following
    assert words.groups["password"] & words.groups["passcode"]
