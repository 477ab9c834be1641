"""The input of a batch is checked as a whole: each line that is wrong is named, with its number."""

import io
import json

import pytest

from gateway.batches.lines import MOST_FAULTS, Bounds, check_input, read_lines

CHAT = "/v1/chat/completions"
BOUNDS = Bounds(endpoint=CHAT, lines=5, body_bytes=2000, depth=20)
GOOD = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "m", "messages": []}}


def check(path, *lines, bounds=BOUNDS):
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    (path / "input").write_bytes(data)
    return check_input(path / "input", bounds)


def changed(**fields):
    return {name: value for name, value in (GOOD | fields).items() if value is not ...}


def test_a_good_input_has_no_faults_and_blank_lines_mean_nothing(tmp_path):
    checked = check(tmp_path, b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), b"", changed(custom_id="b"), b"  \r", b"")

    assert checked.total == 2
    assert checked.faults == ()


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (b'"text"', "invalid_json_line", None),
        (b'{"custom_id": "\xff"}', "invalid_json_line", None),
        (b'{"custom_id": "x", "custom_id": "y"}', "invalid_json_line", "custom_id"),
        (b'{"body": ' + b"[" * 40 + b"]" * 40 + b"}", "invalid_json_line", None),
        (changed(custom_id=...), "missing_required_parameter", "custom_id"),
        (changed(body=...), "missing_required_parameter", "body"),
        (changed(priority=1), "unknown_parameter", "priority"),
        (changed(custom_id=7), "invalid_custom_id", "custom_id"),
        (changed(custom_id=""), "invalid_custom_id", "custom_id"),
        (changed(custom_id="x" * 513), "invalid_custom_id", "custom_id"),
        (changed(custom_id="first"), "duplicate_custom_id", "custom_id"),
        (changed(method="GET"), "invalid_method", "method"),
        (changed(url="/admin/keys"), "invalid_url", "url"),
        (changed(url=["/v1/embeddings"]), "invalid_url", "url"),
        (changed(url="/v1/embeddings"), "mismatched_url", "url"),
        (changed(body=[]), "invalid_body", "body"),
        (changed(body={}), "missing_required_parameter", "body.model"),
        (changed(body={"model": ""}), "missing_required_parameter", "body.model"),
        (changed(body={"model": "m", "stream": True}), "invalid_stream", "body.stream"),
        (changed(body={"model": "m", "input": "x" * 7000}), "request_too_large", None),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, code, param):
    checked = check(tmp_path, changed(custom_id="first"), b"", line, changed(custom_id="last"))

    assert [(fault.code, fault.param, fault.line) for fault in checked.faults] == [(code, param, 3)]


def test_a_line_that_is_too_long_does_not_hide_the_next(tmp_path):
    long = changed(custom_id="long", body={"model": "m", "input": "x" * 100_000})
    checked = check(tmp_path, long, b"{", GOOD)

    assert [(fault.code, fault.line) for fault in checked.faults] == [
        ("request_too_large", 1),
        ("invalid_json_line", 2),
    ]


def test_an_input_without_requests_is_refused(tmp_path):
    assert [fault.code for fault in check(tmp_path, b"", b" ").faults] == ["empty_file"]


def test_an_input_with_too_many_requests_is_refused_where_they_begin_to_be_too_many(tmp_path):
    checked = check(tmp_path, *(changed(custom_id=str(number)) for number in range(9)))

    assert [(fault.code, fault.line) for fault in checked.faults] == [("too_many_requests", 6)]


def test_the_list_of_faults_has_an_end(tmp_path):
    checked = check(tmp_path, *[b"{"] * 1000, bounds=Bounds(endpoint=CHAT, lines=2000, body_bytes=2000, depth=9))

    assert len(checked.faults) == MOST_FAULTS + 1
    assert checked.faults[-1].message == f"There are {1000 - MOST_FAULTS} more errors, which are not listed."


def test_bodies_are_read_as_they_were_written():
    body = b'{"model": "m",  "seed": 18446744073709551616123, "x": 1.0e2}'
    line = b'\xef\xbb\xbf{"custom_id": "a", "method": "POST", "url": "/", "body": ' + body + b"}\n"

    (read,) = read_lines(io.BytesIO(line + b"\n"), 10, 1000)

    assert bytes(read.body) == body
