"""Where no key is asked for, the user's own browser must not become the way in for pages of elsewhere: CSRF, WebSockets, DNS rebinding.

A browser sends a `POST` of a page without asking first where its content type is plain or missing, opens a WebSocket to anywhere, and takes a name
that was made an address of this machine for the page's own. What it always sends is the true `Origin` then, or the rebound name in `Host`.
"""

import json

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.journeys.running_gateway import running
from tests.tool_world import free_port

CONFIG = """
server: {{port: {port}}}
database: {{kind: sqlite, path: data/switchgear.db}}
access: {{bootstrap_key_file: data/first.key}}
runs: {{}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{talker: play/talker}}
"""
ASKED = {"model": "talker", "input": "hello"}
CHAT = {"model": "talker", "messages": [{"role": "user", "content": "hello"}]}
FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost.evil.example"},
    {"origin": "http://127.0.0.1@evil.example"},
    {"origin": "http://127.0.0.1.evil.example:8080"},
    {"origin": "app://localhost"},
    {"origin": ""},
    {"host": "rebound.example"},
    {"host": "rebound.example:9", "origin": "http://rebound.example:9"},
]


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {talker: {answers: [{say: hello}]}}")
    async with (
        running(tmp_path, CONFIG.format(port=free_port())) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as gateway.http,
    ):
        yield gateway


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_page_of_elsewhere_asks_for_nothing_over_http(gateway, headers):
    plain = headers | {"content-type": "application/json"}
    answers = [
        await gateway.http.post("/v1/chat/completions", content=json.dumps(CHAT), headers=plain),
        await gateway.http.post("/v1/chat/completions", content=json.dumps(CHAT), headers=headers),
        await gateway.http.post("/v1/responses", content=json.dumps(ASKED), headers=headers),
        await gateway.http.post("/v1/messages", content=json.dumps(CHAT | {"max_tokens": 9}), headers=headers),
        await gateway.http.post("/v1/conversations", content="{}", headers=headers),
        await gateway.http.get("/v1/models", headers=headers),
        await gateway.http.get("/v1/responses/resp_1", headers=headers),
        await gateway.http.get("/metrics", headers=headers),
        await gateway.http.get("/admin/whoami", headers=headers),
        await gateway.http.post("/admin/reload", headers=headers),
        # A browser can be made to send some scheme of authorization on its own account; nothing of it is a key.
        await gateway.http.get("/v1/models", headers=headers | {"authorization": "Basic YTpi"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert {answer.json()["error"].get("code", "page_not_allowed") for answer in answers} == {"page_not_allowed"}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_page_of_elsewhere_opens_no_web_socket(gateway, headers):
    """The same-origin policy does not hold for WebSockets: what comes back, the page reads."""
    url = gateway.url.replace("http", "ws", 1) + "/v1/responses"
    address = {}
    if "host" in headers:
        address = {"host": "127.0.0.1", "port": int(gateway.url.rpartition(":")[2])}
        url = f"ws://{headers['host']}/v1/responses"
    more = {name: value for name, value in headers.items() if name != "host"}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers=more, **address):
            pass

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:5173"},
        {"origin": "https://[::1]:5173"},
        {"host": "localhost:1"},
        {"host": "[::1]:1", "origin": "http://app.localhost"},
    ],
    ids=str,
)
async def test_programs_and_pages_of_this_machine_come_in_as_before(gateway, headers):
    asked = await gateway.http.post("/v1/chat/completions", json=CHAT, headers=headers)
    listed = await gateway.http.get("/v1/models", headers=headers)

    assert (asked.status_code, listed.status_code) == (200, 200)


async def test_a_page_with_a_key_is_the_key_s_business(gateway, tmp_path):
    key = (tmp_path / "data" / "first.key").read_text().strip()
    headers = {"authorization": f"Bearer {key}", "origin": "https://app.example", "host": "gateway.example"}

    assert (await gateway.http.get("/v1/models", headers=headers)).status_code == 200


async def test_two_hosts_or_two_origins_are_nobody_s(gateway):
    twice = [("origin", "http://localhost"), ("origin", "https://evil.example")]
    answer = await gateway.http.get("/v1/models", headers=twice)

    assert answer.status_code == 400
