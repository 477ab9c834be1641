"""Other keys and other targets: tried until the first content has gone out, and told in headers and record."""

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.faults.upstream_faults import refuse
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  keyed: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat], api_keys: ["env:KEY_A", "env:KEY_B"]}}
  down: {{kind: openai_compatible, base_url: "http://127.0.0.1:1/v1", apis: [chat]}}
  spare: {{kind: scripted, document: script.yaml}}
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 10000, least: 1000000}}}}
models:
  keyed: keyed/talker
  two: {{targets: [{{provider: down, model: talker}}, {{provider: spare, model: talker}}]}}
  three: {{targets: [{{provider: keyed, model: talker}}, {{provider: down, model: talker}}, {{provider: spare, model: talker}}]}}
  none: {{targets: [{{provider: down, model: talker}}, {{provider: down, model: other}}]}}
"""
SCRIPT = "models: {talker: {answers: [{say: The spare speaks.}]}}"
KEYS = {"KEY_A": "secret-key-a", "KEY_B": "secret-key-b"}
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
async def upstream(tmp_path):
    folder = tmp_path / "upstream"
    folder.mkdir()
    async with faulty_upstream(folder) as upstream:
        yield upstream


@pytest.fixture
async def gateway(tmp_path, upstream):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG.format(url=f"http://127.0.0.1:{upstream.port}"), environ=KEYS) as gateway:
        yield gateway


async def ask(gateway, model, *, stream):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=5) as http:
        return await http.post(APIS["chat"], json=asked("chat", stream=stream, model=model))


def refusing(upstream, **statuses):
    """Refuse each key with its status; the others are answered."""

    async def behave(peer, request):
        key = next(name for name in ("a", "b") if f"secret-key-{name}".encode() in request.head)
        if key in statuses:
            await refuse(statuses[key], headers=b"retry-after: 8\r\n")(peer, request)
        else:
            await upstream.answer_well(peer, request)

    return behave


@streamed
@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_refused_key_makes_room_for_the_next_one(gateway, upstream, status, stream):
    upstream.behave = refusing(upstream, a=status)

    answers = [await ask(gateway, "keyed", stream=stream) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    used = [request.head.count(b"secret-key-a") for request in upstream.asked]
    assert used == [1, 0, 0]  # the first key, then the second; the next call begins with the second


@pytest.mark.parametrize(
    ("a", "b", "status", "code"),
    [
        (401, 403, 502, "upstream_credentials"),
        (429, 401, 429, "rate_limit_exceeded"),
        (401, 429, 429, "rate_limit_exceeded"),
    ],
)
async def test_when_no_key_is_left_the_code_says_so(gateway, upstream, a, b, status, code):
    upstream.behave = refusing(upstream, a=a, b=b)

    answer = await ask(gateway, "keyed", stream=False)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert "secret-key" not in answer.text
    assert len(upstream.asked) == 2


@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_what_is_no_fault_of_the_key_costs_no_other_key(gateway, upstream, status):
    upstream.behave = refusing(upstream, a=status, b=status)

    await ask(gateway, "keyed", stream=False)

    assert len(upstream.asked) == 1


@streamed
async def test_the_second_target_answers_for_the_first(gateway, stream):
    answer = await ask(gateway, "two", stream=stream)

    assert answer.status_code == 200
    assert "spare" in answer.text
    assert answer.headers["x-switchgear-target"] == "spare/talker"
    [record] = gateway.records
    assert (record.provider, record.route, record.error) == ("spare", ("down/talker", "spare/talker"), None)


@streamed
async def test_when_every_target_is_down_the_last_error_is_told(gateway, stream):
    answer = await ask(gateway, "none", stream=stream)

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    [record] = gateway.records
    assert (record.provider, record.served, record.route) == ("down", "other", ("down/talker", "down/other"))
    assert gateway.idle


async def test_an_error_at_the_start_of_a_stream_still_lets_another_target_answer(gateway, upstream):
    async def fail_at_once(peer, request):
        await peer.send(STREAM_HEAD + chunk(b'data: {"error": {"message": "Overloaded.", "code": 503}}\n\n'))

    upstream.behave = fail_at_once

    answer = await ask(gateway, "three", stream=True)

    assert "spare" in answer.text
    assert "Overloaded" not in answer.text
    assert gateway.records[0].route == ("keyed/talker", "down/talker", "spare/talker")


async def test_after_the_first_content_no_other_target_answers(gateway, upstream):
    async def break_off(peer, request):
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in upstream.answers.events["chat"][:3]))
        await anyio.sleep(0.02)
        raise EOFError

    upstream.behave = break_off

    answer = await ask(gateway, "three", stream=True)

    assert answer.status_code == 200
    assert "spare" not in answer.text
    assert answer.text.rstrip().split("\n\n")[-1].startswith('data: {"error":')
    [record] = gateway.records
    assert (record.route, record.error) == (("keyed/talker",), "upstream_broken")


async def test_a_bad_request_is_not_tried_elsewhere(gateway, upstream):
    upstream.behave = refuse(400, "Not with me.")

    answer = await ask(gateway, "three", stream=False)

    assert (answer.status_code, len(upstream.asked)) == (400, 1)
    assert "Not with me." in answer.json()["error"]["message"]
