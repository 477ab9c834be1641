"""Guardrails that ask somebody: a service over real HTTP, and a moderation model of the gateway."""

import hashlib
import hmac

import anyio
import msgspec
import pytest

from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.content import Prompt
from gateway.core.errors import ContentBlocked, Unavailable, UpstreamBroken, UpstreamError
from gateway.core.events import Finished, ItemFinished, ItemStarted, Moderations, Started, TextDelta
from gateway.core.items import Message, Text
from gateway.pipeline.guarded import guarded
from gateway.pipeline.guarded_http import HttpJudge
from gateway.pipeline.guarded_moderation import ModerationJudge
from gateway.pipeline.guarded_rail import Guardrail
from gateway.protection.judgements import Judgements
from gateway.protection.verdict import ALLOW, Edit
from gateway.providers.http.connect import make_upstream
from tests.contract.upstream_faulty_server import serving

CALL = Call(
    id="call_1", operation="generate", dialect="openai_chat", model="chat", stream=True, caller=Caller(id="k", tenant="acme"),
    received=0.0, body=b"", fields={}, content=Prompt(items=(Message(role="user", parts=(Text(text="hello"),)),)),
)  # fmt: skip
STARTED = Started(id="1", model="m", created=0, target="up/big")
MODES = [("input", "buffer"), ("input", "async"), ("output", "buffer"), ("output", "window"), ("output", "async")]


class Service:
    """A guardrail's service: gives one answer to every request, and keeps what it was asked."""

    def __init__(self, answer, status=200, gate=None):
        self.body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        self.status = status
        self.gate = gate
        self.asked = []

    async def __call__(self, peer):
        self.asked.append(await peer.request())
        if self.gate is not None:
            await self.gate.wait()
        head = f"HTTP/1.1 {self.status} X\r\nconnection: close\r\ncontent-length: {len(self.body)}\r\n\r\n"
        await peer.send(head.encode() + self.body)

    @property
    def questions(self):
        return [msgspec.json.decode(raw.partition(b"\r\n\r\n")[2]) for raw in self.asked]


async def judged(service, texts=("hello",), **fields):
    verdict = failure = None
    async with serving(service) as server:
        upstream = make_upstream(server.url, http="native", connections=4)
        judge = HttpJudge(upstream, b"/judge", when="input", timeout=2.0, wall=lambda: 1_700_000_000.5, **fields)
        try:
            verdict = await judge(list(texts), CALL)
        except UpstreamError as error:
            failure = error  # raised where the server's task group does not wrap it
        await upstream.aclose()
    if failure is not None:
        raise failure
    return verdict


async def answered(judge, when, mode, **fields):
    """Ask a model that echoes under one guardrail; give what the client got and the verdict of the record."""

    async def echo(call, send):
        text = call.content.items[0].parts[0].text
        await send(STARTED)
        await send(ItemStarted(index=0, item=Message(role="assistant", parts=())))
        for char in text:
            await send(TextDelta(index=0, text=char))
        await send(ItemFinished(index=0, item=Message(role="assistant", parts=(Text(text=text),))))
        await send(Finished())

    events, judgements = [], Judgements()

    async def send(event):
        events.append(event)

    rail = Guardrail(name="svc", judge=judge, when=when, mode=mode, costly=True, window=16, **fields)
    try:
        await guarded(echo, [rail], judgements)(CALL, send)
    finally:
        answered.guards = judgements.take("call_1").guards
    reason = events[-1].reason
    return "".join(event.text for event in events if isinstance(event, TextDelta)), reason


async def test_a_service_is_asked_with_what_it_needs_and_a_signature_that_it_can_check():
    service = Service({"verdict": "allow", "cost": 0.002})
    verdict = await judged(service, secret=b"s3")

    assert (verdict.decision, verdict.cost) == ("allow", 0.002)
    assert service.questions == [
        {"call": "call_1", "when": "input", "model": "chat", "tenant": "acme", "texts": ["hello"]}
    ]
    head, _, body = service.asked[0].partition(b"\r\n\r\n")
    digest = hmac.new(b"s3", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert f"x-switchgear-signature: t=1700000000,v1={digest}".encode() in head.lower()


async def test_a_service_may_replace_texts():
    verdict = await judged(Service({"verdict": "replace", "texts": ["a", "new"]}), texts=("a", "old"))

    assert verdict.edits == ((), (Edit(0, 3, "new"),))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"verdict": "allow"}, 500),
        ({"verdict": "allow"}, 302),
        ({"verdict": "perhaps"}, 200),
        ({}, 200),
        (b"<html>", 200),
        (b"", 200),
        ([], 200),
        ({"verdict": "replace", "texts": []}, 200),
    ],
)
async def test_what_is_no_verdict_is_a_failure(answer, status):
    with pytest.raises(UpstreamBroken):
        await judged(Service(answer, status))


@pytest.mark.parametrize(("when", "mode"), MODES)
async def test_the_verdicts_of_a_service_count_in_every_mode(when, mode):
    for verdict in ("allow", "block"):
        async with serving(Service({"verdict": verdict, "cost": 0.5})) as server:
            upstream = make_upstream(server.url, http="native", connections=4)
            judge = HttpJudge(upstream, b"/judge", when=when, timeout=2.0, wall=lambda: 0.0)
            if verdict == "block" and when == "input":
                with pytest.raises(ContentBlocked):
                    await answered(judge, when, mode)
            else:
                text, reason = await answered(judge, when, mode)
                assert reason == ("stop" if verdict == "allow" else "content_filter")
                assert text == ("hello" if verdict == "allow" or mode == "async" else "")
            ((name, said, seconds, cost),) = answered.guards
            assert (name, said, cost) == ("svc", verdict, 0.5)
            assert 0 < seconds < 2
            await upstream.aclose()


@pytest.mark.parametrize(("when", "mode"), MODES)
@pytest.mark.parametrize("fault", ["gone", "silent", "broken"])
async def test_a_service_that_fails_lets_pass_or_stops_as_it_was_told(when, mode, fault):
    service = Service(
        {"verdict": "allow"}, 500 if fault == "broken" else 200, anyio.Event() if fault == "silent" else None
    )
    async with serving(service) as server:
        address = "http://127.0.0.1:9/v1" if fault == "gone" else server.url
        upstream = make_upstream(address, http="native", connections=4)
        judge = HttpJudge(upstream, b"/judge", when=when, timeout=0.1, wall=lambda: 0.0)
        text, reason = await answered(judge, when, mode, fails="open", timeout=0.1)

        assert (text, reason) == ("hello", "stop")
        with pytest.raises(Unavailable):
            await answered(judge, when, mode, fails="closed", timeout=0.1)
        assert [said for _, said, _, _ in answered.guards] == ["failed"]
        await upstream.aclose()
        if service.gate is not None:
            service.gate.set()


def moderating(*results):
    asked = []

    async def respond(call, send):
        asked.append(call)
        await send(STARTED)
        await send(Moderations(results=results))
        await send(Finished())

    return respond, asked


async def test_what_a_moderation_model_flags_does_not_pass():
    respond, asked = moderating({"flagged": False}, {"flagged": True, "categories": {"violence": True, "hate": False}})
    verdict = await ModerationJudge(respond, "mod")(["a", "", "b"], CALL)

    assert (verdict.decision, verdict.reason) == ("block", "violence")
    (call,) = asked
    assert (call.operation, call.model, call.content.input, call.caller) == ("moderate", "mod", ["a", "b"], CALL.caller)
    assert call.id != CALL.id


async def test_with_a_threshold_the_scores_count_and_not_the_models_word():
    respond, _ = moderating({"flagged": True, "category_scores": {"hate": 0.4, "violence": 0.2}})

    assert await ModerationJudge(respond, "mod", 0.5)(["a"], CALL) == ALLOW
    assert (await ModerationJudge(respond, "mod", 0.3)(["a"], CALL)).reason == "hate"


async def test_nothing_said_is_not_asked_about():
    respond, asked = moderating({"flagged": True})

    assert await ModerationJudge(respond, "mod")(["", " "], CALL) == ALLOW
    assert asked == []


async def test_a_judgement_that_cannot_be_read_lets_nothing_pass():
    respond, _ = moderating("what?")
    empty, _ = moderating()

    assert (await ModerationJudge(respond, "mod")(["a"], CALL)).decision == "block"
    with pytest.raises(UpstreamError):
        await ModerationJudge(empty, "mod")(["a"], CALL)
