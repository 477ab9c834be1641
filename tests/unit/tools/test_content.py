"""What a model reads of a result: text as it is, and of what is no text its type and size."""

import pytest

from gateway.tools.content import output_of


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "text", "text": "a\nb"}, "a\nb"),
        (
            {"type": "image", "mimeType": "image/png", "data": "A" * 4096},
            "[image: image/png, 3,072 bytes; it is not shown]",
        ),
        ({"type": "audio", "data": "AAAA"}, "[audio: unknown, 3 bytes; it is not shown]"),
        ({"type": "resource_link", "uri": "file:///a", "name": "a\nb"}, "[resource: file:///a (a b)]"),
        ({"type": "resource", "resource": {"uri": "file:///a", "text": "x"}}, "[resource: file:///a]\nx"),
        (
            {"type": "resource", "resource": {"uri": "u", "mimeType": "a/b", "blob": "AAAA"}},
            "[resource: u, a/b, 3 bytes; it is not shown]",
        ),
        ({"type": "hologram"}, "[a block of type hologram; it is not shown]"),
        ("text", "[a block that is none]"),
    ],
)
def test_a_block_is_told_in_words(block, text):
    assert output_of({"content": [block]}).text == text


def test_a_result_without_text_is_its_structured_content():
    output = output_of({"content": [], "structuredContent": {"n": 1}})

    assert (output.text, output.structured) == ('{"n":1}', {"n": 1})


def test_only_a_server_that_says_so_reports_an_error():
    assert output_of({"content": [], "isError": True}).is_error
    assert not output_of({"content": [], "isError": "no"}).is_error
