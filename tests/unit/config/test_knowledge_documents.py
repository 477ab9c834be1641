"""A knowledge base's folder is read whole, or refused with the file named. Promised by docs/knowledge.md."""

import hashlib
import os

import pytest

from gateway.config import ConfigError
from gateway.config.knowledge_documents import folders_in, read_knowledge_folder
from gateway.config.knowledge_settings import KnowledgeLimits, KnowledgeSettings


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "handbook"
    (place / "sub").mkdir(parents=True)
    (place / "a.md").write_bytes(b"\xef\xbb\xbf# A\r\n\r\ntext\r\n")
    (place / "sub" / "b.txt").write_text("Über b\n", encoding="utf-8")
    (place / "picture.png").write_bytes(b"\x89PNG\xff")
    (place / ".hidden.md").write_text("hidden")
    (place / ".git").mkdir()
    (place / ".git" / "c.md").write_text("hidden")
    return place


def read(folder, **settings):
    return read_knowledge_folder("handbook", KnowledgeSettings(folder="x", **settings), folder)


def faults(folder, **settings):
    with pytest.raises(ConfigError) as caught:
        read(folder, **settings)
    return [(fault.file.removeprefix(f"{folder}/"), fault.line, fault.message) for fault in caught.value.faults]


def test_every_file_that_counts_is_read_with_the_hash_of_its_bytes(folder):
    found = read(folder)

    assert list(found.files) == ["a.md", "sub/b.txt"]
    assert found.files["a.md"].text == "# A\n\ntext\n"
    assert found.files["a.md"].sha256 == hashlib.sha256((folder / "a.md").read_bytes()).hexdigest()
    assert found.size == sum((folder / name).stat().st_size for name in found.files)


@pytest.mark.parametrize(
    ("include", "names"),
    [
        (("*.md",), ["a.md"]),
        (("sub/*",), ["sub/b.txt"]),
        (("*b*",), ["sub/b.txt"]),
        (("*/b.txt", "a.*"), ["a.md", "sub/b.txt"]),
    ],
)
def test_what_counts_is_said_by_patterns(folder, include, names):
    assert list(read(folder, include=include).files) == names


def test_the_digest_is_another_for_any_other_content_and_the_same_for_the_same(folder):
    before = read(folder).digest
    assert read(folder).digest == before

    (folder / "picture.png").write_bytes(b"other")
    assert read(folder).digest == before
    (folder / "sub" / "b.txt").rename(folder / "sub" / "c.txt")
    renamed = read(folder).digest
    (folder / "sub" / "c.txt").write_text("other")

    assert len({before, renamed, read(folder).digest}) == 3


def test_a_file_that_is_not_utf_8_is_named_with_its_line(folder):
    (folder / "sub" / "bad.txt").write_bytes(b"one\ntwo \xff\n")

    assert faults(folder) == [("sub/bad.txt", 2, "the file is not UTF-8 text")]


def test_a_file_with_a_null_is_no_text(folder):
    (folder / "bad.txt").write_bytes(b"one\n\0")

    assert faults(folder) == [("bad.txt", 2, "the file is not text")]


def test_a_link_that_leads_out_of_the_folder_is_named(folder, tmp_path):
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "sub" / "up.md").symlink_to("../../secret.md")

    assert faults(folder) == [(name, 0, "this link leads out of the folder") for name in ("link.md", "sub/up.md")]


def test_a_folder_behind_a_link_that_leads_out_is_named(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "way").symlink_to(tmp_path / "elsewhere")

    assert faults(folder) == [("way", 0, "this link leads out of the folder")]


def test_links_within_the_folder_are_followed_as_kubernetes_mounts_files(tmp_path):
    place = tmp_path / "mounted"
    (place / "..2026_01").mkdir(parents=True)
    (place / "..2026_01" / "a.md").write_text("# A")
    (place / "..data").symlink_to("..2026_01")
    (place / "a.md").symlink_to("..data/a.md")

    assert list(read(place).files) == ["a.md"]


@pytest.mark.parametrize("to", ["gone.md", "round.md"])
def test_a_link_that_leads_nowhere_is_named(folder, to):
    (folder / "round.md").symlink_to(to)

    ((file, _, message),) = faults(folder)

    assert file == "round.md"
    assert "cannot be read" in message


def test_a_pipe_is_no_file_and_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.md")

    assert faults(folder) == [("pipe.md", 0, "this is no file")]


@pytest.mark.parametrize(
    ("limits", "file", "message"),
    [
        ({"files": 1}, "", "more than 1 files (knowledge.handbook.limits.files)"),
        ({"file_bytes": 7}, "a.md", "the file is larger than 7 bytes (knowledge.handbook.limits.file_bytes)"),
        ({"bytes": 20}, "sub/b.txt", "the files are larger than 20 bytes together (knowledge.handbook.limits.bytes)"),
    ],
)
def test_what_is_too_large_is_named_with_the_limit(folder, limits, file, message):
    found = faults(folder, limits=KnowledgeLimits(**limits))

    assert (file or str(folder), 0, message) in found


def test_a_folder_that_is_not_there_or_is_a_file_is_named(folder):
    assert faults(folder / "gone") == [
        (str(folder / "gone"), 0, "the folder cannot be read: No such file or directory")
    ]
    assert faults(folder / "a.md") == [(str(folder / "a.md"), 0, "the folder cannot be read: Not a directory")]


def test_a_folder_in_which_nothing_counts_is_a_fault(folder):
    assert faults(folder, include=("*.rst",)) == [(str(folder), 0, "there is no file like *.rst")]


def test_a_name_that_is_not_utf_8_is_a_fault_that_can_be_printed(folder):
    name = os.fsencode(folder) + b"/b\xffd.md"
    with open(name, "wb") as file:  # noqa: PTH123 - a path object holds no such name
        file.write(b"text")

    ((file, _, message),) = faults(folder)

    assert (file + message).encode()
    assert "the file's name is not UTF-8" in message


def test_hidden_folders_are_not_watched(folder):
    assert [path.name for path in folders_in(folder)] == ["handbook", "sub"]
