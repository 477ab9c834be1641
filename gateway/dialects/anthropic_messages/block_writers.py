"""Writes the content blocks of a stream: one open at a time, numbered without gaps, each started, filled and stopped.

A writer turns the events of one item into blocks. It knows nothing of other items; `stream_encode` decides whose turn it is.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.core.events import ArgumentsDelta, Event, ReasoningDelta, RefusalDelta, TextDelta
from gateway.core.items import Foreign, Item, Json, Message, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.anthropic_messages.blocks_encode import citations_of, thinking_block, tool_input
from gateway.dialects.anthropic_messages.names import NAME
from gateway.dialects.anthropic_messages.sealed_reasoning import SUMMARY_GAP, is_native, seal
from gateway.dialects.rest import own
from gateway.dialects.sealed_reasoning import Shown
from gateway.dialects.sse import event as sse_event

Raw = dict[str, Json]

encode_json = msgspec.json.Encoder().encode

TEXT_TAIL = b"}}\n\n"


class Blocks:
    """The numbered blocks of one answer."""

    def __init__(self) -> None:
        self.index = -1
        self.is_open = False

    def start(self, block: Raw) -> bytes:
        """Open the next block."""
        self.index += 1
        self.is_open = True
        body = {"type": "content_block_start", "index": self.index, "content_block": block}
        return sse_event(encode_json(body), "content_block_start")

    def delta(self, delta: Raw) -> bytes:
        """Fill the open block."""
        body = {"type": "content_block_delta", "index": self.index, "delta": delta}
        return sse_event(encode_json(body), "content_block_delta")

    def text_head(self) -> bytes:
        """Give what stands before the JSON text in a text delta of the open block; TEXT_TAIL stands after it."""
        return (
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":' % self.index
        )

    def stop(self) -> bytes:
        """Close the open block, if there is one."""
        if not self.is_open:
            return b""
        self.is_open = False
        return sse_event(b'{"type":"content_block_stop","index":%d}' % self.index, "content_block_stop")


class Writer(Protocol):
    """Writes one item."""

    def write(self, event: Event) -> bytes:
        """Take a delta of the item."""
        ...

    def finish(self, item: Item) -> bytes:
        """The item is complete: write what is missing and close its block."""
        ...


class TextWriter:
    """Writes a message: a text block for each part."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._wrote = False
        self.part = -1

    def write(self, event: Event) -> bytes:
        """Write more of a part, in a new block where the last one was another part's or was left."""
        if not isinstance(event, TextDelta | RefusalDelta) or not event.text:
            return b""
        opening = b""
        if self.part != event.part or not self._blocks.is_open:
            opening = self._blocks.stop() + self._blocks.start({"type": "text", "text": ""})
            self.part = event.part
        self._wrote = True
        return opening + self._blocks.text_head() + encode_json(event.text) + TEXT_TAIL

    def leave(self) -> bytes:
        """Close the block for now, so that another item can have its turn; more text gets a new block."""
        self.part = -1
        return self._blocks.stop()

    def finish(self, item: Item) -> bytes:
        """Write the citations of the last part, which are only known now, and close."""
        if not isinstance(item, Message):
            return self._blocks.stop()
        if not self._wrote:
            return self._whole(item)
        citations = b""
        if 0 <= self.part < len(item.parts) and isinstance(part := item.parts[self.part], Text):
            citations = self._citations(part)
        return citations + self._blocks.stop()

    def _whole(self, item: Message) -> bytes:
        pieces: list[bytes] = []
        for number, part in enumerate(item.parts):
            if isinstance(part, Text | Refusal) and part.text:
                pieces.append(self.write(TextDelta(index=0, part=number, text=part.text)))
                if isinstance(part, Text):
                    pieces.append(self._citations(part))
        return b"".join(pieces) + self._blocks.stop()

    def _citations(self, part: Text) -> bytes:
        return b"".join(
            self._blocks.delta({"type": "citations_delta", "citation": citation}) for citation in citations_of(part)
        )


class CallWriter:
    """Writes a tool call. Free text for a custom tool is no JSON, so it is written as one input at the end."""

    def __init__(self, blocks: Blocks, item: ToolCall) -> None:
        self._blocks = blocks
        self._wrote = False
        self._is_custom = item.kind == "custom"
        head = {"type": "tool_use", "id": item.call_id, "name": item.name, "input": {}}
        self.opening = blocks.start({**head, **own(item.rest, NAME)})

    def write(self, event: Event) -> bytes:
        """Write more of the arguments."""
        if self._is_custom or not isinstance(event, ArgumentsDelta) or not event.text:
            return b""
        self._wrote = True
        return self._blocks.delta({"type": "input_json_delta", "partial_json": event.text})

    def finish(self, item: Item) -> bytes:
        """Write the arguments if no delta brought them, and close."""
        if self._wrote or not isinstance(item, ToolCall):
            return self._blocks.stop()
        text = encode_json(tool_input(item)).decode()
        return self._blocks.delta({"type": "input_json_delta", "partial_json": text}) + self._blocks.stop()


class ThinkingWriter:
    """Writes reasoning. The kind of block is known at the first delta, or at the end: what has no text is redacted."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._shown: Shown = "nothing"
        self._part = 0

    def write(self, event: Event) -> bytes:
        """Write more thinking. Where both thinking and its summary come, the kind that came first is shown."""
        if not isinstance(event, ReasoningDelta) or not event.text:
            return b""
        opening = b""
        text = event.text
        if self._shown == "nothing":
            self._shown, self._part = event.kind, 0
            opening = self._blocks.start({"type": "thinking", "thinking": "", "signature": ""})
        if event.kind != self._shown:
            return b""
        if event.part > self._part and event.kind == "summary":
            text = SUMMARY_GAP * (event.part - self._part) + text
            self._part = event.part
        return opening + self._blocks.delta({"type": "thinking_delta", "thinking": text})

    def finish(self, item: Item) -> bytes:
        """Write the signature, which vouches for all of it, and close; or write the block that never got a delta."""
        if not isinstance(item, Reasoning):
            return self._blocks.stop()
        if self._shown == "nothing":
            return self._whole(item)
        signature = (item.signature or "") if is_native(item) else seal(item, self._shown)
        signed = self._blocks.delta({"type": "signature_delta", "signature": signature}) if signature else b""
        return signed + self._blocks.stop()

    def _whole(self, item: Reasoning) -> bytes:
        block = thinking_block(item)
        if block is None:
            return b""
        if block["type"] == "redacted_thinking":
            return self._blocks.start(block) + self._blocks.stop()
        pieces = [self._blocks.start({"type": "thinking", "thinking": "", "signature": ""})]
        if block["thinking"]:
            pieces.append(self._blocks.delta({"type": "thinking_delta", "thinking": block["thinking"]}))
        if block["signature"]:
            pieces.append(self._blocks.delta({"type": "signature_delta", "signature": block["signature"]}))
        return b"".join(pieces) + self._blocks.stop()


class ForeignWriter:
    """Writes a block of this API that the hub has no name for, whole. Those of other APIs cannot be shown."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    def write(self, event: Event) -> bytes:
        """Nothing: such items have no deltas."""
        return b""

    def finish(self, item: Item) -> bytes:
        """Write the block; the input of a server's tool comes as a delta, as clients expect."""
        if not isinstance(item, Foreign) or item.dialect != NAME:
            return b""
        value = item.raw.get("input")
        if not isinstance(value, dict):
            return self._blocks.start(item.raw) + self._blocks.stop()
        delta = {"type": "input_json_delta", "partial_json": encode_json(value).decode()}
        return self._blocks.start({**item.raw, "input": {}}) + self._blocks.delta(delta) + self._blocks.stop()
