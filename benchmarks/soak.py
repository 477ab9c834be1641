"""The soak: tens of thousands of mixed requests, some of which the client breaks off, and what memory does meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

BATCH = 5000
_CLIENTS = 32


async def soak(port: int, key: str, total: int, memory: Callable[[], int]) -> list[int]:
    """Send `total` requests in batches of 5,000; give the memory (KiB) after each batch, warm-up first.

    Kinds, in turn at random: JSON answers, streams read whole, streams left after the first chunk, requests left before
    the answer, malformed bodies, unknown models. Raises AssertionError for an answer that is not what it should be.
    """
    readings = []
    chance = random.Random(7)
    for _ in range(total // BATCH):
        kinds = [chance.choice(_KINDS) for _ in range(BATCH)]
        queue = iter(kinds)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_CLIENTS):
                tasks.create_task(_client(port, key, queue))
        readings.append(memory())
    return readings


async def _client(port: int, key: str, queue) -> None:  # noqa: ANN001 - an iterator shared by all clients
    for kind in queue:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.wait_for(kind(reader, writer, key), 30)
        finally:
            writer.close()


def _request(key: str, body: bytes) -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _chat(model: str, *, stream: bool = False) -> bytes:
    messages = [{"role": "user", "content": f"Question {random.random()}?"}]
    return json.dumps({"model": model, "messages": messages, "stream": stream}).encode()


async def _json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    writer.write(_request(key, _chat("mock-1")))
    answer = await reader.read()
    assert b" 200 " in answer[:20], answer[:200]


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    writer.write(_request(key, _chat("mock-s64", stream=True)))
    answer = await reader.read()
    assert b"[DONE]" in answer, answer[-200:]


async def _leave_in_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    writer.write(_request(key, _chat("mock-s100-d10", stream=True)))
    await reader.read(400)


async def _leave_before(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    del reader
    writer.write(_request(key, _chat("mock-1")))
    await writer.drain()


async def _malformed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    writer.write(_request(key, b'{"model": "mock-1", "messages": [}'))
    answer = await reader.read()
    assert b" 400 " in answer[:20], answer[:200]


async def _unknown(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    writer.write(_request(key, _chat(f"no-such-model-{random.random()}")))
    answer = await reader.read()
    assert b" 404 " in answer[:20], answer[:200]


_KINDS = (_json, _json, _stream, _leave_in_stream, _leave_before, _malformed, _unknown)
