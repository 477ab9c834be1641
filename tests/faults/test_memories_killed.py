"""kill -9 again and again while an agent writes into its memory: each call writes once, and versions are as many as calls."""

import signal
import sqlite3

import anyio
import httpx2

from tests.faults.killed_runs import PATIENCE, TERMINAL, events_of
from tests.journeys.running_gateway import served_process

ENVIRON = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough"}
WRITES = 24
CALLS = "".join(
    f'          - {{tool: switchgear__memory_write, arguments: {{key: tea, text: "{number}"}}}}\n'
    for number in range(1, WRITES + 1)
)
SCRIPT = f"""
models:
  clerk:
    answers:
      - {{when: {{after_tool: switchgear__memory_write}}, say: "{{tool_result}}"}}
      - call:
{CALLS}
"""
CONFIG = """
server: {{drain_timeout: 0.2}}
database: {{kind: sqlite, path: "{folder}/runs.db"}}
access: {{pepper: env:PEPPER}}
runs: {{lease: 1, poll: 0.05}}
agents: {{folder: "{folder}/agents"}}
memories: {{notes: {{}}}}
providers: {{script: {{kind: scripted, document: "{folder}/script.yaml"}}}}
models: {{clerk: script/clerk}}
"""


def version(folder):
    """How often the entry was written."""
    with sqlite3.connect(folder / "runs.db") as database:
        found = database.execute("select version from memory_entries").fetchone()
    return 0 if found is None else found[0]


async def test_each_call_writes_once_however_often_the_process_is_killed(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    place = tmp_path / "agents" / "clerk"
    place.mkdir(parents=True)
    (place / "agent.yaml").write_text("model: clerk\nmemory: notes\n")
    (place / "instructions.md").write_text("Be brief.")
    config, made = CONFIG.format(folder=tmp_path), ""
    with anyio.fail_after(2 * PATIENCE):
        for written in (1, 5, 6, 12, 17, 20):
            async with (
                served_process(tmp_path, config, ENVIRON) as process,
                httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
            ):
                if not made:
                    body = {"model": "agent/clerk", "input": "Go.", "background": True}
                    made = (await http.post("/v1/responses", json=body)).json()["id"]
                while version(tmp_path) < written:
                    await anyio.sleep(0.001)
                process.signal(signal.SIGKILL)
                await process.exit_code(PATIENCE)
        async with (
            served_process(tmp_path, config, ENVIRON) as process,
            httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
        ):
            events = await events_of(http, made)
            document = (await http.get(f"/v1/responses/{made}")).json()

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == ["response.completed"]
    given = [item["output"] for item in document["output"] if item["type"] == "mcp_call"]
    assert given == [f"Kept tea as version {number}." for number in range(1, WRITES + 1)]
    with sqlite3.connect(tmp_path / "runs.db") as database:
        assert database.execute("select version, body from memory_entries").fetchall() == [(WRITES, b"24")]
        assert database.execute("select entries, bytes from memories").fetchall() == [(1, len("tea24"))]
        assert database.execute("select epoch > 1 from runs").fetchone() == (1,)
