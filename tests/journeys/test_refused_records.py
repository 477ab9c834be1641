"""What was asked in vain is on record too: by whom, and for which model."""

import httpx2
import pytest

from tests.contract.upstream_faulty_server import until
from tests.journeys.running_gateway import running

CONFIG = """
server: {keys: ["env:KEY"]}
providers:
  demo: {kind: scripted, document: answers.yaml}
models:
  talker: demo/talker
"""


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "answers.yaml").write_text("models: {talker: {answers: [{say: hi}]}}")
    async with running(tmp_path, CONFIG, environ={"KEY": "sk-test"}) as served:
        yield served


@pytest.mark.parametrize(
    ("key", "body", "known"),
    [
        ("sk-test", {"model": "talkre", "stream": True}, ("key-1", "talkre", True, "model_not_found")),
        ("sk-test", {"messages": []}, ("key-1", "", False, "invalid_request")),
        ("sk-wrong", {"model": "talker"}, ("", "", False, "invalid_api_key")),
        ("sk-test", {"model": "x" * 5000}, ("key-1", "x" * 200, False, "model_not_found")),
    ],
)
async def test_the_record_of_a_refused_request_holds_what_was_known_by_then(gateway, key, body, known):
    async with httpx2.AsyncClient(base_url=gateway.url) as client:
        await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        scraped = (await client.get("/metrics", headers={"authorization": "Bearer sk-test"})).text

    await until(lambda: gateway.records)
    (record,) = gateway.records
    assert (record.caller, record.model, record.stream, record.error) == known
    assert "talkre" not in scraped
