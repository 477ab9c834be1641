"""Canaries: what an upstream is told in confidence comes back to no caller, whatever the upstream says of it."""

import json

import httpx2
import pytest

from tests.contract.upstream_faulty_server import serving
from tests.journeys.running_gateway import running

CANARY = "sk-canary-5f8d1c9e7b3a"
CONFIG = """
providers:
  chat: {kind: openai_compatible, base_url: "URL", api_key: "env:CANARY"}
  claude: {kind: anthropic, base_url: "URL", api_key: "env:CANARY"}
routing: {breaker: {failures: 10000, least: 1000000}}
models:
  small: chat/small
  large: claude/large
"""
MESSAGES = [{"role": "user", "content": "hi"}]


class Echo:
    """An upstream that repeats, in its errors, the credentials that it was sent."""

    def __init__(self):
        self.status = 401
        self.asked = 0

    async def answer(self, peer):
        request = (await peer.request()).decode()
        self.asked += 1
        lines = [line for line in request.splitlines() if line.lower().startswith(("authorization", "x-api-key"))]
        message = f"Incorrect API key provided: {lines}"
        body = json.dumps(
            {"type": "error", "error": {"message": message, "type": "t", "param": message, "code": message}}
        ).encode()
        await peer.send(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (self.status, len(body), body)
        )


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_an_upstreams_error_does_not_tell_callers_the_providers_key(tmp_path, capfd, status):
    echo = Echo()
    echo.status = status
    async with serving(echo.answer) as upstream:
        config = CONFIG.replace("URL", upstream.url)
        async with running(tmp_path, config, environ={"CANARY": CANARY}) as gateway, httpx2.AsyncClient() as http:
            for model in ("small", "large"):
                for path in ("chat/completions", "messages"):
                    for stream in (False, True):
                        answer = await http.post(
                            f"{gateway.url}/v1/{path}",
                            json={"model": model, "stream": stream, "max_tokens": 5, "messages": MESSAGES},
                        )
                        assert answer.status_code >= 400
                        assert CANARY not in answer.text
                        assert CANARY not in str(answer.headers)
                        assert status == 200 or "[key]" in answer.text
            assert echo.asked >= 8
            assert CANARY not in (await http.get(f"{gateway.url}/metrics")).text
            assert CANARY not in repr(gateway.records)
    assert CANARY not in "".join(capfd.readouterr())
