"""Documents, cut at their headings and between paragraphs."""

import random
import time

import pytest

from gateway.retrieval.chunking import chunks_of

PAGE = """---
# a comment
title: x
---

Before.

# On call

Intro.

## Escalation ##

Call.

### Night

Wake up.

## Disk

```sh
# no heading
```

Setext
======

Under it.

Other
-----

Last.
"""


def test_each_chunk_knows_its_headings_and_its_lines():
    found = [(chunk.headings, chunk.first_line, chunk.last_line) for chunk in chunks_of(PAGE, 1000)]

    assert found == [
        ((), 1, 6),
        (("On call",), 8, 10),
        (("On call", "Escalation"), 12, 14),
        (("On call", "Escalation", "Night"), 16, 18),
        (("On call", "Disk"), 20, 24),
        (("Setext",), 26, 29),
        (("Setext", "Other"), 31, 34),
    ]


def test_the_lines_and_the_offset_are_those_of_the_text():
    lines = PAGE.split("\n")

    for chunk in chunks_of(PAGE, 60):
        assert PAGE[chunk.offset :].startswith(chunk.text)
        assert chunk.text.split("\n")[0] in lines[chunk.first_line - 1]
        assert chunk.text.split("\n")[-1] in lines[chunk.last_line - 1]


def test_headings_without_a_text_of_their_own_stand_with_those_below():
    assert [chunk.headings for chunk in chunks_of("# A\n\n## B\n\n### C\n\nText.\n\n## D\n", 1000)] == [
        ("A", "B", "C"),
        ("A", "D"),
    ]


def test_a_text_that_is_no_markdown_has_no_headings():
    (chunk,) = chunks_of("# one\n\ntwo\n---\n", 1000, markdown=False)

    assert chunk.headings == ()


@pytest.mark.parametrize("text", ["", "\n\n\n", "   \n\t\n"])
def test_blanks_are_no_chunk(text):
    assert chunks_of(text, 1000) == []


def test_a_list_a_table_and_a_tag_are_no_headings():
    text = "#hashtag\n\n- item\n---\n\n| a |\n---\n\n####### seven\n"

    assert {chunk.headings for chunk in chunks_of(text, 1000)} == {()}


def test_long_sections_are_cut_between_paragraphs():
    text = "# A\n\n" + "\n\n".join("word " * 20 + str(number) for number in range(10))

    found = chunks_of(text, 300)

    assert len(found) > 3
    assert all(len(chunk.text.encode()) <= 300 and chunk.headings == ("A",) for chunk in found)
    assert all(chunk.text[-1].isdigit() for chunk in found)


def test_one_long_line_is_cut_between_characters():
    text = "ä€𝄞" * 500

    found = chunks_of(text, 200)

    assert "".join(chunk.text for chunk in found) == text
    assert all(len(chunk.text.encode()) <= 200 and chunk.first_line == chunk.last_line == 1 for chunk in found)


def test_no_word_of_any_document_is_lost():
    chance = random.Random(3)
    pieces = [
        "# A\n",
        "## B\n",
        "\n",
        "word ",
        "x" * 90 + "\n",
        "```\n",
        "ü€ ",
        "T\n===\n",
        "---\n",
        "\t",
        "- item\n",
        "~~~\n",
    ]
    for _ in range(300):
        text = "".join(chance.choices(pieces, k=60))

        found = chunks_of(text, 200)

        left = list(text)
        for chunk in found:
            assert text[chunk.offset : chunk.offset + len(chunk.text)] == chunk.text
            left[chunk.offset : chunk.offset + len(chunk.text)] = [" "] * len(chunk.text)
        # What is left are headings whose sections say nothing themselves; each of those below them names them.
        assert {line.strip() for line in "".join(left).split("\n")} <= {"", "# A", "## B", "T", "==="}


@pytest.mark.parametrize(
    "text",
    [
        "#" * 200_000,
        "# " + " #" * 100_000,
        "# a" + " " * 200_000 + "x",
        "a\n" + "=" * 200_000 + "x",
        "\n" * 200_000,
        "- " * 100_000,
    ],
)
def test_no_document_takes_long_to_cut(text):
    began = time.perf_counter()
    chunks_of(text, 2000)

    assert time.perf_counter() - began < 2
