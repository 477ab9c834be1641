"""What the tests of the chat dialect share: calls, and the way from bytes to events to bytes."""

from pathlib import Path

import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started
from gateway.core.items import Message, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.sse import SseParser

STREAMS = Path(__file__).parents[1] / "fixtures" / "openai_chat" / "streams"


class Wire:
    """Runs bytes through the decoder and events through the encoder."""

    def decode(self, *pieces):
        parser, decoder, events = SseParser(), OPENAI_CHAT.event_decoder(), []
        for piece in pieces:
            for name, data in parser.feed(piece):
                events += decoder.feed(name, data)
        for name, data in parser.finish():
            events += decoder.feed(name, data)
        return events + list(decoder.finish())

    def encode(self, events, **fields):
        encoder = OPENAI_CHAT.event_encoder(self.call(**fields))
        return b"".join(encoder.encode(event) for event in events)

    def call(self, **fields):
        return Call(
            id="1",
            operation="generate",
            dialect="openai_chat",
            model="m",
            stream=True,
            caller=ANONYMOUS,
            received=0.0,
            body=b"",
            fields=fields,
        )

    def fixture(self, name):
        return (STREAMS / f"{name}.sse").read_bytes()

    def items(self, name):
        return [event.item for event in self.decode(self.fixture(name)) if isinstance(event, ItemFinished)]

    def check_order(self, events):
        """Hold the events against the promises of gateway.core.events."""
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Finished)
        open_items, said, done = {}, {}, set()
        for event in events[1:-1]:
            assert not isinstance(event, (Started, Finished))
            if isinstance(event, ItemStarted):
                assert event.index == len(said)
                open_items[event.index], said[event.index] = event.item, ""
            elif isinstance(event, ItemFinished):
                assert type(open_items.pop(event.index)) is type(event.item)
                assert said[event.index] == _said(event.item)
                done.add(event.index)
            else:
                assert event.index in open_items
                said[event.index] += event.text
        assert not open_items
        assert done == said.keys()


def _said(item):
    if isinstance(item, ToolCall):
        return item.arguments
    if isinstance(item, Reasoning):
        return item.text
    assert isinstance(item, Message)
    return "".join(part.text for part in item.parts if isinstance(part, (Text, Refusal)))


@pytest.fixture(scope="session")
def wire():
    return Wire()
