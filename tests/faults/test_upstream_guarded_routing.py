"""Hedging and continuation behind guardrails: what is judged is the one answer, and whoever lost is accounted for even when it is stopped."""

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, LAST_CHUNK, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.journeys.running_gateway import running

CONFIG = """
providers: {{up: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}}}
routing: {{breaker: {{failures: 10000, least: 1000000}}, retry: {{attempts: 1}}}}
models:
  hedged:
    targets: [{{provider: up, model: first}}, {{provider: up, model: second}}]
    routing: {{hedge: {{after: 0.1, share: 1}}}}
  continued:
    targets: [{{provider: up, model: first, abilities: {{prefill: true}}}}, {{provider: up, model: second, abilities: {{prefill: true}}}}]
    routing: {{continuation: {{}}}}
protection: {{guardrails: {{manners: {{kind: words, words: [{word}], when: output, mode: {mode}}}}}}}
"""
modes = pytest.mark.parametrize("mode", ["buffer", "window", "async"])


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


async def ask(folder, upstream, model, mode, word):
    """Ask once; the answer, and the record of it."""
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", mode=mode, word=word)
    async with running(folder, config) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        answer = await http.post(APIS["chat"], json=asked("chat", stream=True, model=model))
        [record] = gateway.records
        assert gateway.idle
        conditions = list(gateway.application.conditions)
        assert [one.in_flight for one in conditions] == [0, 0]
        return answer.text, record


@modes
@pytest.mark.parametrize("word", ["unheard", "three"])
async def test_a_hedged_answer_is_judged_and_the_loser_accounted_for(tmp_path, upstream, mode, word):
    async def behave(peer, request):
        await (peer.left() if b'"first"' in request.body else upstream.answer_well(peer, request))

    upstream.behave = behave
    text, record = await ask(tmp_path, upstream, "hedged", mode, word)

    assert [(one.target, one.why) for one in record.beside] == [("up/first", "hedge")]
    assert (record.served, record.route) == ("second", ("up/second",))
    assert (record.finish_reason, "content_filter" in text) == (
        ("content_filter", True) if word == "three" else ("stop", False)
    )
    assert mode == "async" or ("three" in text) == (word != "three")


@modes
@pytest.mark.parametrize("word", ["unheard", "two three"])
async def test_a_continued_answer_is_judged_as_one(tmp_path, upstream, mode, word):
    """A word that begins before the break and ends after it is found."""

    async def behave(peer, request):
        events = upstream.answers.events["chat"]
        broken = next(number for number, event in enumerate(events) if b" two" in event) + 1
        if b'"first"' in request.body:
            await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[:broken]))
            await anyio.sleep(0.05)
            raise EOFError
        said = [event for event in events[:broken] if b"one" in event or b" two" in event]
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events if event not in said) + LAST_CHUNK)

    upstream.behave = behave
    text, record = await ask(tmp_path, upstream, "continued", mode, word)

    assert record.continued == ("up/second",)
    assert [(one.target, one.why) for one in record.beside] == [("up/first", "continuation")]
    assert record.finish_reason == ("stop" if word == "unheard" else "content_filter")
    assert mode == "async" or ("three" in text) == (word == "unheard")
