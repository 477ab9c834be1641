"""A knowledge base that is searched by words."""

import hashlib

import pytest

from gateway.config.knowledge_settings import KnowledgeFile, KnowledgeFolder, KnowledgeSettings
from gateway.retrieval.keyword_base import PIECE_BYTES, KeywordBase
from gateway.retrieval.library import Library

HANDBOOK = {
    "on-call.md": "# On call\n\n## Escalation\n\nCall the second engineer.\n\n## Handing over\n\nÜbergabe um neun.\n",
    "disks/full.txt": "Delete old logs.\n",
}


def base_of(files, name="handbook"):
    read = {
        file: KnowledgeFile(name=file, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())
        for file, text in files.items()
    }
    folder = KnowledgeFolder(folder=name, files=read, size=sum(map(len, files.values())), digest=name.encode())
    return KeywordBase(name, folder, passage_bytes=500, now=5.0)


async def test_a_passage_says_where_it_stands():
    (found,) = await base_of(HANDBOOK).search("engineer", 5)

    assert (found.base, found.file, found.title) == ("handbook", "on-call.md", "On call")
    assert found.headings == ("On call", "Escalation")
    assert (found.first_line, found.last_line) == (3, 5)
    assert found.text == "## Escalation\n\nCall the second engineer."
    assert HANDBOOK["on-call.md"][found.offset :].startswith(found.text)
    assert found.sha256 == hashlib.sha256(HANDBOOK["on-call.md"].encode()).hexdigest()
    assert found.score > 0


async def test_the_words_of_a_heading_count_more_than_those_of_a_text():
    files = {
        "a.md": "# Logs\n\nabout disks and other things here\n",
        "b.md": "# Disks\n\nabout logs and other things here\n",
    }

    assert [found.file for found in await base_of(files).search("disks", 2)] == ["b.md", "a.md"]


async def test_a_document_is_found_by_its_name():
    assert [found.file for found in await base_of(HANDBOOK).search("disks", 5)] == ["disks/full.txt"]


@pytest.mark.parametrize("query", ["zebra", "", " ", "***", "\ud800", "\x00"])
async def test_what_no_passage_says_finds_none(query):
    assert list(await base_of(HANDBOOK).search(query, 5)) == []


async def test_a_question_without_end_is_cut():
    assert [found.file for found in await base_of(HANDBOOK).search("engineer " + "x" * 2_000_000, 5)] == ["on-call.md"]
    assert list(await base_of(HANDBOOK).search("x" * 2_000_000 + " engineer", 5)) == []


def test_a_document_is_read_from_a_place_on():
    piece = base_of(HANDBOOK).read("on-call.md", 11)

    assert piece.text == HANDBOOK["on-call.md"][11:]
    assert (piece.offset, piece.next_offset, piece.size) == (11, None, len(HANDBOOK["on-call.md"]))
    assert (piece.first_line, piece.last_line) == (3, 9)


def test_a_long_document_is_read_in_pieces_that_together_are_it():
    text = "# Long\n" + "ü€𝄞 and more\n" * 4000
    base, offset, read, line = base_of({"long.md": text}), 0, "", 1

    while offset is not None:
        piece = base.read("long.md", offset)
        assert len(piece.text.encode()) <= PIECE_BYTES
        assert piece.first_line == text[:offset].count("\n") + 1 >= line
        read, offset, line = read + piece.text, piece.next_offset, piece.last_line

    assert read == text


@pytest.mark.parametrize("file", ["none.md", "../on-call.md", "/etc/passwd", "", "ON-CALL.md", "disks"])
def test_there_are_no_documents_but_those_that_were_read(file):
    assert base_of(HANDBOOK).read(file, 0) is None


def test_a_place_beyond_the_end_is_the_end():
    piece = base_of(HANDBOOK).read("disks/full.txt", 10**12)

    assert (piece.text, piece.offset, piece.next_offset) == ("", 17, None)


def test_a_base_says_how_much_it_holds():
    held = base_of(HANDBOOK).held

    assert (held.documents, held.passages, held.loaded_at, held.digest) == (2, 3, 5.0, b"handbook".hex())


async def test_several_bases_are_searched_together_each_for_as_many_as_it_may_give():
    bases = {
        "one": base_of({f"{n}.txt": "disk" for n in range(9)}, "one"),
        "two": base_of({"x.txt": "the disk is full"}, "two"),
    }
    library = Library(settings=dict.fromkeys(bases, KnowledgeSettings(folder="x")), bases=bases)

    assert [found.base for found in await library.search("disk", {"two": 5, "one": 2}, 10)].count("one") == 2
    assert [found.base for found in await library.search("disk", {"two": 5}, 10)] == ["two"]
    assert len(await library.search("disk", {"two": 5, "one": 9}, 3)) == 3
    assert await library.search("disk", {"gone": 5}, 3) == []
