"""A gateway that keeps responses, two tenants with a key each, and OpenAI's client as both of them use it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import openai

from tests.journeys.running_gateway import Gateway, running

SCRIPT = """
models:
  talker:
    answers:
      - {when: {contains: status400}, fail: {status: 400, message: Too odd.}}
      - {when: {contains: breaks}, say: one two three four, fail: {broken: true, after_deltas: 2}}
      - {when: {contains: slow}, say: one two three four five six seven eight, pace: 0.2}
      - {when: {contains: endless}, say: "one two three", pace: 60}
      - when: {contains: weather, turn: 0}
        think: Let me look.
        call: [{tool: weather, arguments: {city: Delft}}]
      - {when: {after_tool: weather}, say: "It says: {tool_result}."}
      - {when: {contains: count, turn: 0}, say: first}
      - {when: {contains: count, turn: 1}, say: second}
      - {when: {contains: count, turn: 2}, say: third}
      - {say: "You said: {input}", usage: {input: 6, output: 4}}
"""
CONFIG = """
server: {drain_timeout: 0.1, limits: {body_bytes: 65536}}
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key, keys_refresh: 0.1}
%(runs)s
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker}
prices: {play/talker: {input: 1.0, output: 2.0}}
"""
PATIENCE = 20
ENDED = ("completed", "incomplete", "failed", "cancelled")


class World:
    """`ours` and `theirs` are clients of two tenants."""

    def __init__(self, gateway: Gateway, keys: dict[str, str]) -> None:
        self.gateway = gateway
        self.keys = keys
        self.ours, self.theirs = (self.client(keys[name]) for name in ("ours", "theirs"))
        self.http = httpx2.AsyncClient(base_url=gateway.url)

    def client(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.gateway.url}/v1", api_key=key, max_retries=0, _strict_response_validation=True
        )

    async def ended(self, response_id: str):
        """Wait for the end of a response."""
        with anyio.fail_after(PATIENCE):
            while True:
                response = await self.ours.responses.retrieve(response_id)
                if response.status in ENDED:
                    return response
                await anyio.sleep(0.02)

    async def raw(self, method: str, path: str, key: str = "ours", **more):
        headers = {"authorization": f"Bearer {self.keys[key]}", **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)

    async def stream(self, method: str, path: str, *, most: int | None = None, **more) -> list[tuple[str, dict]]:
        """Read a stream's events, all or `most` of them, and leave."""
        found: list[tuple[str, dict]] = []
        headers = {"authorization": f"Bearer {self.keys['ours']}"}
        async with self.http.stream(method, path, headers=headers, **more) as answer:
            assert answer.status_code == 200, await answer.aread()
            if most == 0:
                return found
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    found.append((name, json.loads(line[6:])))
                    if len(found) == most:
                        break
        return found


@asynccontextmanager
async def responses_world(folder: Path, *, runs: str = "runs: {poll: 0.1}") -> AsyncIterator[World]:
    """Run it. `runs` is the section of that name."""
    (folder / "script.yaml").write_text(SCRIPT)
    async with running(folder, CONFIG % {"runs": runs}) as gateway:
        owner = (folder / "data" / "first.key").read_text().strip()
        keys = {"owner": owner}
        async with httpx2.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {owner}"}) as http:
            for name in ("ours", "theirs"):
                tenant = (await http.post("/admin/tenants", json={"name": name})).json()["id"]
                made = await http.post("/admin/keys", json={"name": name, "tenant": tenant})
                keys[name] = made.json()["key"]
        world = World(gateway, keys)
        try:
            yield world
        finally:
            for client in (world.ours, world.theirs):
                await client.close()
            await world.http.aclose()
