"""Lines of a program's output: whole however they are cut, and bounded however long they are."""

import json

import pytest

from gateway.tools.mcp_stdio import Lines, Long


@pytest.mark.parametrize("cut", range(1, 12))
def test_lines_are_the_same_wherever_the_pipe_cuts_them(cut):
    text, lines = b"one\ntwo\n\nfour\nrest", Lines(100)

    found = [line for start in range(0, len(text), cut) for line in lines.feed(text[start : start + cut])]

    assert found == [b"one", b"two", b"", b"four"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_that_is_too_long_is_not_kept_and_its_id_is_found_at_either_end(turned):
    fields = {"jsonrpc": "2.0", "id": 17, "result": {"text": "x" * 100_000}}
    message = json.dumps(dict(reversed(fields.items())) if turned else fields).encode() + b"\nnext\n"
    lines, found = Lines(1000), []

    for start in range(0, len(message), 500):
        found += lines.feed(message[start : start + 500])
        assert len(lines._buffer) <= 1000

    long, following = found
    assert isinstance(long, Long)
    assert (long.id, long.size) == (17, len(message) - len(b"\nnext\n"))
    assert following == b"next"


def test_a_long_line_without_an_id_is_nobodys():
    (long,) = Lines(10).feed(b"x" * 1000 + b"\n")

    assert long.id is None
