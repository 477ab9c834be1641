"""The words of a text, as an index knows them."""

import pytest

from gateway.retrieval.words import LONGEST, words


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Die Übergabe", "ubergabe"),
        ("naïve café", "CAFE"),
        ("Straße", "STRASSE"),
        ("Ёлка", "елка"),
        ("ΆΝΘΡΩΠΟΣ", "ανθρωπος"),
        ("disk_full", "disk full"),
        ("re-start", "start"),
        ("KubePodCrashing", "pod crashing"),
        ("KubePodCrashing", "kubepodcrashing"),
        ("HTTP2", "http2"),
        ("한국어 문서", "문서"),
        ("fi", "fi"),  # a ligature
        ("１２３", "123"),  # noqa: RUF001 - digits of full width are meant
    ],
)
def test_a_word_is_found_however_it_is_written(written, asked):
    assert words(asked)
    assert set(words(asked)) <= set(words(written))


@pytest.mark.parametrize(
    ("written", "asked"),
    [("再起動の手順", "起動"), ("データベース", "ベース"), ("กรุงเทพมหานคร", "เทพ"), ("重启服务", "服务")],
)
def test_a_script_without_spaces_is_found_by_any_part_of_it(written, asked):
    assert set(words(asked)) <= set(words(written))


def test_a_vowel_sign_belongs_to_its_word():
    assert words("कि का हिन्दी") == ["कि", "का", "हिन्दी"]


def test_other_scripts_between_signs_without_spaces_stay_words():
    assert words("postgresqlを再起動v2する") == ["postgresql", "を再", "再起", "起動", "v2", "する"]


def test_signs_and_blanks_are_no_words():
    assert words(" \t—…!? (*) #### _ \n") == []


def test_a_word_without_end_is_cut():
    assert words("x" * 1_000_000) == ["x" * LONGEST]
    assert all(len(word) <= LONGEST for word in words("ä" * 1_000_000))
