"""Whatever a client sends, it gets a clear error in its own dialect: never a 5xx, never a traceback."""

import json
import random

import anyio
import httpx2
import pytest

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker: {embedding_dimensions: 4, answers: [{say: "You said: {input}"}]}
"""
CONFIG = """
server: {limits: {body_bytes: 100000, json_depth: 50}}
providers:
  play: {kind: scripted, document: script.yaml}
  openai: {kind: openai_compatible, base_url: "http://127.0.0.1:1/v1", apis: [chat]}
  claude: {kind: anthropic, base_url: "http://127.0.0.1:1", api_key: "env:CLAUDE"}
routing: {retry: {attempts: 1}, breaker: {failures: 10000, least: 1000000}} # what comes of one fault is asked here
models:
  talker: play/talker
  claude: claude/claude
  chat-only: openai/some
"""
PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "count": "/v1/messages/count_tokens",
    "embeddings": "/v1/embeddings",
    "completions": "/v1/completions",
    "rerank": "/v1/rerank",
    "moderations": "/v1/moderations",
}
GOOD = {
    "chat": {"model": "talker", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "talker", "input": "hi"},
    "messages": {"model": "talker", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "count": {"model": "talker", "messages": [{"role": "user", "content": "hi"}]},
    "embeddings": {"model": "talker", "input": "hi"},
    "completions": {"model": "talker", "prompt": "hi"},
    "rerank": {"model": "talker", "query": "hi", "documents": ["a", "b"]},
    "moderations": {"model": "talker", "input": "hi"},
}
JSON = {"content-type": "application/json"}
every_path = pytest.mark.parametrize("name", PATHS)


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "script.yaml").write_text(SCRIPT)
    async with running(folder, CONFIG, environ={"CLAUDE": "a-key-for-claude"}) as gateway:
        yield gateway


@pytest.fixture
async def http(gateway):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield http


def error_in(name, answer):
    """status, param and code of an error in the dialect of its path."""
    value = answer.json()
    error = value["error"]
    if name in ("messages", "count"):
        assert value["type"] == "error"
        assert {"type", "message", "code"} <= set(error)
    else:
        assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return answer.status_code, error.get("param"), error["code"]


def deep(levels):
    return b'{"model": "talker", "x": ' + b"[" * levels + b"]" * levels + b"}"


BODIES = {
    "nothing": (b"", 400, None, "invalid_json"),
    "no JSON": (b"hello", 400, None, "invalid_json"),
    "cut off": (b'{"model": "talker"', 400, None, "invalid_json"),
    "a list": (b"[]", 400, None, "invalid_json"),
    "null": (b"null", 400, None, "invalid_json"),
    "trailing text": (b'{"model": "talker"} x', 400, None, "invalid_json"),
    "NaN": (b'{"model": "talker", "temperature": NaN}', 400, None, "invalid_json"),
    "Infinity": (b'{"model": "talker", "temperature": -Infinity}', 400, None, "invalid_json"),
    "beyond a double": (b'{"model": "talker", "temperature": 1e999}', 400, None, "invalid_json"),
    "duplicate key": (b'{"model": "talker", "model": "talker"}', 400, "model", "invalid_json"),
    "duplicate key, escaped": (b'{"model": "talker", "mod\\u0065l": "talker"}', 400, "model", "invalid_json"),
    "duplicate key below": (b'{"model": "talker", "x": [{"a": 1, "a" : 2}]}', 400, "a", "invalid_json"),
    "invalid UTF-8": (b'{"model": "talker\xff"}', 400, None, "invalid_json"),
    "lone surrogate": (b'{"model": "talker\\ud800"}', 400, None, "invalid_json"),
    "too deep": (deep(60), 400, None, "invalid_json"),
    "far too deep": (deep(40_000), 400, None, "invalid_json"),
    "a byte order mark": (b'\xef\xbb\xbf{"model": "talker"}', 400, None, "invalid_json"),
    "no model": (b"{}", 400, "model", "invalid_request"),
    "model is null": (b'{"model": null}', 400, "model", "invalid_request"),
    "model is a number": (b'{"model": 1}', 400, "model", "invalid_request"),
    "model is empty": (b'{"model": ""}', 400, "model", "invalid_request"),
    "unknown model": (b'{"model": "talkre"}', 404, "model", "model_not_found"),
    "unknown odd model": (b'{"model": "\\u0000\\r\\n<script>"}', 404, "model", "model_not_found"),
    "stream is a word": (b'{"model": "talker", "stream": "yes"}', 400, "stream", "invalid_request"),
    "a huge integer": (b'{"model": ' + b"9" * 5000 + b"}", 400, ..., ...),
    "too large": (b'{"model": "talker", "x": "' + b"x" * 100_000 + b'"}', 413, None, "request_too_large"),
}  # fmt: skip


@every_path
@pytest.mark.parametrize("body", BODIES)
async def test_a_body_that_cannot_be_served_is_a_clear_error(http, name, body):
    content, status, param, code = BODIES[body]

    answer = await http.post(PATHS[name], content=content, headers=JSON)

    found = error_in(name, answer)
    assert found[0] == status
    assert param is ... or found[1:] == (param, code)


async def test_an_unknown_model_is_told_its_near_matches(http):
    answer = await http.post(PATHS["chat"], json={**GOOD["chat"], "model": "talkr"})

    assert "'talker'" in answer.json()["error"]["message"]


WRONG_FIELDS = [
    ("chat", {"messages": "hi"}, "messages"),
    ("chat", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ("chat", {"messages": [{"role": "wizard", "content": "x"}]}, "messages[0]"),
    ("chat", {"temperature": "hot"}, "temperature"),
    ("chat", {"tools": [{"type": "function"}]}, "tools[0]"),
    ("chat", {"stream_options": "yes"}, "stream_options"),
    ("responses", {"input": 7}, "input"),
    ("responses", {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text"}]}]}, "input[0]"),
    ("responses", {"tools": "x"}, "tools"),
    ("messages", {"max_tokens": None}, "max_tokens"),
    ("messages", {"max_tokens": -1}, "max_tokens"),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0]"),
    ("messages", {"system": 3}, "system"),
    ("embeddings", {"input": {}}, "input"),
    ("embeddings", {"input": []}, "input"),
    ("embeddings", {"dimensions": 0}, "dimensions"),
    ("embeddings", {"encoding_format": "hex"}, "encoding_format"),
    ("completions", {"prompt": 1}, "prompt"),
    ("rerank", {"documents": "x"}, "documents"),
]


@pytest.mark.parametrize(("name", "change", "param"), WRONG_FIELDS)
async def test_a_field_of_the_wrong_kind_is_named(http, name, change, param):
    answer = await http.post(PATHS[name], json={**GOOD[name], **change})

    status, named, code = error_in(name, answer)
    assert (status, code) == (400, "invalid_request")
    assert named is not None
    assert named.startswith(param) or param.startswith(named), named


@pytest.mark.parametrize(
    ("name", "model", "change", "param"),
    [
        ("chat", "claude", {"logit_bias": {"1": 5}}, "logit_bias"),
        ("chat", "claude", {"n": 2}, "n"),
        ("chat", "claude", {"seed": 7}, "seed"),
        ("messages", "chat-only", {"top_k": 5}, "top_k"),
    ],
)
async def test_a_parameter_that_the_target_does_not_know_is_refused_by_name(http, name, model, change, param):
    answer = await http.post(PATHS[name], json={**GOOD[name], "model": model, **change})

    status, named, code = error_in(name, answer)
    assert (status, named, code) == (400, param, "unsupported_parameter")


@every_path
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "nonsense"])
async def test_what_is_not_declared_as_json_is_refused(http, name, kind):
    answer = await http.post(PATHS[name], content=json.dumps(GOOD[name]), headers={"content-type": kind})

    assert error_in(name, answer) == (415, None, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"])
async def test_json_under_its_other_names_is_taken(http, kind):
    answer = await http.post(PATHS["chat"], content=json.dumps(GOOD["chat"]), headers={"content-type": kind})

    assert answer.status_code == 200


async def test_a_compressed_body_is_refused(http):
    answer = await http.post(PATHS["chat"], content=b"x", headers={**JSON, "content-encoding": "gzip"})

    assert error_in("chat", answer) == (415, None, "unsupported_media_type")


@every_path
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_told_the_right_one(http, name, method):
    answer = await http.request(method, PATHS[name])

    assert error_in(name, answer) == (405, None, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "allow"), [("/v1/models", "GET, HEAD"), ("/healthz", "GET, HEAD"), ("/admin/reload", "POST")]
)
async def test_the_other_endpoints_say_too_what_they_take(http, path, allow):
    answer = await http.request("DELETE", path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/response", "/v1/responses"),
        ("/v1/messages/", "/v1/messages"),
        ("/v1/v1/embeddings", "/v1/embeddings"),
    ],
)
async def test_an_unknown_path_is_told_a_near_one(http, path, near):
    answer = await http.post(path, json=GOOD["chat"])

    assert answer.status_code == 404
    assert near in answer.json()["error"]["message"]


async def test_an_unknown_path_of_anthropics_is_answered_in_its_form(http):
    answer = await http.post("/v1/messages/batches", json={})

    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "not_found_error"


async def test_a_parameter_name_with_a_line_break_cannot_forge_a_header(tmp_path):
    config = CONFIG.replace(
        "chat-only: openai/some", "talker2: {targets: [{provider: play, model: talker}], on_unsupported: drop}"
    )
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with (
        running(tmp_path, config, environ={"CLAUDE": "a-key-for-claude"}) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as http,
    ):
        answer = await http.post(PATHS["chat"], json={**GOOD["chat"], "model": "talker2", "x\r\nset-cookie: a": 1})

    assert answer.status_code in (200, 400)
    assert "set-cookie" not in answer.headers


async def raw(gateway, data):
    async with await anyio.connect_tcp("127.0.0.1", gateway.port) as client:
        await client.send(data)
        seen = b""
        with anyio.fail_after(5):
            try:
                while True:
                    seen += await client.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return seen


BODY = json.dumps(GOOD["chat"]).encode()
RAW = {
    "two hosts": b"host: a\r\nhost: b\r\ncontent-length: %d\r\n" % len(BODY),
    "no host": b"content-length: %d\r\n" % len(BODY),
    "two lengths": b"host: localhost\r\ncontent-length: %d\r\ncontent-length: 3\r\n" % len(BODY),
    "length and chunks": b"host: localhost\r\ncontent-length: %d\r\ntransfer-encoding: chunked\r\n" % len(BODY),
    "negative length": b"host: localhost\r\ncontent-length: -1\r\n",
    "a header of 100 KB": b"host: localhost\r\nx: " + b"x" * 100_000 + b"\r\n",
    "200 headers": b"host: localhost\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(200)),
    "a length of 10 GB": b"host: localhost\r\ncontent-length: 10000000000\r\n",
}


@pytest.mark.parametrize("path", [PATHS["chat"], PATHS["messages"]])
@pytest.mark.parametrize("case", RAW)
async def test_a_request_that_is_odd_http_is_refused_in_the_dialect_of_its_path(gateway, path, case):
    seen = await raw(gateway, b"POST %b HTTP/1.1\r\n%b\r\n%b" % (path.encode(), RAW[case], BODY))

    head, _, body = seen.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"413", b"431")
    value = json.loads(body)
    assert value["error"]["code"]
    assert (value.get("type") == "error") == path.startswith("/v1/messages")


ODD = [
    None, True, -1, 0, 1.5, 10**30, -(10**400), 1e308, "", "x", "\x00", "é\u2028", "x" * 3000, [], {}, [None], [[[]]], {"a": {"b": []}},
    {"type": "x"}, [{"type": "text"}], [{"role": "user"}], [1, "a", None], {"": 1}, {"type": "function", "function": {}}, "auto",
]  # fmt: skip
FIELDS = [
    "messages", "input", "prompt", "tools", "tool_choice", "response_format", "text", "stream_options", "stop", "max_tokens",
    "max_completion_tokens", "temperature", "n", "seed", "logprobs", "top_logprobs", "reasoning", "reasoning_effort", "thinking",
    "system", "instructions", "metadata", "user", "documents", "query", "dimensions", "encoding_format", "stream", "modalities",
    "audio", "functions", "function_call", "include", "previous_response_id", "store", "suffix", "logit_bias", "output_config",
    "parallel_tool_calls", "service_tier", "truncation", "conversation", "background", "context_management", "cache_control", "mcp_servers",
]  # fmt: skip


def mutated(chance, value, depth=0):
    """`value` with something odd in it."""
    if depth and chance.random() < 0.04:
        return chance.choice(ODD)
    if isinstance(value, dict):
        changed = {key: mutated(chance, item, depth + 1) if key != "model" else item for key, item in value.items()}
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
            name = (
                chance.choice(FIELDS)
                if depth == 0
                else chance.choice([*changed, "type", "role", "content", "id", "name"])
            )
            changed[name] = chance.choice(ODD)
        if changed and chance.random() < 0.1:
            changed.pop(chance.choice([key for key in changed if key != "model"] or ["model"]), None)
        return changed
    if isinstance(value, list):
        return [mutated(chance, item, depth + 1) for item in value] * chance.choice((1, 1, 1, 2))
    return value


RICH = {
    **GOOD,
    "chat": {
        "model": "talker",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    },
    "responses": {
        "model": "talker",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "text": {"format": {"type": "text"}},
    },
    "messages": {
        "model": "talker",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    },
}  # fmt: skip


@every_path
async def test_a_thousand_mutated_bodies_are_never_a_5xx(http, gateway, name):
    chance = random.Random(f"{name} 2026")
    seen = {}
    for number in range(150):
        body = mutated(chance, RICH[name])
        body["model"] = chance.choice(["talker", "talker", "talker", "chat-only", "claude"])
        answer = await http.post(PATHS[name], json=body)
        upstream_down = answer.status_code == 502 and '"upstream_unreachable"' in answer.text
        assert answer.status_code < 500 or upstream_down, (number, body, answer.text)
        if answer.status_code >= 400:
            error_in(name, answer)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1

    assert len(seen) > 1 or name in ("rerank", "moderations")  # which nothing here can do
    assert gateway.idle
