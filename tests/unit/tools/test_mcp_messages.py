"""Messages that the client's library does not read: what is mended, and whom one answers that nobody can read."""

import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse

from gateway.tools.mcp_messages import EDGE, answered, id_at_edges, mended, sift

DEEP = b"[" * 20_000 + b"]" * 20_000


@pytest.mark.parametrize(
    ("came", "read"),
    [
        (rb'{"a":"\ud83d"}', '{"a": "\ufffd"}'),
        (rb'{"a":"\ud83d\ude00 \ude00"}', '{"a": "\U0001f600 \ufffd"}'),
        (b'{"a":"\xff"}', '{"a": "\ufffd"}'),
    ],
)
def test_what_is_no_character_is_replaced_and_nothing_else(came, read):
    assert mended(came) == read.encode()


@pytest.mark.parametrize("came", [b'{"a": "\xc3\xa9"}', b"\xff", rb"printed: \ud800", DEEP + rb'"\ud800"'])
def test_what_needs_no_mending_and_what_is_no_json_stays_as_it_is(came):
    assert mended(came) == came


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":7,"result":"text"}',
        b'{"jsonrpc":"2.0","id":7,"result":' + DEEP + b"}",
        b'{"id": 7, "result": {"id": 8, "a": ' + DEEP + b"}}",
        b'{"result": {"id": 8, "a": ' + DEEP + b'}, "jsonrpc": "2.0", "id": 7}',
        b'{"result": {"a": ' + DEEP + b', "id": 8}, "id": 7, "jsonrpc": "2.0"}',
    ],
)
def test_an_answer_that_cannot_be_read_is_known_by_its_own_id(line):
    assert answered(line) == 7


@pytest.mark.parametrize(
    "line",
    [
        b"ready",
        b"[7]",
        b'{"level":"info","id":7}',
        b'{"jsonrpc":"2.0","id":7,"method":"ping","result":1}',
        b'{"jsonrpc":"2.0","id":7,"method":"ask","params":' + DEEP + b"}",
        b'{"jsonrpc":"2.0","result":{"a":' + DEEP + b',"id":8}}',
        b'{"jsonrpc":"2.0","id":true,"result":1}',
    ],
)
def test_what_is_no_answer_answers_nobody(line):
    assert answered(line) is None


def test_an_id_inside_of_a_long_answer_is_not_taken_for_its_own():
    line = b'{"result":{"structuredContent":{"id":8,"text":"' + b"x" * 2000 + b'"}},"jsonrpc":"2.0","id":7}'

    assert id_at_edges(line[:EDGE], line[-EDGE:]) == 7


@pytest.mark.parametrize(
    ("version", "result", "read"),
    [
        ("2026-07-28", {"content": []}, {"content": [], "resultType": "complete"}),
        ("2026-07-28", {"resultType": "input_required"}, {"resultType": "input_required"}),
        ("2025-11-25", {"content": []}, {"content": []}),
        (None, {"content": []}, {"content": []}),
    ],
)
def test_a_result_that_does_not_say_of_which_type_it_is_is_complete(version, result, read):
    """MCP 2026-07-28, Results; the conformance suite's sep-2322-default-result-type-complete."""
    message = SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=1, result=result))

    assert sift(message, server="x", version=lambda: version).message.result == read
