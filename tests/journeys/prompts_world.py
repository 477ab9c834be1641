"""A gateway with prompt templates, a model of its own, an agent, and an upstream that speaks the Responses API and shows what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import openai

from tests.journeys.running_gateway import Gateway, running

PATIENCE = 20
SCRIPT = """
models:
  talker:
    answers:
      - {when: {contains: slow}, say: one two three four five six seven eight, pace: 0.2}
      - {say: "You said: {input}", usage: {input: 6, output: 4}}
"""
CONFIG = """
server: {drain_timeout: 0.1, limits: {body_bytes: 65536}}
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key}
runs: {poll: 0.1}
agents: {folder: agents}
prompts: {folder: prompts}
batches: {}
providers:
  play: {kind: scripted, document: script.yaml}
  theirs: {kind: openai, base_url: "%(upstream)s", api_key: "env:KEY"}
models: {talker: play/talker, relayed: theirs/gpt}
"""
VERSIONS = {
    "1": "instructions: Old words for {{company}}.\nvariables: {company: {}}\n",
    "2": """
model: talker
instructions: Answer for {{company}}.
messages: [{text: "{{customer}} asks: {{question}}"}]
variables: {company: {}, customer: {default: Ada}, question: {}}
""",
}


class Upstream:
    """A double of OpenAI's Responses API. `sent` are the bodies that it was sent."""

    def __init__(self) -> None:
        self.sent: list[dict] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                self.sent.append(json.loads(await reader.readexactly(length)))
                writer.write(self._answer(streams=bool(self.sent[-1].get("stream"))))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, *, streams: bool) -> bytes:
        text = {"type": "output_text", "text": "From upstream.", "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
        usage = {"input_tokens": 6, "output_tokens": 4, "total_tokens": 10}
        document = {
            "id": "resp_upstream",
            "object": "response",
            "created_at": 1,
            "model": "gpt",
            "status": "completed",
            "output": [message],
            "usage": usage,
        }
        kind, body = b"application/json", json.dumps(document).encode()
        if streams:
            events = (
                {"type": "response.created", "response": {**document, "status": "in_progress", "output": []}},
                {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
                {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": text["text"]},
                {"type": "response.output_item.done", "output_index": 0, "item": message},
                {"type": "response.completed", "response": document},
            )  # fmt: skip
            kind = b"text/event-stream"
            body = b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events)  # fmt: skip
        return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (kind, len(body), body)


class World:
    """`client` is OpenAI's, with the key of an owner."""

    def __init__(self, gateway: Gateway, folder: Path, upstream: Upstream, key: str) -> None:
        self.gateway = gateway
        self.folder = folder
        self.upstream = upstream
        self.client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)
        headers = {"authorization": f"Bearer {key}"}
        self.http = httpx2.AsyncClient(base_url=gateway.url, headers=headers, timeout=PATIENCE)

    def write(self, version: str, text: str, prompt: str = "support") -> None:
        """Write a version of a prompt, or write it anew."""
        place = self.folder / "prompts" / prompt
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{version}.yaml").write_text(text)

    async def reload(self) -> dict:
        return (await self.http.post("/admin/reload")).json()

    async def ended(self, response: str):
        """Wait for the end of a response."""
        with anyio.fail_after(PATIENCE):
            while True:
                found = await self.client.responses.retrieve(response)
                if found.status in ("completed", "incomplete", "failed", "cancelled"):
                    return found
                await anyio.sleep(0.02)

    async def inputs(self, response: str) -> list[str]:
        """What was said in a response that is kept, first to last."""
        items = await self.client.responses.input_items.list(response, order="asc")
        return [item.content[0].text for item in items.data]


@asynccontextmanager
async def prompts_world(folder: Path) -> AsyncIterator[World]:
    """Run it."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
    (folder / "script.yaml").write_text(SCRIPT)
    (folder / "agents" / "desk").mkdir(parents=True)
    (folder / "agents" / "desk" / "agent.yaml").write_text("model: relayed\n")
    (folder / "agents" / "desk" / "instructions.md").write_text("Be the desk.")
    (folder / "prompts" / "support").mkdir(parents=True)
    for version, text in VERSIONS.items():
        (folder / "prompts" / "support" / f"{version}.yaml").write_text(text)
    config = CONFIG % {"upstream": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"}
    try:
        async with running(folder, config, environ={"KEY": "sk-upstream"}) as gateway:
            world = World(gateway, folder, upstream, (folder / "data" / "first.key").read_text().strip())
            try:
                yield world
            finally:
                await world.client.close()
                await world.http.aclose()
    finally:
        server.close()
