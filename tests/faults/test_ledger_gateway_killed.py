"""kill -9 of the whole gateway under load: the ledger has every call that the upstream has seen, and each of them once."""

import random
import signal

import anyio
import httpx2

from gateway.config.database_settings import SqliteSettings
from gateway.stores.database import open_database
from gateway.stores.ledger import RowQuery
from gateway.stores.ledger_sql import SqlLedger
from tests.faults.faulty_upstream import LAST_CHUNK, STREAM_HEAD, asked, chunk, document, faulty_upstream
from tests.journeys.running_gateway import served_process

KILLS = 3
CLIENTS = 24
CONFIG = """
database: {{kind: sqlite, path: data/switchgear.db}}
ledger: {{spool: data/spool}}
providers: {{up: {{kind: openai_compatible, base_url: "http://127.0.0.1:{port}/v1"}}}}
models: {{talker: up/talker}}
prices: {{talker: {{input: 1, output: 2}}}}
"""


class Load:
    """Calls through a gateway: what the clients were told. Texts are unique, so the upstream's side can be compared."""

    def __init__(self):
        self.answered = set()
        self.calls = 0

    async def client(self, url, chance):
        async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
            try:
                while True:
                    self.calls += 1
                    stream = chance.random() < 0.6
                    body = asked("chat", stream=stream, text=f"call-{self.calls};")
                    answer = await http.post("/v1/chat/completions", json=body)
                    if answer.status_code == 200 and (not stream or b"[DONE]" in answer.content):
                        self.answered.add(answer.headers["x-switchgear-call-id"])
            except httpx2.HTTPError:
                return  # The gateway is dead.


async def until(condition):
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.005)


def slowly(upstream, chance):
    """Answers that take any time, so that a kill finds calls in every state."""

    async def behave(peer, request):
        pause = chance.choice((0, 0.002, 0.03))
        if not request.stream:
            await anyio.sleep(pause)
            await peer.send(document(upstream.answers.documents[request.api]))
            return
        await peer.send(STREAM_HEAD)
        for event in upstream.answers.events[request.api]:
            await peer.send(chunk(event))
            await anyio.sleep(pause)
        await peer.send(LAST_CHUNK)

    return behave


async def kill_under_load(folder, config, upstream, load, chance):
    async with served_process(folder, config) as process, anyio.create_task_group() as clients:
        before = len(upstream.asked)
        for _ in range(CLIENTS):
            clients.start_soon(load.client, process.url, chance)
        wanted = before + chance.randrange(100, 300)
        await until(lambda: len(upstream.asked) >= wanted)
        process.signal(signal.SIGKILL)
        await process.exit_code(10)


async def all_rows(path):
    database = await open_database(SqliteSettings(path=str(path)))
    rows, cursor = [], None
    while True:
        page = await SqlLedger(database).find_rows(RowQuery(limit=1000, cursor=cursor))
        rows += page.rows
        cursor = page.next
        if cursor is None:
            break
    await database.aclose()
    return rows


async def test_no_call_is_missing_and_none_is_there_twice(tmp_path):
    chance = random.Random(7)
    load = Load()
    async with faulty_upstream(tmp_path) as upstream:
        upstream.behave = slowly(upstream, chance)
        config = CONFIG.format(port=upstream.port)
        for _ in range(KILLS):
            await kill_under_load(tmp_path, config, upstream, load, chance)
        async with served_process(tmp_path, config) as last:
            # Its own folder is left, once it has written what the others left behind.
            await until(lambda: len([each for each in (tmp_path / "data" / "spool").iterdir() if each.is_dir()]) == 1)
            last.signal(signal.SIGTERM)
            await last.exit_code(10)
        seen = {request.body.partition(b"call-")[2].partition(b";")[0] for request in upstream.asked}
    rows = await all_rows(tmp_path / "data" / "switchgear.db")

    by_id = {row.id: row for row in rows}
    assert len(by_id) == len(rows)
    assert load.answered <= by_id.keys()
    assert len(seen) > 100 * KILLS
    # Each seen call has its row; beyond them there are only those that a kill met between their note and the upstream.
    assert len(seen) <= len(rows) <= len(seen) + KILLS * CLIENTS
    interrupted = [row for row in rows if row.error == "interrupted"]
    assert 0 < len(interrupted) <= KILLS * CLIENTS + KILLS * 300
    finished = [row for row in rows if not row.error]
    assert {(row.input, row.output, row.cost_nano) for row in finished} == {(11, 5, 21_000)}
    assert list((tmp_path / "data" / "spool").iterdir()) == []
