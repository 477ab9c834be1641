"""Every fault of an upstream × every dialect × streamed or not × verbatim or translated: the right error, no hang, no leak.

The table says for each fault what a caller gets that waits for a whole answer, and what one gets that streams.
"""

import json
import re
import socket
import time

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, asked, faulty_upstream
from tests.faults.upstream_faults import (
    BROKEN,
    FAULTS,
    LATE,
    UNTIL_A_TIMEOUT,
    Answered,
    CutOff,
    Error,
    gigantic,
    nothing_said,
)
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat], timeouts: {timeouts}}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses], timeouts: {timeouts}}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY", timeouts: {timeouts}}}
  embeddings: {{kind: openai_compatible, base_url: "{url}/v1", apis: [embeddings], timeouts: {timeouts}}}
# One try each, however many fail: what comes of a single fault is what is asked here.
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 10000, least: 1000000}}}}
models:
  chat: {{targets: [{{provider: chat, model: talker}}], on_unsupported: drop}}
  responses: {{targets: [{{provider: responses, model: talker}}], on_unsupported: drop}}
  messages: {{targets: [{{provider: messages, model: talker}}], on_unsupported: drop}}
  embeddings: {{targets: [{{provider: embeddings, model: talker}}], on_unsupported: drop}}
"""
HASTY = "{connect: 0.5, first_token: 0.5, idle: 0.5, total: 1.5}"
"""For an upstream that is late: nothing else may be what the caller hears of."""

PATIENT = "{connect: 5, first_token: 5, idle: 5, total: 8}"
"""For every other fault: a machine that is busy is not an upstream that is late."""
KEY = {"BACK_KEY": "a-key-for-the-back"}

# dialect of the client, API of the upstream, streamed
COMBINATIONS = [
    (dialect, api, stream)
    for dialect in ("chat", "responses", "messages")
    for api in ("chat", "responses", "messages")
    for stream in (False, True)
] + [("embeddings", "embeddings", False)]


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def gateways(tmp_path_factory, upstream):
    """One of each temper, by whether it is the hasty one."""
    url = f"http://127.0.0.1:{upstream.port}"
    hasty, patient = (CONFIG.format(url=url, timeouts=timeouts) for timeouts in (HASTY, PATIENT))
    async with (
        running(tmp_path_factory.mktemp("hasty"), hasty, environ=KEY) as one,
        running(tmp_path_factory.mktemp("patient"), patient, environ=KEY) as other,
    ):
        yield {True: one, False: other}


def error_of(dialect, body):
    """The error object of a document in a dialect."""
    value = json.loads(body)
    if dialect == "messages":
        assert value["type"] == "error"
    error = value["error"]
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    return error


def last_error(dialect, stream):
    """The error that a stream ends with, in the form that the dialect has for it."""
    *_, last = stream.strip().split(b"\n\n")
    name, _, data = last.rpartition(b"data: ")
    value = json.loads(data)
    if dialect == "messages":
        assert name == b"event: error\n"
        assert value["type"] == "error"
        return value["error"]
    if dialect == "responses":
        assert value["type"] in ("response.failed", "error"), value["type"]
        return value["response"]["error"] if "response" in value else value
    return value["error"]


def check(expected, dialect, response, body):
    if isinstance(expected, Error):
        assert response.status_code == expected.status, body[:300]
        error = error_of(dialect, body)
        assert expected.text in error["message"], error
        assert expected.code is None or error["code"] == expected.code, error
        if expected.retry_after is not None:
            assert re.fullmatch(expected.retry_after, response.headers["retry-after"]), response.headers
        return
    assert response.status_code == 200, body[:300]
    if isinstance(expected, CutOff):
        error = last_error(dialect, body)
        assert expected.text in error["message"], error
    elif response.headers["content-type"].startswith("text/event-stream"):
        ends = {"chat": b"[DONE]", "responses": b"response.completed", "messages": b"message_stop"}
        assert ends[dialect] in body.strip().split(b"\n\n")[-1], body[-300:]
        assert b'"error":{' not in body


def pools_are_whole(gateway):
    for provider in gateway.application.live.current().providers.values():
        pool = (getattr(provider, "_upstream", None) or provider._access.upstream)._pool
        if pool.free_slots + pool.idle_connections != pool._limit:
            return False
    return True


async def ask(gateway, http, dialect, api, stream, expected, wrong):
    body = asked(dialect, stream=stream, model=api)
    try:
        response = await http.post(APIS[dialect], json=body)
        check(expected, dialect, response, response.content)
        call_id = response.headers["x-switchgear-call-id"]
        with anyio.move_on_after(1):  # the record is made after the answer has left
            while not any(record.id == call_id for record in gateway.records):
                await anyio.sleep(0.005)
        records = [record for record in gateway.records if record.id == call_id]
        assert len(records) == 1
        check_record(expected, records[0], api, response)
    except (AssertionError, KeyError, ValueError, httpx2.HTTPError) as error:
        wrong.append(f"{dialect} -> {api}, {'stream' if stream else 'whole'}: {type(error).__name__}: {error}")


def check_record(expected, record, api, response):
    assert record.provider == api
    assert record.route == (f"{api}/talker",)
    assert record.duration < 5
    if isinstance(expected, Answered):
        assert record.error is None, record.error
        assert record.usage is not None
        assert record.usage.estimated == (not expected.usage), record.usage
    else:
        assert record.error, record
        assert isinstance(expected, CutOff) or record.status == response.status_code


async def run_fault(gateway, whole, streamed, combinations=COMBINATIONS):
    gateway.forget()
    wrong = []
    expected = {False: whole, True: streamed or whole}
    with anyio.fail_after(10):
        async with httpx2.AsyncClient(base_url=gateway.url, timeout=8) as http, anyio.create_task_group() as tasks:
            for dialect, api, stream in combinations:
                if expected[stream] is not None:
                    tasks.start_soon(ask, gateway, http, dialect, api, stream, expected[stream], wrong)
    # No pytest.fail: what it raises ends the event loop's runner, and every test after this one.
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_upstream_is_a_clear_error_for_every_caller(gateways, upstream, fault):
    make, whole, streamed = FAULTS[fault]
    gateway = gateways[fault in UNTIL_A_TIMEOUT]
    upstream.behave = make(upstream)

    await run_fault(gateway, whole, streamed)

    with anyio.fail_after(2):
        while not (gateway.idle and pools_are_whole(gateway)):
            await anyio.sleep(0.005)


async def test_an_answer_without_choices_is_none_but_a_model_may_have_nothing_to_say(gateways, upstream):
    gateway = gateways[False]
    upstream.behave = nothing_said(upstream)

    await run_fault(gateway, Answered(), None, [("messages", "messages", False), ("responses", "responses", False)])
    broken = [(dialect, "chat", False) for dialect in ("chat", "responses", "messages")]
    await run_fault(gateway, BROKEN, None, [*broken, ("embeddings", "embeddings", False)])


async def test_an_event_without_end_is_given_up(tmp_path, upstream):
    upstream.behave = gigantic(upstream)
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", timeouts="{first_token: 5, idle: 5, total: 8}")
    async with running(tmp_path, config, environ=KEY) as gateway:
        expected = Error(status=502, code="upstream_broken", text="16 MiB")
        await run_fault(gateway, expected, None, [("chat", "chat", True), ("responses", "chat", True)])


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def elsewhere(tmp_path, url, expected):
    async with running(tmp_path, CONFIG.format(url=url, timeouts=HASTY), environ=KEY) as gateway:
        await run_fault(gateway, expected, None)
        assert gateway.idle
        assert pools_are_whole(gateway)


async def test_an_upstream_that_refuses_connections_is_told_as_such(tmp_path):
    expected = Error(status=502, code="upstream_unreachable", text="could not connect")
    await elsewhere(tmp_path, f"http://127.0.0.1:{closed_port()}", expected)


async def test_an_upstream_without_an_address_is_told_as_such(tmp_path):
    expected = Error(status=502, code="upstream_unreachable", text="name is not known")
    await elsewhere(tmp_path, "http://upstream.invalid", expected)


async def test_an_upstream_that_takes_no_connection_times_out(tmp_path):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            began = time.monotonic()
            await elsewhere(tmp_path, f"http://127.0.0.1:{port}", LATE)
            assert time.monotonic() - began < 5
        finally:
            for filler in fillers:
                filler.close()
