"""A double of an embeddings API, in the test's event loop: texts with like letters have like vectors. It speaks OpenAI's wire format."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zlib import crc32

SIZE = 256


def vector(text: str) -> list[float]:
    counts = [0.0] * SIZE
    padded = f"  {' '.join(text.lower().split())} "
    for at in range(len(padded) - 2):
        counts[crc32(padded[at : at + 3].encode()) % SIZE] += 1.0
    return counts


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
            data = [{"object": "embedding", "index": at, "embedding": vector(text)} for at, text in enumerate(texts)]
            usage = {"prompt_tokens": 5, "total_tokens": 5}
            body = json.dumps({"object": "list", "model": asked["model"], "data": data, "usage": usage}).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def embedding_upstream() -> AsyncIterator[str]:
    """Run one on a free port, and give its base URL."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
