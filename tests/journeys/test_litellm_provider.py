"""A gateway in litellm's own environment answers from vendors that have neither OpenAI's shape nor Anthropic's."""

import json
import os
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

ROOT = Path(__file__).resolve().parents[2]
HI = [{"role": "user", "content": "hi"}]
GEMINI_USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
REFUSAL = {"error": {"code": 429, "message": "Quota exceeded for this project", "status": "RESOURCE_EXHAUSTED"}}


def gemini(text, **more):
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
    return {
        "candidates": [candidate],
        "usageMetadata": GEMINI_USAGE,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }


COHERE = {
    "id": "c1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello from Cohere."}]},
    "usage": {
        "billed_units": {"input_tokens": 3, "output_tokens": 5},
        "tokens": {"input_tokens": 71, "output_tokens": 9},
    },
}
COHERE_TOOL = {
    "id": "c2",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I will look.",
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
        ],
    },
    "usage": {"tokens": {"input_tokens": 80, "output_tokens": 12}},
}


def mistral(delta, reason=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {
        "id": "m1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "mistral-small",
        "choices": [choice],
        **more,
    }


MISTRAL_USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
MISTRAL_VECTORS = {
    "id": "e1",
    "object": "list",
    "model": "mistral-embed",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2, "completion_tokens": 0},
}


ASKED = deque(maxlen=100)
LEFT = threading.Event()


class Vendor(BaseHTTPRequestHandler):
    """Speaks Gemini's, Cohere's and Mistral's wire formats, by path. The last word of the prompt says what goes wrong."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        ASKED.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        said = json.dumps(body)
        if "limit" in said:
            self.document(REFUSAL, status=429, retry_after="7")
        elif self.path.startswith("/gemini") and "stream" in self.path:
            self.stream(said, [gemini("Hello "), gemini("there")], gemini(".", finishReason="STOP"), None)
        elif self.path.startswith("/gemini"):
            self.document(gemini("Hello from Gemini.", finishReason="STOP"))
        elif self.path.startswith("/cohere"):
            self.document(COHERE_TOOL if body.get("tools") else COHERE)
        elif self.path.endswith("/embeddings"):
            self.document(MISTRAL_VECTORS)
        else:
            words = [mistral({"role": "assistant", "content": "Bon"}), mistral({"content": "jour"})]
            self.stream(said, words, mistral({"content": ""}, "stop", usage=MISTRAL_USAGE), "[DONE]")

    def document(self, body, status=200, retry_after=None):
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(encoded)))
        if retry_after:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(encoded)

    def stream(self, said, words, last, end):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for word in words:
                self.event(json.dumps(word))
            while "forever" in said:
                self.event(json.dumps(words[-1]))
                LEFT.wait(0.02)
        except OSError:
            LEFT.set()
            return
        if "cut" not in said:
            self.event(json.dumps(last))
            if end:
                self.event(end)

    def event(self, data):
        self.wfile.write(f"data: {data}\r\n\r\n".encode())
        self.wfile.flush()


@pytest.fixture(scope="module")
def vendor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


CONFIGURATION = """
server: {{host: 127.0.0.1, port: {port}}}
logging: {{level: debug}}
providers:
  gemini: {{kind: litellm, provider: gemini, api_base: "{base}/gemini/v1beta", api_key: "env:KEY_OF_THIS_TEST"}}
  cohere: {{kind: litellm, provider: cohere, api_base: "{base}/cohere/v2/chat", api_key: "env:KEY_OF_THIS_TEST"}}
  mistral: {{kind: litellm, provider: mistral, api_base: "{base}/v1", api_key: "env:KEY_OF_THIS_TEST"}}
  nowhere: {{kind: litellm, provider: mistral, api_base: "http://127.0.0.1:9/v1", api_key: "env:KEY_OF_THIS_TEST"}}
models:
  gemini: gemini/gemini-2.5-flash
  cohere: cohere/command-a-03-2025
  mistral: mistral/mistral-small
  vectors: mistral/mistral-embed
  nowhere: nowhere/mistral-small
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Gateway:
    """A Switchgear process in litellm's environment."""

    def __init__(self, port, log):
        self.url, self.log = f"http://127.0.0.1:{port}", log
        self._openai = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=30)
        self._anthropic = anthropic.Anthropic(base_url=self.url, api_key="none", max_retries=0, timeout=30)

    def openai(self):
        return self._openai

    def anthropic(self):
        return self._anthropic

    def close(self):
        self._openai.close()
        self._anthropic.close()

    def states(self):
        try:
            models = httpx2.get(f"{self.url}/readyz", timeout=10).json()["models"]
        except httpx2.TransportError:
            return set()
        return {target["state"] for targets in models.values() for target in targets}


@pytest.fixture(scope="module")
def gateway(vendor, tmp_path_factory):
    subprocess.run([ROOT / "scripts" / "setup-litellm.sh"], check=True)
    folder, port = tmp_path_factory.mktemp("litellm"), free_port()
    config, log = folder / "switchgear.yaml", folder / "log"
    config.write_text(CONFIGURATION.format(port=port, base=f"http://127.0.0.1:{vendor.server_address[1]}"))
    command = [ROOT / ".litellm" / "bin" / "python", "-m", "gateway", "serve", "--config", config]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "KEY_OF_THIS_TEST": "sk-test"}, stdout=output, stderr=output
        )
    gateway = Gateway(port, log)
    try:
        seen, until = set(), time.monotonic() + 90
        while "ready" not in (states := gateway.states()):
            seen |= states
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        gateway.seen = seen
        yield gateway
    finally:
        gateway.close()
        process.terminate()
        assert process.wait(20) == 0, log.read_text()


def test_the_gateway_answers_while_litellm_is_still_being_imported(gateway):
    # Readiness was asked for, and told, before the import was over.
    assert "starting" in gateway.seen
    assert "litellm.imported" in gateway.log.read_text()


def test_a_vendor_with_a_shape_of_its_own_answers_through_every_dialect(gateway):
    chat = gateway.openai().chat.completions.create(model="gemini", messages=HI)
    response = gateway.openai().responses.create(model="gemini", input="hi")
    message = gateway.anthropic().messages.create(model="gemini", messages=HI, max_tokens=20)

    assert chat.choices[0].message.content == "Hello from Gemini."
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (5, 3)
    assert response.output_text == "Hello from Gemini."
    assert message.content[0].text == "Hello from Gemini."
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 3)


@pytest.mark.parametrize(
    ("model", "text", "tokens"), [("gemini", "Hello there.", (5, 3)), ("mistral", "Bonjour", (11, 3))]
)
def test_streams_arrive_piece_by_piece_with_the_vendors_usage(gateway, model, text, tokens):
    chunks = list(
        gateway.openai().chat.completions.create(
            model=model, messages=HI, stream=True, stream_options={"include_usage": True}
        )
    )
    with gateway.anthropic().messages.stream(model=model, messages=HI, max_tokens=20) as stream:
        message = stream.get_final_message()

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 1
    assert "".join(pieces) == text == message.content[0].text
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == tokens
    assert message.stop_reason == "end_turn"


def test_tools_cross_to_the_vendors_own_form_and_back(gateway, vendor):
    tool = {"name": "weather", "description": "w", "input_schema": {"type": "object", "properties": {"city": {}}}}
    answer = gateway.anthropic().messages.create(model="cohere", messages=HI, max_tokens=20, tools=[tool])

    (block,) = [block for block in answer.content if block.type == "tool_use"]
    assert (block.name, block.input) == ("weather", {"city": "Rome"})
    assert answer.stop_reason == "tool_use"
    path, headers, body = ASKED[-1]
    assert (path, headers["authorization"]) == ("/cohere/v2/chat", "Bearer sk-test")
    assert body["tools"][0]["function"]["name"] == "weather"


def test_embeddings_come_in_the_form_that_the_client_asks_for(gateway):
    client = gateway.openai()
    packed = client.embeddings.create(model="vectors", input="hi")  # the client asks for base64
    plain = client.embeddings.create(model="vectors", input="hi", encoding_format="float")

    assert packed.data[0].embedding == plain.data[0].embedding == [0.5, -0.25]
    assert plain.usage.prompt_tokens == 2


@pytest.mark.parametrize("model", ["gemini", "cohere", "mistral"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_refusal_keeps_status_message_and_retry_after_and_is_not_retried(gateway, model, streaming):
    before = len([path for path, _, body in ASKED if "limit" in json.dumps(body)])
    with pytest.raises(openai.RateLimitError) as caught:
        gateway.openai().chat.completions.create(
            model=model, messages=[{"role": "user", "content": "limit"}], stream=streaming
        )

    after = len([path for path, _, body in ASKED if "limit" in json.dumps(body)])
    assert caught.value.body["message"] == "Quota exceeded for this project"
    assert caught.value.response.headers["retry-after"] == "7"
    assert after == before + 1


def test_an_upstream_that_is_not_there_is_told_as_such(gateway):
    with pytest.raises(openai.InternalServerError) as caught:
        gateway.openai().chat.completions.create(model="nowhere", messages=HI)

    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_unreachable"


def test_a_stream_that_was_cut_off_is_not_passed_off_as_whole(gateway):
    stream = gateway.openai().chat.completions.create(
        model="mistral", messages=[{"role": "user", "content": "cut"}], stream=True
    )
    with pytest.raises(openai.APIError, match="before the answer was complete"):
        list(stream)


def test_a_client_that_leaves_closes_the_upstreams_stream(gateway):
    LEFT.clear()
    stream = gateway.openai().chat.completions.create(
        model="mistral", messages=[{"role": "user", "content": "forever"}], stream=True
    )
    next(iter(stream))
    stream.close()

    assert LEFT.wait(5)


def test_a_parameter_that_the_vendor_has_not_is_refused_by_name(gateway):
    with pytest.raises(openai.BadRequestError) as caught:
        gateway.openai().chat.completions.create(model="cohere", messages=HI, logit_bias={"1": 2})
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize("name", ["api_base", "mock_response", "extra_headers"])
def test_a_client_cannot_steer_litellm(gateway, name):
    with pytest.raises(openai.BadRequestError) as caught:
        gateway.openai().chat.completions.create(model="mistral", messages=HI, extra_body={name: "http://evil.test"})
    assert caught.value.param == name


def test_no_address_that_a_client_names_is_fetched(gateway, vendor):
    image = {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{vendor.server_address[1]}/secret.png"}}
    with pytest.raises(openai.BadRequestError, match="download is disabled"):
        gateway.openai().chat.completions.create(model="gemini", messages=[{"role": "user", "content": [image]}])


def test_the_log_holds_neither_prompts_nor_keys(gateway):
    gateway.openai().chat.completions.create(model="gemini", messages=[{"role": "user", "content": "canary-7431"}])
    log = gateway.log.read_text()

    assert "canary-7431" not in log
    assert "sk-test" not in log
