"""kill -9 again and again while an agent writes into its memory: each call writes once, and versions are as many as calls."""

import signal

import anyio
import httpx2
import pytest

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.secret import Secret
from gateway.core.ids import new_id
from gateway.stores.database import open_database
from gateway.stores.memories_sql import SqlMemories
from gateway.stores.runs_sql import SqlRuns
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
database: {database}
access: {{pepper: env:PEPPER}}
runs: {{lease: 1, poll: 0.05}}
agents: {{folder: "{folder}/agents"}}
memories: {{notes: {{}}}}
providers: {{script: {{kind: scripted, document: "{folder}/script.yaml"}}}}
models: {{clerk: script/clerk}}
"""


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """How the configuration names a database, what of the environment it takes, and how a test opens it."""
    if request.param == "sqlite":
        path = str(tmp_path / "runs.db")
        return f'{{kind: sqlite, path: "{path}"}}', {}, SqliteSettings(path=path)
    url = request.getfixturevalue("postgres_server").new_database()
    opened = PostgresSettings(url=Secret(url, source="env:DATABASE_URL"), connections=2)
    return "{kind: postgres, url: env:DATABASE_URL}", {"DATABASE_URL": url}, opened


async def kept(store):
    """The entry, None while there is none, and what the memory says of itself."""
    for info in await store.list(None):
        for entry in await store.page(info.id, now=0.0):
            return entry, info
    return None, None


async def until(store, version):
    """Wait until the entry was written so often."""
    while (entry := (await kept(store))[0]) is None or entry.version < version:
        await anyio.sleep(0.001)


async def test_each_call_writes_once_however_often_the_process_is_killed(tmp_path, database):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    place = tmp_path / "agents" / "clerk"
    place.mkdir(parents=True)
    (place / "agent.yaml").write_text("model: clerk\nmemory: notes\n")
    (place / "instructions.md").write_text("Be brief.")
    written, environ, settings = database
    config, made = CONFIG.format(folder=tmp_path, database=written), ""
    opened = await open_database(settings)
    store = SqlMemories(opened, new_id)
    with anyio.fail_after(2 * PATIENCE):
        for version in (1, 5, 6, 12, 17, 20):
            async with (
                served_process(tmp_path, config, ENVIRON | environ) as process,
                httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
            ):
                if not made:
                    body = {"model": "agent/clerk", "input": "Go.", "background": True}
                    made = (await http.post("/v1/responses", json=body)).json()["id"]
                await until(store, version)
                process.signal(signal.SIGKILL)
                await process.exit_code(PATIENCE)
        async with (
            served_process(tmp_path, config, ENVIRON | environ) as process,
            httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
        ):
            events = await events_of(http, made)
            document = (await http.get(f"/v1/responses/{made}")).json()
    entry, info = await kept(store)
    run = await SqlRuns(opened).find("default", made)
    await opened.aclose()

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == ["response.completed"]
    given = [item["output"] for item in document["output"] if item["type"] == "mcp_call"]
    assert given == [f"Kept tea as version {number}." for number in range(1, WRITES + 1)]
    assert (entry.version, entry.text) == (WRITES, str(WRITES))
    assert (info.entries, info.bytes) == (1, entry.size)
    assert run.epoch > 1
