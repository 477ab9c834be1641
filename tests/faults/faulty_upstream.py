"""A double of an upstream: it speaks HTTP on raw sockets, gives real answers of each API, and misbehaves as it is told."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import msgspec

from tests.contract.upstream_faulty_server import Peer, serving
from tests.journeys.running_gateway import running

APIS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "embeddings": "/v1/embeddings",
}
SCRIPT = """
models:
  talker:
    embedding_dimensions: 4
    answers: [{say: one two three four five, usage: {input: 11, output: 5}}]
"""
CONFIG = """
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker}
"""


def asked(api: str, *, stream: bool, model: str = "talker", text: str = "hello") -> dict[str, object]:
    """A request body of an API."""
    said = [{"role": "user", "content": text}]
    body: dict[str, object] = {"model": model}
    if stream:
        body["stream"] = True
    if api == "embeddings":
        return {**body, "input": text}
    if api == "responses":
        return {**body, "input": said}
    return {**body, "messages": said} | ({"max_tokens": 100} if api == "messages" else {})


class Answers:
    """What a healthy upstream says: one JSON document and the events of one stream for each API."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.events: dict[str, list[bytes]] = {}


async def record_answers(folder) -> Answers:
    """Ask a gateway that plays a script for real answers of each API."""
    (folder / "script.yaml").write_text(SCRIPT)
    answers = Answers()
    async with running(folder, CONFIG) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        for api, path in APIS.items():
            answers.documents[api] = (await http.post(path, json=asked(api, stream=False))).content
            if api != "embeddings":
                body = asked(api, stream=True)
                if api == "chat":
                    body["stream_options"] = {"include_usage": True}
                streamed = (await http.post(path, json=body)).content
                answers.events[api] = [event + b"\n\n" for event in streamed.split(b"\n\n") if event]
    return answers


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the upstream sees it."""

    api: str
    stream: bool
    head: bytes
    body: bytes


Behaviour = Callable[[Peer, Asked], Awaitable[None]]


class FaultyUpstream:
    """Where it listens; `behave` is what it does with the next requests."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.behave: Behaviour = self.answer_well
        self.asked: list[Asked] = []
        self.port = 0

    async def script(self, peer: Peer) -> None:
        while True:
            raw = await peer.request()
            head, _, body = raw.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            api = next(api for api, known in APIS.items() if path == known)
            seen = Asked(api=api, stream=b'"stream":true' in body.replace(b" ", b""), head=head, body=body)
            self.asked.append(seen)
            await self.behave(peer, seen)

    async def answer_well(self, peer: Peer, asked: Asked) -> None:
        if asked.stream:
            await peer.send(STREAM_HEAD)
            for event in self.answers.events[asked.api]:
                await peer.send(chunk(event))
            await peer.send(LAST_CHUNK)
        else:
            await peer.send(document(self.answers.documents[asked.api]))


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def document(body: bytes, *, status: int = 200, kind: bytes = b"application/json", headers: bytes = b"") -> bytes:
    """A whole response."""
    return b"HTTP/1.1 %d Some Reason\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status, kind, len(body), headers, body,
    )  # fmt: skip


@asynccontextmanager
async def faulty_upstream(folder):
    """Run the double."""
    upstream = FaultyUpstream(await record_answers(folder))
    async with serving(upstream.script) as server:
        upstream.port = server.port
        upstream.server = server
        yield upstream
