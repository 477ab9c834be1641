"""A gateway whose tools MCP clients use: real servers of tools behind it, by stdio and by HTTP, and the official client before it."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.journeys.running_gateway import running
from tests.journeys.tool_runs_world import DOUBLE

PEPPER = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough"}
MODES = ("auto", "legacy")
PATIENCE = 90.0
CONFIG = """
server: {{drain_timeout: 0.2}}
database: {database}
access: {{pepper: env:PEPPER, bootstrap_key_file: "{folder}/first.key", keys_refresh: 0.1}}
runs: {{lease: 1, poll: 0.1}}
providers: {{script: {{kind: scripted, document: "{folder}/script.yaml"}}}}
models: {{clerk: script/clerk}}
tools:
  public_url: https://gateway.example
  servers:
    desk:
      kind: stdio
      command: "{python}"
      args: ["{double}", stdio, "{notes}"]
      tools:
        echo: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
        count: {{effect: once, outward: false, gives: {{integrity: trusted}}}}
        hang: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
        pause: {{effect: once, outward: false, gives: {{integrity: trusted}}}}
        blocks: {{effect: read}}
        structured: {{effect: read}}
        fail: {{effect: read}}
        raise: {{effect: read}}
        with.dots: {{effect: read}}
{servers}
"""
ALL = "[echo, count, hang, blocks, structured, fail, raise, with.dots]"


def configuration(folder: Path, mcp: str = "", *, database: str = "", servers: str = "", more: str = "") -> str:
    """Give a configuration; what happens to the server `desk` is noted in `folder`/notes."""
    notes = folder / "notes"
    notes.mkdir(exist_ok=True)
    script = folder / "script.yaml"
    if not script.exists():
        script.write_text("models: {clerk: {answers: [{say: 'You said {input}'}]}}")
    written = CONFIG.format(
        folder=folder,
        database=database or f'{{kind: sqlite, path: "{folder}/runs.db"}}',
        python=sys.executable,
        double=DOUBLE,
        notes=notes,
        servers=servers,
    )
    return f"{written}\nmcp: {mcp or f'{{servers: {{desk: {ALL}}}}}'}\n{more}"


@asynccontextmanager
async def gateway_with(folder: Path, mcp: str = "", *, ready: tuple[str, ...] = ("desk",), **more):
    """A gateway whose servers of tools are there."""
    async with running(folder, configuration(folder, mcp, **more), environ=PEPPER) as gateway:
        with anyio.fail_after(PATIENCE):
            while any(gateway.application.tools.server(name).state != "ready" for name in ready):
                await anyio.sleep(0.02)
        yield gateway


@asynccontextmanager
async def client_of(url: str, mode: str = "auto", *, key: str = "", **more):
    """The official client."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, **more) as client,
    ):
        yield client


def wire(result) -> dict:
    """A result as it was on the wire, without what the transport adds."""
    said = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return {name: value for name, value in said.items() if name not in ("_meta", "resultType")}


@asynccontextmanager
async def operating(folder: Path, url: str):
    """The admin API, as the first administrator."""
    key = (folder / "first.key").read_text().strip()
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as http:
        yield http


async def waiting(folder: Path, url: str) -> list[dict]:
    """What people are asked now, as soon as there is anything."""
    async with operating(folder, url) as http:
        with anyio.fail_after(PATIENCE):
            while True:
                said = await http.get("/admin/approvals", params={"state": "pending"})
                assert said.status_code == 200, said.text
                if found := said.json()["data"]:
                    return found
                await anyio.sleep(0.02)


async def answer(folder: Path, url: str, approval: str, verdict: str = "approve", **body) -> None:
    """Answer a question as the first administrator."""
    async with operating(folder, url) as http:
        said = await http.post(f"/admin/approvals/{approval}/{verdict}", json=body)
        assert said.status_code == 200, said.text


async def key_of(folder: Path, url: str, user: str, **fields) -> str:
    """Make a user with a key, and give the key."""
    async with operating(folder, url) as http:
        made = await http.post("/admin/users", json={"name": user})
        assert made.status_code in (200, 201), made.text
        key = await http.post("/admin/keys", json={"name": user, "user": made.json()["id"], **fields})
        assert key.status_code in (200, 201), key.text
        return key.json()["key"]
