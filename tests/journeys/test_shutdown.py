"""A server that is told to stop: streams finish or are ended properly, newcomers are sent away, and it exits with 0."""

import json
import signal

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, asked
from tests.journeys.running_gateway import served_process

SCRIPT = """
models:
  talker:
    answers:
      - {when: {contains: slow}, say: one two three four five six, pace: 0.2}
      - {when: {contains: endless}, say: one two three, pace: 600}
      - {say: Quick.}
"""
CONFIG = """
server: {{drain_timeout: {drain}}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{talker: play/talker}}
"""
DIALECTS = ("chat", "responses", "messages")


async def open_stream(http, api, text):
    request = http.build_request("POST", APIS[api], json=asked(api, stream=True, text=text))
    response = await http.send(request, stream=True)
    assert response.status_code == 200
    pieces = response.aiter_bytes()
    return [await anext(pieces)], pieces


async def rest_of(seen, pieces):
    with anyio.fail_after(15):
        async for piece in pieces:
            seen.append(piece)
    return b"".join(seen)


async def test_on_sigterm_streams_finish_and_newcomers_are_sent_away_in_their_dialect(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with (
        served_process(tmp_path, CONFIG.format(drain=10)) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=20) as http,
        httpx2.AsyncClient(base_url=server.url, timeout=20) as waiting,
    ):
        await waiting.get("/healthz")  # a connection that is kept open
        streams = {api: await open_stream(http, api, "slow") for api in DIALECTS}
        server.signal(signal.SIGTERM)
        with anyio.fail_after(5):
            while (ready := await waiting.get("/readyz")).status_code != 503:
                await anyio.sleep(0.01)
        refused = {api: await http.post(APIS[api], json=asked(api, stream=False)) for api in DIALECTS}
        finished = {api: await rest_of(*streams[api]) for api in DIALECTS}
        code = await server.exit_code(10)

    assert ready.json()["status"] == "draining"
    for api, answer in refused.items():
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "unavailable"
        assert (answer.json().get("type") == "error") == (api == "messages")
    assert finished["chat"].rstrip().endswith(b"data: [DONE]")
    assert b"response.completed" in finished["responses"]
    assert b"message_stop" in finished["messages"]
    assert all(b"six" in seen for seen in finished.values())
    assert code == 0


async def test_after_the_drain_timeout_streams_end_with_an_error_of_their_dialect(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with (
        served_process(tmp_path, CONFIG.format(drain=0.3)) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=20) as http,
    ):
        streams = {api: await open_stream(http, api, "endless") for api in DIALECTS}
        server.signal(signal.SIGTERM)
        seen = {api: await rest_of(*streams[api]) for api in DIALECTS}
        code = await server.exit_code(10)
        log = server.log.read_text()

    last = {api: json.loads(text.strip().split(b"\n\n")[-1].rpartition(b"data: ")[2]) for api, text in seen.items()}
    assert last["chat"]["error"]["code"] == "unavailable"
    assert last["responses"]["type"] == "response.failed"
    assert last["messages"]["error"]["code"] == "unavailable"
    assert "Traceback" not in log
    records = [json.loads(line) for line in log.splitlines() if '"call.finished"' in line]
    assert [(record["error"], record["status"]) for record in records] == [("unavailable", 503)] * 3
    assert code == 0


async def test_a_second_signal_ends_at_once_and_every_call_is_told_and_recorded(tmp_path):
    """Seen: 3 s until the end, streams that blamed the upstream, and no record of the calls that were cut."""
    (tmp_path / "script.yaml").write_text(SCRIPT)
    documents = {}

    async def ask(http, api):
        documents[api] = await http.post(APIS[api], json=asked(api, stream=False, text="endless"))

    async with (
        served_process(tmp_path, CONFIG.format(drain=600)) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=20) as http,
        anyio.create_task_group() as tasks,
    ):
        streams = {api: await open_stream(http, api, "endless") for api in DIALECTS}
        for api in DIALECTS:
            tasks.start_soon(ask, http, api)
        with anyio.fail_after(10):
            while "switchgear_calls_in_progress 6" not in (await http.get("/metrics")).text:
                await anyio.sleep(0.01)
        server.signal(signal.SIGTERM)
        with anyio.fail_after(5):
            while b"server.drain.begun" not in server.log.read_bytes():
                await anyio.sleep(0.01)
        server.signal(signal.SIGTERM)
        code = await server.exit_code(2.5)
        seen = {api: await rest_of(*streams[api]) for api in DIALECTS}
        log = server.log.read_text()

    assert code == 1
    assert all(b"shutting down" in text.strip().split(b"\n\n")[-1] for text in seen.values())
    assert {answer.status_code for answer in documents.values()} == {503}
    assert all("shutting down" in answer.text for answer in documents.values())
    assert len(documents) == 3
    assert "Traceback" not in log
    records = [json.loads(line) for line in log.splitlines() if '"call.finished"' in line]
    assert [(record["error"], record["status"]) for record in records] == [("unavailable", 503)] * 6
    assert all(record["usage"]["estimated"] for record in records)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_server_stops_at_once(tmp_path, number):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with (
        served_process(tmp_path, CONFIG.format(drain=10)) as server,
        httpx2.AsyncClient(base_url=server.url) as http,
    ):
        await http.get("/healthz")
        server.signal(number)

        assert await server.exit_code(3) == 0
        events = [json.loads(line) for line in server.log.read_text().splitlines()]

    assert [event["event"] for event in events] == ["server.started", "server.drain.begun", "server.stopped"]
    assert events[0]["port"] == server.port
    assert all(event["at"].endswith("Z") for event in events)
