"""Attacks on whoever reads the log: names that end lines, drive terminals, or turn writing around."""

import json
import logging
import os

import pytest
import structlog

from gateway.core.record import Record
from gateway.telemetry.call_log import ConsoleCallLog, JsonCallLog
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.logs import configure_logs

HARMFUL = "\n\r\x1b[2J\x00\x7f\x85\x9b31m\u2028\u2029\u202e\u2066"
NAME = f"chat{HARMFUL}forged 2026-01-01 [info] key.created"


@pytest.fixture
def output():
    reader, writer = os.pipe()
    handlers, level = logging.root.handlers[:], logging.root.level
    lines = LineWriter(writer)

    def read():
        assert lines.flush()
        return os.read(reader, 1 << 16).decode()

    yield lines, read
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    os.close(reader)
    os.close(writer)


def harmless(text):
    return text.endswith("\n") and not set(text[:-1]) & set(HARMFUL.replace("[2J", "").replace("31m", ""))


def record():
    return Record(
        id="call_1", started_at=0.0, operation="generate", dialect="openai_chat", stream=False, caller=NAME, model=NAME,
        provider=None, served=None, route=(NAME,), status=404, duration=0.1, first_token=None, upstream=None, usage=None,
        cost=None, finish_reason=None, error="model_not_found", parameters={}, user=NAME, tags=((NAME, NAME),),
    )  # fmt: skip


def test_an_event_is_one_line_of_plain_characters(output):
    lines, read = output
    for kind in ("console", "json"):
        configure_logs(format=kind, level="info", writer=lines)
        structlog.get_logger().info("call.finished", model=NAME, route=[NAME], tags={NAME: NAME})
        assert harmless(read()), kind


def test_the_line_of_a_call_is_one_line_of_plain_characters_and_says_the_same(output):
    lines, read = output
    JsonCallLog(lines.write).take([record()])
    written = read()
    assert harmless(written)
    assert json.loads(written)["model"] == NAME

    configure_logs(format="console", level="info", writer=lines)
    ConsoleCallLog().take([record()])
    assert harmless(read())
