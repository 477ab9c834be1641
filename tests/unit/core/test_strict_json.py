"""JSON from clients is read strictly: two readers that could differ are a hole."""

import json
import random

import pytest

from gateway.core.errors import MalformedBody
from gateway.core.strict_json import decode_object


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1}',
        b'{"a":{"a":1},"b":{"a":[{"a":1},{"a":2}]}}',
        b'{"text":"a \\" : \\"b\\" and \\u0022:\\u0022 and \\": \\":"}',
        b'{\n  "a"\n :\t1, "":0, "\\u0061b": 2}',
        b'{"n": 12345678901234567890, "x": 1e308, "y": -0.0}',
        '{"é": "\\ud83d\\ude00 \u2028"}'.encode(),
    ],
)
def test_what_rfc_8259_means_one_thing_by_is_read_as_json_reads_it(body):
    assert decode_object(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"x":[{"b" : 1, "b": 2}]}', "b"),
        (b'{"":1,"":2}', ""),
        (b'{"a":1,"a":1,"b":"\\"\\u003a"}', "a"),  # the strings' colons make up for the missing key's
        (b'{"a":{"c":1},"d":"\\":","a":{"c":1}}', "a"),
    ],
)
def test_a_key_that_occurs_twice_is_refused_by_name(body, key):
    with pytest.raises(MalformedBody) as caught:
        decode_object(body)

    assert caught.value.param == key


def test_duplicates_are_found_wherever_they_are_hidden():
    chance = random.Random(2026)
    odd = ['"', '":', '\\":', "\\u0022", ":", '" :', "\\\\", "é", "\\u003a", "a"]
    for _ in range(2000):
        strings = [
            "".join(chance.choice(odd).replace('"', '\\"') for _ in range(chance.randrange(4))) for _ in range(3)
        ]
        names = [chance.choice(("a", "b", "\\u0061", "c")) for _ in range(3)]
        body = "{" + ",".join(f'"{name}":"{text}"' for name, text in zip(names, strings, strict=True)) + "}"
        try:
            pairs = json.loads(body, object_pairs_hook=lambda found: found)
        except ValueError:
            continue  # the pieces made no JSON
        keys = [key for key, _ in pairs]
        if len(set(keys)) == len(keys):
            assert decode_object(body.encode()) == dict(pairs)
        else:
            with pytest.raises(MalformedBody):
                decode_object(body.encode())


@pytest.mark.parametrize("depth", [99, 100, 101, 100_000])
def test_the_depth_that_is_allowed_is_exact(depth):
    body = b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    if depth <= 100:
        assert decode_object(body, depth=100)
    else:
        with pytest.raises(MalformedBody, match="100 levels"):
            decode_object(body, depth=100)


def test_brackets_in_a_text_are_no_depth():
    assert decode_object(b'{"a":"' + b"[{" * 1000 + b'"}', depth=8)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff", "The body is not valid UTF-8 (byte 0)."),
        (b'{"a":"b\xff"}', "The body is not valid UTF-8 (byte 7)."),
        (b'{"a":1e999}', "A number in the body is out of range."),
        (b'[[1e999], "\xc3\xa9"]', "A number in the body is out of range."),
        (b"1" * 5000, "A number in the body is out of range."),
        (b'{"a":1', "The body is not valid JSON: it ends too soon."),
        (b'{"a":1,}', "The body is not valid JSON: trailing comma in object (byte 7)."),
        (b'{"a":NaN}', "The body is not valid JSON: invalid character (byte 5)."),
        (b"\xef\xbb\xbf{}", "The body is not valid JSON: invalid character (byte 0)."),
        (b"[]", "The body must be a JSON object, not an array."),
    ],
)
def test_what_is_wrong_with_a_body_is_a_plain_sentence(body, message):
    with pytest.raises(MalformedBody) as caught:
        decode_object(body)

    assert caught.value.message == message
