"""Calls are found in the text wherever the stream is cut."""

import json

from gateway.providers.embedded.tool_calls import CallReader, call_text

TRICKY = {"text": 'he said "}</tool_call>" and \\ left {', "deep": [{"a": {}}, []], "é": "\u2028"}
ANSWER = call_text("first", json.dumps(TRICKY)) + call_text("second", "{}")


def read(pieces):
    reader = CallReader()
    calls = []
    for piece in (piece for text in pieces for piece in reader.feed(text)):
        if piece.name:
            calls.append([piece.name, ""])
        assert piece.index == len(calls) - 1
        calls[-1][1] += piece.arguments
    return reader, [(name, json.loads(arguments)) for name, arguments in calls]


def test_calls_come_out_whole_for_every_split():
    for cut in range(len(ANSWER) + 1):
        reader, calls = read([ANSWER[:cut], ANSWER[cut:]])

        assert calls == [("first", TRICKY), ("second", {})]
        assert reader.finished == 2


def test_calls_come_out_whole_character_by_character():
    reader, calls = read(ANSWER)

    assert calls == [("first", TRICKY), ("second", {})]
    assert reader.finished == 2


def test_a_call_that_was_cut_off_is_not_finished():
    reader = CallReader()
    pieces = reader.feed(ANSWER[:60])

    assert pieces[0].name == "first"
    assert reader.finished == 0
