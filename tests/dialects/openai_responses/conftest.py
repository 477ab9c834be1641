from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.events import Event
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.sse import SseParser

FIXTURES = Path(__file__).parents[1] / "fixtures" / "openai_responses"


@pytest.fixture
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture
def call_of():
    """Give the call that a request body makes."""

    def make(fields: dict[str, Any] | None = None) -> Call:
        fields = fields or {"model": "m", "input": "x"}
        return Call(
            id="call_1",
            operation="generate",
            dialect="openai_responses",
            model=fields["model"],
            stream=bool(fields.get("stream")),
            caller=ANONYMOUS,
            received=0.0,
            body=json.dumps(fields).encode(),
            fields=fields,
        )

    return make


@pytest.fixture
def decoded():
    """Feed pieces of a stream to a fresh decoder, give the events."""

    def decode(*pieces: bytes) -> list[Event]:
        parser, decoder = SseParser(), OPENAI_RESPONSES.event_decoder()
        events: list[Event] = []
        for piece in pieces:
            for name, data in parser.feed(piece):
                events.extend(decoder.feed(name, data))
        for name, data in parser.finish():
            events.extend(decoder.feed(name, data))
        events.extend(decoder.finish())
        return events

    return decode
