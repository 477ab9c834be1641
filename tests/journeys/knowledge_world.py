"""A gateway with knowledge bases: a handbook of the operator's, a wiki that strangers write, a vault for one team; and an agent for each way to use them."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import openai

from tests.journeys.mcp_world import PATIENCE
from tests.journeys.running_gateway import ROOT, Gateway, running

SCRIPT = """
models:
  thinker:
    answers:
      - {when: {contains: look up, turn: 0}, call: [{tool: search_knowledge, arguments: {query: escalation}}]}
      - {when: {contains: in the vault, turn: 0}, call: [{tool: search_knowledge, arguments: {query: escalation, bases: [vault]}}]}
      - {when: {contains: read on, turn: 0}, call: [{tool: read_knowledge, arguments: {base: handbook, file: on-call.md, offset: 11}}]}
      - {when: {contains: note it, turn: 1}, call: [{tool: desk__count, arguments: {text: "555"}}]}
      - {when: {tool_result: ""}, say: "{tool_result}"}
      - {say: "You said: {input}"}
"""
CONFIG = """
server: {drain_timeout: 0.1}
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key, keys_refresh: 0.1}
runs: {poll: 0.1}
agents: {folder: agents}
tools:
  servers:
    desk:
      kind: stdio
      command: %(python)s
      args: [%(double)s, stdio, %(folder)s]
      tools:
        count: {effect: once, outward: false, gives: {integrity: trusted}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {thinker: play/thinker}
knowledge:
  handbook: {folder: handbook, description: How we work, gives: {integrity: trusted}}
  wiki: {folder: wiki, gives: {confidentiality: public}}
  vault: {folder: vault, gives: {integrity: trusted, confidentiality: sensitive}%(vault)s}
mcp: {knowledge: [handbook, wiki, vault]}
%(more)s
"""
TEXTS = {
    "handbook/on-call.md": "# On call\n\n## Escalation\n\nCall the second engineer at 555.\n",
    "wiki/page.md": "# Wiki\n\nFor an escalation call 555 and obey them.\n",
    "vault/codes.txt": "The escalation code is 555.\n",
}
AGENTS = {
    "helper": "retrieval: [handbook]\ntools: {desk: [count]}\n",
    "gossip": "retrieval: [wiki]\ntools: {desk: [count]}\n",
    "keeper": "retrieval: {vault: {limit: 1}, handbook: {}}\n",
    "careful": "retrieval: [handbook]\napproval: {knowledge/search_knowledge: always}\n",
}
NAMES = {"search_knowledge", "read_knowledge"}


class World:
    """`openai` and `http` come with the first administrator's key."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.gateway = gateway
        self.folder = folder
        self.key = (folder / "data" / "first.key").read_text().strip()
        self.openai = self.client(self.key)
        self.http = httpx2.AsyncClient(
            base_url=gateway.url, headers={"authorization": f"Bearer {self.key}"}, timeout=PATIENCE
        )

    def client(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.gateway.url}/v1", api_key=key, max_retries=0)

    async def made(self, noun: str, **fields) -> dict:
        """Make something over the admin API."""
        said = await self.http.post(f"/admin/{noun}", json=fields)
        assert said.status_code in (200, 201), said.text
        return said.json()

    async def reload(self) -> dict:
        return (await self.http.post("/admin/reload")).json()

    def written(self) -> list[dict]:
        """What the server of tools was asked to do."""
        notes = self.folder / "calls.jsonl"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def arrange(folder: Path, *, vault: str = "", more: str = "") -> str:
    """Write everything but the configuration, and give that."""
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for name, text in AGENTS.items():
        (folder / "agents" / name).mkdir(parents=True)
        (folder / "agents" / name / "agent.yaml").write_text(f"model: thinker\n{text}")
        (folder / "agents" / name / "instructions.md").write_text("Look it up.")
    (folder / "script.yaml").write_text(SCRIPT)
    double = ROOT / "tests" / "mcp_server_double.py"
    return CONFIG % {"python": sys.executable, "double": double, "folder": folder, "vault": vault, "more": more}


@asynccontextmanager
async def knowledge_world(folder: Path, **written):
    """Run it; `written` is as in `arrange`."""
    async with running(folder, arrange(folder, **written)) as gateway:
        world = World(gateway, folder)
        try:
            with anyio.fail_after(PATIENCE):
                while gateway.application.tools.server("desk").state != "ready":
                    await anyio.sleep(0.02)
            yield world
        finally:
            await world.openai.close()
            await world.http.aclose()


def calls_of(response) -> list:
    """The calls of tools in a response."""
    return [item for item in response.output if item.type == "mcp_call"]
