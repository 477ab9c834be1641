"""`/v1/completions` is held to its form at a vLLM server, in the fields that vLLM takes there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from tests.journeys.running_gateway import running

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "p", "schema": SCHEMA}}
CONFIG = """
providers:
  gpu: {{kind: vllm, base_url: "{url}/v1", load_interval: 0}}
models:
  m: {{targets: [{{provider: gpu, model: m}}]}}
"""


class VllmDouble(BaseHTTPRequestHandler):
    """Answers completions with the text that it is to say."""

    def do_POST(self):
        """Note the body, and answer."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body))
        choice = {"index": 0, "text": self.server.says, "finish_reason": "stop", "logprobs": None}
        document = {"id": "x", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
        told = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
async def world(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), VllmDouble)
    server.asked, server.says = [], ""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    async with (
        running(tmp_path, CONFIG.format(url=url)) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=20) as http,
    ):
        yield server, http
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ({"response_format": FORMAT}, '{"a": 1}', '{"a": "x"}'),
        ({"structured_outputs": {"json": SCHEMA}}, '{"a": 1}', "prose"),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, "yes", " yes"),
    ],
)
async def test_completions_are_valid_or_an_error(world, form, good, bad):
    server, http = world
    asked = {"model": "m", "prompt": "hi", **form}
    server.says = good
    answer = await http.post("/v1/completions", json=asked)
    assert (answer.status_code, answer.json()["choices"][0]["text"]) == (200, good)
    assert server.asked == [("/v1/completions", asked)]
    server.says = bad
    refused = await http.post("/v1/completions", json=asked)
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert (error["code"], error["param"], len(server.asked)) == ("invalid_output", next(iter(form)), 2)
