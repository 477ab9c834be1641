"""What is said of the gateway to whom: no door tells a stranger of models, and no caller spoils another's reports."""

import httpx2
import pytest

from tests.journeys.running_gateway import running

CONFIG = """
server: {keys: ["env:STATIC"]}
database: {kind: sqlite, path: sg.db}
access: {bootstrap_key_file: first.key}
policies: {folder: policies}
providers: {script: {kind: scripted, document: script.yaml}}
models: {small: script/small, other: script/small}
"""
STATIC = "a-static-key-of-the-configuration"
KNOWN = {"authorization": f"Bearer {STATIC}"}


@pytest.fixture
async def http(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {small: {answers: [{say: ok}]}}")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/all.cedar").write_text("permit (principal, action, resource);\n")
    async with (
        running(tmp_path, CONFIG, environ={"STATIC": STATIC}) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as http,
    ):
        http.owner = {"authorization": f"Bearer {(tmp_path / 'first.key').read_text().strip()}"}
        http.gateway = gateway
        yield http


async def test_a_probe_is_told_whether_it_is_ready_and_no_more(http):
    for headers in ({}, {"authorization": "Bearer nonsense"}):
        answer = await http.get("/readyz", headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        assert "small" not in answer.text
    known = (await http.get("/readyz", headers=KNOWN)).json()

    assert known["models"]["small"] == [{"target": "script/small", "state": "ready"}]


async def test_readiness_names_no_model_that_the_caller_may_not_use(http):
    made = await http.post("/admin/keys", headers=http.owner, json={"name": "n", "models": ["small"]})
    answer = await http.get("/readyz", headers={"authorization": f"Bearer {made.json()['key']}"})

    assert set(answer.json()["models"]) == {"small"}


async def test_invented_models_fill_no_report(http):
    for number in range(5):
        asked = {"model": f"agent/invented-{number}", "messages": [{"role": "user", "content": "x"}]}
        assert (await http.post("/v1/chat/completions", headers=KNOWN, json=asked)).status_code == 404
    ledger = http.gateway.application.governance.kept.ledger
    http.gateway.application.recorder.flush()
    await ledger.flush()
    by_model = await http.get("/admin/usage?by=model,agent,error", headers=http.owner)

    assert by_model.status_code == 200
    assert "invented" not in by_model.text
    assert '"calls":5' in by_model.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/messages"])
@pytest.mark.parametrize("name", ["authorization", "x-api-key", "origin"])
async def test_a_header_that_says_two_things_is_refused(http, path, name):
    values = [f"Bearer {STATIC}", "Bearer other"] if name == "authorization" else [STATIC, "other"]
    headers = [(name, value) for value in values]
    headers += [("authorization", f"Bearer {STATIC}")] if name == "origin" else []
    method = "GET" if path == "/v1/models" else "POST"
    body = {"json": {"model": "small", "max_tokens": 9, "messages": []}} if method == "POST" else {}
    for order in (headers, headers[1::-1] + headers[2:]):
        answer = await http.request(method, path, headers=order, **body)
        assert answer.status_code == 400
        assert f"two different {name} headers" in answer.text
        assert STATIC not in answer.text
