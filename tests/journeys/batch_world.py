"""A gateway that keeps files and runs batches, two tenants with a key each, and OpenAI's client as both of them use it."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import openai

from tests.journeys.running_gateway import Gateway, running

CHAT = "/v1/chat/completions"
SCRIPT = """
models:
  talker:
    embedding_dimensions: 4
    answers:
      - {when: {contains: status400}, fail: {status: 400, message: Too odd.}}
      - {when: {contains: status500}, fail: {status: 500, message: Oh no.}}
      - {when: {contains: slow}, say: at last, delay: 30}
      - {say: "You said: {input}", usage: {input: 6, output: 4}}
"""
CONFIG = """
server: {drain_timeout: 0.1, limits: {body_bytes: 65536}}
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key, keys_refresh: 0.1}
batches: {folder: data/files, poll: 0.1, tries: 2, lines: 100, unfinished: 3%(more)s}
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker, other: play/talker}
prices: {play/talker: {input: 1.0, output: 2.0}}
%(limits)s
"""
PATIENCE = 20


class World:
    """`ours` and `theirs` are clients of two tenants, `owner` administers."""

    def __init__(self, gateway: Gateway, folder: Path, keys: dict[str, str]) -> None:
        self.gateway = gateway
        self.folder = folder
        self.keys = keys
        self.ours, self.theirs = (self.client(keys[name]) for name in ("ours", "theirs"))
        self.http = httpx2.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {keys['owner']}"})

    def client(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.gateway.url}/v1", api_key=key, max_retries=0, _strict_response_validation=True
        )

    async def batch(self, data: bytes, *, endpoint: str = CHAT, **more):
        """Upload lines, and make a batch of them."""
        file = await self.ours.files.create(file=("input.jsonl", data), purpose="batch")
        return await self.ours.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)

    async def ended(self, batch_id: str):
        """Wait for the end of a batch."""
        with anyio.fail_after(PATIENCE):
            while True:
                batch = await self.ours.batches.retrieve(batch_id)
                if batch.status in ("completed", "failed", "cancelled", "expired"):
                    return batch
                await anyio.sleep(0.02)

    async def lines(self, file_id: str | None) -> list[dict[str, object]]:
        """Give the lines of a file."""
        if file_id is None:
            return []
        content = (await self.ours.files.content(file_id)).content
        return [json.loads(line) for line in content.splitlines()]

    async def raw(self, method: str, path: str, key: str = "ours", **more):
        headers = {"authorization": f"Bearer {self.keys[key]}", **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)


def line(custom_id: str, text: str = "hello", *, url: str = CHAT, **body) -> dict[str, object]:
    """Give a line that asks something."""
    asked = {"model": "talker"}
    if url in {"/v1/embeddings", "/v1/responses"}:
        asked |= {"input": text}
    elif url == "/v1/completions":
        asked |= {"prompt": text}
    else:
        asked |= {"messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": asked | body}


def jsonl(lines: Iterable[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


@asynccontextmanager
async def batch_world(folder: Path, *, more: str = "", limits: str = "") -> AsyncIterator[World]:
    """Run it. `more` are further settings of batches, `limits` further sections."""
    (folder / "script.yaml").write_text(SCRIPT)
    config = CONFIG % {"more": f", {more}" if more else "", "limits": limits}
    async with running(folder, config) as gateway:
        owner = (folder / "data" / "first.key").read_text().strip()
        keys = {"owner": owner}
        async with httpx2.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {owner}"}) as http:
            for name in ("ours", "theirs"):
                tenant = (await http.post("/admin/tenants", json={"name": name})).json()["id"]
                made = await http.post("/admin/keys", json={"name": name, "tenant": tenant})
                keys[name] = made.json()["key"]
                keys[f"{name}_id"], keys[f"{name}_tenant"] = made.json()["id"], tenant
        world = World(gateway, folder, keys)
        try:
            yield world
        finally:
            for client in (world.ours, world.theirs):
                await client.close()
            await world.http.aclose()
