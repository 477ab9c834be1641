"""A gateway with agents: one that only talks, and one with tools of a real MCP server, for one of which a person has to agree."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import anyio
import httpx2
import openai

from tests.journeys.running_gateway import ROOT, Gateway, running

PATIENCE = 20
SCRIPT = """
models:
  thinker:
    answers:
      - {when: {contains: refuse}, fail: {status: 400, message: Too odd.}}
      - {when: {contains: endless}, say: "one two three", pace: 60}
      - when: {contains: echo, turn: 0}
        think: Let me look.
        say: "I look. "
        call: [{tool: desk__echo, arguments: {text: hello}}]
      - when: {contains: count, turn: 0}
        call: [{tool: desk__count, arguments: {text: one}}]
      - {when: {contains: to the clerk, turn: 0}, say: "One moment. ", call: [{tool: transfer_to_clerk, arguments: {}}]}
      - {when: {contains: to the clerk, turn: 1}, call: [{tool: desk__echo, arguments: {text: hello}}]}
      - {when: {contains: mine, turn: 0}, call: [{tool: ask_me, arguments: {}}]}
      - {when: {tool_result: ""}, say: "The tool said: {tool_result}", usage: {input: 10, output: 20}}
      - {say: "You said: {input}", usage: {input: 6, output: 4}}
"""
CONFIG = """
server: {drain_timeout: 0.1}
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key, keys_refresh: 0.1}
runs: {poll: 0.1}
agents: {folder: agents}
limits: {one: {count: concurrent, per: [key], limit: 1}}
tools:
  servers:
    desk:
      kind: stdio
      command: %(python)s
      args: [%(double)s, stdio, %(folder)s]
      tools:
        echo: {effect: read, outward: false, gives: {integrity: trusted}}
        count: {effect: once, outward: false, gives: {integrity: trusted}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {thinker: play/thinker}
prices: {play/thinker: {input: 1.0, output: 2.0}}
"""
TALKER = "model: thinker\ndescription: Talks.\n"
CLERK = """
model: thinker
description: Has tools.
label: "1"
tools: {desk: [echo, count]}
approval: {desk/count: always}
limits: {steps: 4}
"""


class World:
    """`openai` and `anthropic` are clients with one key; `notes` is where the server of tools writes what it did."""

    def __init__(self, gateway: Gateway, folder: Path, key: str) -> None:
        self.gateway = gateway
        self.folder = folder
        self.openai = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)
        self.anthropic = anthropic.AsyncAnthropic(base_url=gateway.url, api_key=key, max_retries=0)
        self.http = httpx2.AsyncClient(
            base_url=gateway.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE
        )

    def write(self, agent: str, definition: str, instructions: str = "Be brief.") -> None:
        """Write an agent, or write it anew."""
        place = self.folder / "agents" / agent
        place.mkdir(parents=True, exist_ok=True)
        (place / "instructions.md").write_text(instructions)
        (place / "agent.yaml").write_text(definition)

    async def reload(self) -> dict:
        return (await self.http.post("/admin/reload")).json()

    async def tools_ready(self) -> None:
        """Wait until the server of tools is there."""
        with anyio.fail_after(PATIENCE):
            while self.gateway.application.tools.server("desk").state != "ready":
                await anyio.sleep(0.02)

    def tool_calls(self) -> list[str]:
        """The tools that the server was asked for."""
        notes = self.folder / "calls.jsonl"
        return [json.loads(line)["tool"] for line in notes.read_text().splitlines()] if notes.exists() else []

    async def ended(self, response: str):
        """Wait for the end of a response."""
        with anyio.fail_after(PATIENCE):
            while True:
                found = await self.openai.responses.retrieve(response)
                if found.status in ("completed", "incomplete", "failed", "cancelled"):
                    return found
                await anyio.sleep(0.02)


@asynccontextmanager
async def agents_world(folder: Path) -> AsyncIterator[World]:
    """Run it."""
    (folder / "script.yaml").write_text(SCRIPT)
    for name, definition in (("talker", TALKER), ("clerk", CLERK)):
        place = folder / "agents" / name
        place.mkdir(parents=True)
        (place / "agent.yaml").write_text(definition)
        (place / "instructions.md").write_text("Be brief.")
    places = {"python": sys.executable, "double": ROOT / "tests" / "mcp_server_double.py", "folder": folder}
    async with running(folder, CONFIG % places) as gateway:
        world = World(gateway, folder, (folder / "data" / "first.key").read_text().strip())
        try:
            await world.tools_ready()
            yield world
        finally:
            for client in (world.openai, world.anthropic):
                await client.close()
            await world.http.aclose()
