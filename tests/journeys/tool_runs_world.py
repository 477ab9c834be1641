"""A gateway whose responses use tools: a real MCP server that notes its calls, a scripted model, and the official client."""

import json
import sys
from pathlib import Path

import anyio

from tests.journeys.running_gateway import Gateway

DOUBLE = Path(__file__).resolve().parents[1] / "mcp_server_double.py"
SCRIPT = """
models:
  clerk:
    answers:
      - when: {contains: circles}
        call: [{tool: desk__echo, arguments: {text: again}}]
      - when: {after_tool: desk__echo}
        say: "It says: {tool_result}."
      - when: {after_tool: desk__count}
        say: "Done: {tool_result}"
      - when: {after_tool: desk__hang}
        say: "After all: {tool_result}"
      - when: {contains: read}
        call: [{tool: desk__echo, arguments: {text: tea}}]
      - when: {contains: change}
        call: [{tool: desk__count, arguments: {text: once}}]
      - when: {contains: wait}
        call: [{tool: desk__hang, arguments: {}}]
      - when: {contains: both}
        call: [{tool: desk__echo, arguments: {text: tea}}, {tool: desk__count, arguments: {text: once}}]
      - say: "You said {input}"
"""
CONFIG = """
server: {{drain_timeout: 0.2}}
database: {database}
access: {{pepper: env:PEPPER}}
runs: {{lease: 1, poll: 0.1}}
providers: {{script: {{kind: scripted, document: "{folder}/script.yaml"}}}}
models: {{clerk: script/clerk}}
tools:
  servers:
    desk:
      kind: stdio
      command: "{python}"
      args: ["{double}", stdio, "{notes}"]
      tools:
        echo: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
        count: {{effect: once, outward: false, gives: {{integrity: trusted}}}}
        hang: {{effect: once, outward: false, gives: {{integrity: trusted}}}}
"""
ENVIRON = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough"}
NEVER = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]
ALWAYS = [{"type": "mcp", "server_label": "desk"}]


def configuration(folder: Path, *, database: str = "") -> str:
    """Write the script, and give the configuration. What happens to the server of tools is noted in `folder`/notes."""
    database = database or f'{{kind: sqlite, path: "{folder}/runs.db"}}'
    notes = folder / "notes"
    notes.mkdir(exist_ok=True)
    (folder / "script.yaml").write_text(SCRIPT)
    return CONFIG.format(folder=folder, database=database, python=sys.executable, double=DOUBLE, notes=notes)


def calls(folder: Path, tool: str = "") -> list[dict]:
    """The calls that reached the server of tools."""
    path = folder / "notes" / "calls.jsonl"
    noted = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [call for call in noted if tool in ("", call["tool"])]


async def until_ready(gateway: Gateway) -> None:
    """Wait until the server of tools has said what it has: a busy machine takes its time for that."""
    with anyio.fail_after(90):
        while gateway.application.tools.server("desk").state != "ready":
            await anyio.sleep(0.02)
