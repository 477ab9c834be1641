"""A server that goes down and comes back: its health checks notice both, without a call having to fail."""

import anyio
import httpx2
import pytest

from tests.contract.upstream_faulty_server import serving
from tests.faults.faulty_upstream import document
from tests.faults.governed_gateways import PEPPER
from tests.journeys.running_gateway import running

CONFIG = """
database: {{kind: sqlite, path: data/gateway.db}}
access: {{pepper: env:PEPPER, bootstrap_key_file: data/first.key}}
providers:
  up: {{kind: openai_compatible, base_url: "{url}", api_key: "env:UP_KEY", apis: [chat]{check}}}
  spare: {{kind: scripted, document: script.yaml}}
models:
  both: {{targets: [{{provider: up, model: main}}, {{provider: spare, model: talker}}]}}
"""
CHECK = ", health_check: {every: 0.1, timeout: 0.1, failures: 2, successes: 2}"
SCRIPT = "models: {talker: {answers: [{say: The spare speaks.}]}}"
KEY = {"UP_KEY": "sk-of-a-test-only", **PEPPER}
ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"main","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Main speaks."}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
)
HELLO = {"model": "both", "messages": [{"role": "user", "content": "hello"}]}


class Server:
    """A server that has a list of models while it is up, and answers nothing while it is down."""

    def __init__(self):
        self.up = True
        self.checks = 0
        self.calls = 0
        self.keys = set()

    async def script(self, peer):
        while True:
            asked = await peer.request()
            if asked.startswith(b"GET /v1/models "):
                self.checks += 1
                self.keys.add(b"Bearer sk-of-a-test-only" in asked)
                if not self.up:
                    await peer.left()
                await peer.send(document(b'{"object":"list","data":[]}'))
            else:
                self.calls += 1
                await peer.send(document(ANSWER))


def owner(folder):
    return {"authorization": f"Bearer {(folder / 'data' / 'first.key').read_text().strip()}"}


async def until_state(http, state):
    with anyio.fail_after(5):
        while True:
            targets = (await http.get("/admin/targets")).json()["data"]
            [entry] = [one for one in targets if one["id"] == "up/main"]
            if entry["state"] == state:
                return entry
            await anyio.sleep(0.01)


async def metric(http):
    text = (await http.get("/metrics")).text
    return float(text.partition('switchgear_target_healthy{target="up/main"} ')[2].split("\n")[0])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return tmp_path


async def test_a_server_that_goes_down_is_spared_and_taken_back_when_it_is_up(folder):
    server = Server()
    async with (
        serving(server.script) as serves,
        running(folder, CONFIG.format(url=serves.url, check=CHECK), environ=KEY) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=5, headers=owner(folder)) as http,
    ):

        async def ask():
            return (await http.post("/v1/chat/completions", json=HELLO)).headers["x-switchgear-target"]

        assert (await ask(), await metric(http)) == ("up/main", 1)

        server.up = False
        entry = await until_state(http, "failed")
        calls = server.calls
        explained = (await http.post("/v1/route/explain", json=HELLO)).json()

        assert "health check fails" in entry["detail"]
        assert not entry["healthy"]
        assert explained["considered"][1]["verdict"] == "spared"
        assert "health check fails" in explained["considered"][1]["why"]
        assert [await ask() for _ in range(3)] == ["spare/talker"] * 3
        assert (server.calls, await metric(http)) == (calls, 0)
        assert gateway.records[-1].decision.considered[1].verdict == "spared"

        server.up = True
        await until_state(http, "ready")

        assert (await ask(), await metric(http)) == ("up/main", 1)
        assert server.keys == {True}


async def test_a_reload_without_the_checks_ends_them(folder):
    server = Server()
    async with (
        serving(server.script) as serves,
        running(folder, CONFIG.format(url=serves.url, check=CHECK), environ=KEY) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=5, headers=owner(folder)) as http,
    ):
        server.up = False
        await until_state(http, "failed")
        (folder / "switchgear.yaml").write_text(CONFIG.format(url=serves.url, check=""))
        report = (await http.post("/admin/reload")).json()
        assert report["status"] == "applied"
        with anyio.fail_after(5):
            while serves.open:  # the connection of the checks is closed with the provider
                await anyio.sleep(0.01)
        checks = server.checks
        await anyio.sleep(0.25)

        assert server.checks == checks
        assert (await until_state(http, "ready"))["healthy"]
