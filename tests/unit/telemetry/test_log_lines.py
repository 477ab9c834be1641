"""The log: one JSON line an event and a call, with what an operator needs and nothing of what was said."""

import json
import logging
import os

import msgspec
import pytest
import structlog

from gateway.config.settings import LoggingSettings
from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.telemetry.call_log import ConsoleCallLog, JsonCallLog, open_call_log
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.logs import configure_logs, log_writer


class Lines:
    """Keeps what is written."""

    def __init__(self):
        self.data = b""

    def __call__(self, data):
        self.data += data

    @property
    def events(self):
        return [json.loads(line) for line in self.data.decode().splitlines()]


class MemoryWriter(LineWriter):
    """A line writer into memory, without a thread."""

    def __init__(self):
        super().__init__(-1)
        self.lines = Lines()

    def write(self, data):
        self.lines(data)


@pytest.fixture
def log():
    """The whole log, configured into memory; the process's own configuration comes back afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    memory = MemoryWriter()
    configure_logs(format="json", level="info", writer=memory)
    yield memory.lines
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def record(**changes):
    fields = {
        "id": "call_1", "started_at": 1_700_000_000.0, "operation": "generate", "dialect": "openai_chat", "stream": True,
        "caller": "key_7", "model": "chat", "provider": "hosted", "served": "gpt-5-mini", "route": ("hosted/gpt-5-mini",),
        "status": 200, "duration": 1.5, "first_token": 0.5, "upstream": 0.4, "usage": Usage(input=70, output=30), "cost": 0.25,
        "finish_reason": "stop", "error": None, "parameters": {"temperature": 0.5},
    }  # fmt: skip
    return Record(**{**fields, **changes})


FAILED = record(status=504, error="upstream_timeout")


def test_a_call_is_one_line_with_every_field_of_its_record():
    lines = Lines()
    JsonCallLog(lines).take([record(id="a"), record(id="b")])
    first, second = lines.events

    assert (first["id"], second["id"]) == ("a", "b")
    assert first == {
        "at": "2023-11-14T22:13:21.500000Z", "level": "info", "event": "call.finished",
        **msgspec.to_builtins(record(id="a")), "route": ["hosted/gpt-5-mini"], "dropped": [], "emulated": [], "tags": [],
        "guards": [], "found": [], "beside": [], "continued": [],
    }  # fmt: skip


def test_a_failed_call_is_a_warning():
    lines = Lines()
    JsonCallLog(lines).take([FAILED])

    assert [(event["level"], event["error"]) for event in lines.events] == [("warning", "upstream_timeout")]


@pytest.mark.parametrize(
    ("least", "statuses"), [("debug", [200, 504]), ("info", [200, 504]), ("warning", [504]), ("error", [])]
)
def test_the_level_of_the_log_holds_for_calls_too(least, statuses):
    lines = Lines()
    JsonCallLog(lines, least=least).take([record(), FAILED])

    assert [event["status"] for event in lines.events] == statuses


def test_names_from_outside_cannot_forge_a_line():
    lines = Lines()
    JsonCallLog(lines).take([record(model='x"}\n{"event":"forged"}')])

    assert [event["event"] for event in lines.events] == ["call.finished"]


def test_the_record_has_no_place_for_what_was_said():
    """Whoever adds a field to the record must decide that it may stand in a log."""
    assert set(Record.__struct_fields__) == {
        "id", "started_at", "operation", "dialect", "stream", "caller", "model", "provider", "served", "route", "status",
        "duration", "first_token", "upstream", "usage", "cost", "finish_reason", "error", "parameters", "dropped", "emulated",
        "trace", "tenant", "team", "user", "tags", "cost_nano", "prices", "guards", "found", "decision", "beside",
        "degraded", "version", "shadow_of", "continued", "cache", "cache_why", "cache_entry", "saved", "saved_nano", "structured",
        "run", "prompt",
    }  # fmt: skip


def test_an_event_is_one_json_line(log):
    structlog.get_logger().info("thing.happened", count=3, text="two\nlines", odd={1, 2})
    (event,) = log.events

    assert (event["event"], event["level"], event["count"], event["text"]) == (
        "thing.happened",
        "info",
        3,
        "two\nlines",
    )
    assert event["at"].endswith("Z")


def test_an_exception_stands_in_its_events_line(log):
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("thing.failed")
    (event,) = log.events

    assert event["level"] == "error"
    assert "ValueError: invalid literal" in event["exception"]


def test_events_below_the_level_are_not_written(log):
    structlog.get_logger().debug("thing.noticed")

    assert log.events == []


def test_a_librarys_warning_has_the_same_form(log):
    logging.getLogger("some.library").warning("pool of %d is full", 4)
    logging.getLogger("some.library").info("not worth a line")
    (event,) = log.events

    assert (event["event"], event["level"]) == ("library.warned", "warning")
    assert (event["logger"], event["message"]) == ("some.library", "pool of 4 is full")


def test_events_and_calls_go_through_one_writer(log):
    take = open_call_log(LoggingSettings(format="json"))
    structlog.get_logger().info("thing.happened")
    take([record()])

    assert log_writer() is not None
    assert [event["event"] for event in log.events] == ["thing.happened", "call.finished"]


def test_people_read_a_call_as_an_event_without_empty_fields():
    with structlog.testing.capture_logs() as events:
        ConsoleCallLog().take([record(cost=None), FAILED])

    assert [(event["event"], event["log_level"]) for event in events] == [
        ("call.finished", "info"),
        ("call.finished", "warning"),
    ]
    assert "cost" not in events[0]
    assert "error" not in events[0]


def test_a_reader_that_stopped_does_not_hold_up_events_or_calls():
    reader, descriptor = os.pipe()
    handlers, level = logging.root.handlers[:], logging.root.level
    writer = LineWriter(descriptor, max_bytes=100_000)
    try:
        configure_logs(format="json", level="info", writer=writer)
        take = open_call_log(LoggingSettings(format="json"))
        for _ in range(1000):
            structlog.get_logger().info("thing.happened", text="x" * 200)
            take([record()])

        assert 1000 < writer.dropped < 2000
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        os.close(reader)
        writer.flush()
        os.close(descriptor)
