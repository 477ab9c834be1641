"""Who may come in without governance: static keys, or everybody on this machine. And nothing secret comes out."""

import json
import subprocess
import sys

import httpx2
import pytest

from tests.contract.upstream_faulty_server import serving
from tests.faults.faulty_upstream import APIS, asked, document
from tests.journeys.running_gateway import ROOT, running, served_process

SCRIPT = """
models:
  talker:
    embedding_dimensions: 4
    answers:
      - {when: {contains: broken}, say: CANARY-ANSWER one two, fail: {broken: true, after_deltas: 2, message: Gone.}}
      - {say: "CANARY-ANSWER {input}"}
"""
OPEN = """
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker}
"""
LOCKED = 'server: {keys: ["env:KEY_ONE", "env:KEY_TWO"]}\n' + OPEN
KEYS = {"KEY_ONE": "CANARY-KEY-ONE", "KEY_TWO": "CANARY-KEY-TWO"}
ENDPOINTS = [("POST", path) for path in APIS.values()] + [
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
    ("POST", "/admin/reload"),
]


@pytest.fixture
async def locked(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, LOCKED, environ=KEYS) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        http.gateway = gateway
        yield http


GOOD = [
    {"authorization": "Bearer CANARY-KEY-ONE"},
    {"authorization": "bearer CANARY-KEY-TWO"},
    {"x-api-key": "CANARY-KEY-TWO"},
    {"x-api-key": "CANARY-KEY-ONE", "authorization": "Basic dXNlcjpwYXNz"},
]
BAD = [
    {},
    {"authorization": "Bearer wrong"},
    {"authorization": "Bearer"},
    {"authorization": "CANARY-KEY-ONE"},
    {"authorization": "Basic CANARY-KEY-ONE"},
    {"x-api-key": ""},
    {"x-api-key": "CANARY-KEY-ON"},
    {"x-api-key": "CANARY-KEY-ONE" + "x" * 5000},
    {"authorization": "Bearer wrong", "x-api-key": "CANARY-KEY-ONE"},
]


@pytest.mark.parametrize("headers", GOOD)
async def test_a_known_key_opens_in_either_header(locked, headers):
    answer = await locked.post(APIS["chat"], json=asked("chat", stream=False), headers=headers)

    assert answer.status_code == 200
    assert locked.gateway.records[0].caller in ("key-1", "key-2")


@pytest.mark.parametrize("headers", BAD)
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_without_a_known_key_every_endpoint_is_closed(locked, method, path, headers):
    answer = await locked.request(method, path, headers=headers, **({"json": {}} if method == "POST" else {}))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.json()["error"]["type"] == "authentication_error"
    assert (answer.json().get("type") == "error") == (path == "/v1/messages")
    assert "CANARY" not in answer.text


async def test_health_is_open_and_tells_no_secret(locked):
    assert (await locked.get("/healthz")).status_code == 200
    ready = await locked.get("/readyz")
    assert ready.status_code == 200
    assert "CANARY" not in ready.text


def serve(folder, config, *args, env=None):
    """Run the command until it ends by itself."""
    (folder / "switchgear.yaml").write_text(config)
    (folder / "script.yaml").write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--config", "switchgear.yaml", *args],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_a_public_address_without_keys_is_refused_with_the_way_out(tmp_path, host):
    by_option = serve(tmp_path, OPEN, "--host", host, "--port", "0")
    by_file = serve(tmp_path, f'server: {{host: "{host}", port: 0}}\n' + OPEN)

    for ended in (by_option, by_file):
        assert ended.returncode != 0
        assert "server.keys" in ended.stderr or "keys" in ended.stderr
        assert "env:" in ended.stderr
        assert "Traceback" not in ended.stderr


async def test_loopback_without_keys_works_and_says_that_it_is_open(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with served_process(tmp_path, OPEN) as server, httpx2.AsyncClient(base_url=server.url) as http:
        answer = await http.post(APIS["chat"], json=asked("chat", stream=False))

    assert answer.status_code == 200


CANARY_CONFIG = """
server: {{keys: ["env:KEY_ONE"]}}
logging: {{format: json, level: debug}}
providers:
  play: {{kind: scripted, document: script.yaml}}
  up: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat], api_key: "env:UP_KEY", headers: {{x-secret: "env:UP_SECRET"}}}}
models:
  talker: play/talker
  up: up/talker
"""


async def test_no_key_no_prompt_and_no_answer_is_in_log_metrics_readiness_or_errors(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    env = {"KEY_ONE": "CANARY-KEY-ONE", "UP_KEY": "CANARY-UP-KEY", "UP_SECRET": "CANARY-UP-SECRET"}
    seen_upstream = []

    async def refuse(peer):
        seen_upstream.append(await peer.request())
        await peer.send(document(b'{"error": {"message": "no", "code": "x"}}', status=401))

    headers = {"authorization": "Bearer CANARY-KEY-ONE"}
    async with serving(refuse) as upstream:
        config = CANARY_CONFIG.format(url=f"http://127.0.0.1:{upstream.port}")
        async with served_process(tmp_path, config, env) as server, httpx2.AsyncClient(base_url=server.url) as http:
            errors = []
            for api, path in APIS.items():
                for stream in (False, True)[: 1 if api == "embeddings" else 2]:
                    for text in ("CANARY-PROMPT", "CANARY-PROMPT broken"):
                        body = asked(api, stream=stream, text=text)
                        await http.post(path, json=body, headers=headers)
                    wrong = [
                        await http.post(path, json=body, headers={"authorization": "Bearer CANARY-WRONG-KEY"}),
                        await http.post(path, json={**body, "model": "up"}, headers=headers),
                        await http.post(path, content=b'{"x": "CANARY-PROMPT"', headers=headers),
                        await http.post(path, json={**body, "temperature": "CANARY-PROMPT"}, headers=headers),
                    ]
                    errors += [answer for answer in wrong if answer.status_code >= 400]
            (tmp_path / "switchgear.yaml").write_text(config.replace("env:UP_KEY", "CANARY-LITERAL-KEY"))
            errors.append(await http.post("/admin/reload", headers=headers))
            pages = [await http.get(path, headers=headers) for path in ("/metrics", "/readyz", "/v1/models")]
            server.process.terminate()
            assert await server.exit_code(10) == 0
            log = server.log.read_text()

    assert b"CANARY-UP-KEY" in seen_upstream[0]
    assert len(errors) > 15
    assert "CANARY" not in "".join(answer.text for answer in [*errors, *pages])
    assert "CANARY" not in log
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    calls = [line for line in lines if line["event"] == "call.finished"]
    assert len(calls) == 7 * 6
    assert {call["caller"] for call in calls if call["status"] == 200} == {"key-1"}
