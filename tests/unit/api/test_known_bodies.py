"""A body that came before is not read again, and everything else about a request is judged as if it were the first."""

import json

import msgspec
import pytest

from gateway.api import chat, input_tokens, responses
from gateway.api.door import Door
from gateway.app import Application
from gateway.config import load
from gateway.core.known import Known
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.input_tokens import INPUT_TOKENS
from gateway.loading import Loader
from tests.unit.api.run_desk_double import Answered, DeskDouble, events_of

KEY = (b"authorization", b"Bearer a-key")
JSON = (b"content-type", b"application/json")
CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
RESPONSE = {"model": "demo", "input": "hello"}
CONFIG = """
server: {keys: ["env:KEY"]}
providers: {s: {kind: scripted, document: script.yaml}}
cache: {models: {mode: exact, pace: 0}}
models: {demo: s/demo}
"""


def open_application(folder):
    (folder / "script.yaml").write_text("models: {demo: {answers: [{say: 'You said: {input}'}]}}")
    config = folder / "c.yaml"
    config.write_text(CONFIG)
    return Application(load(config, {"KEY": "a-key"}), Loader(config, dict), config_path=config)


@pytest.fixture
def application(tmp_path):
    return open_application(tmp_path)


def request(body, headers=(KEY, JSON), method="POST"):
    """A request as the server gives it whose head came before on its connection: all of the body is there."""
    data, client = json.dumps(body).encode(), Answered()
    scope = {
        "type": "http",
        "method": method,
        "path": "/x",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "extensions": {
            "switchgear.departure": client.departure,
            "switchgear.body": data,
            "switchgear.notes": {},
        },
    }

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    return scope, receive, client


async def ask(endpoint, body, *args, **more):
    scope, receive, client = request(body, *args, **more)
    await endpoint(scope, receive, client.send)
    return client


def records_of(application):
    kept = []
    application.recorder._sinks = (kept.extend,)
    application.recorder.flush()
    kept.clear()
    return lambda: (application.recorder.flush(), kept)[1]


def known_of(application):
    return list(application.live.current().bodies._known.values())


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ((KEY, JSON), "GET", 405),
        ((KEY, JSON), "HEAD", 405),
        ((JSON,), "POST", 401),
        (((b"authorization", b"Bearer another"), JSON), "POST", 401),
        ((KEY, (b"authorization", b"Bearer another"), JSON), "POST", 400),
        ((KEY, (b"content-type", b"text/plain")), "POST", 415),
        ((KEY, JSON, (b"content-encoding", b"gzip")), "POST", 415),
        ((KEY, JSON, (b"x-switchgear-cache-mode", b"sometimes")), "POST", 400),
        ((KEY, JSON, (b"x-switchgear-cache-ttl", b"0")), "POST", 400),
        ((KEY, (b"content-type", b"application/json; charset=utf-8")), "POST", 200),
        ((KEY, (b"content-type", b"text/x; charset=utf-8")), "POST", 415),
        ((KEY, JSON, (b"content-encoding", b"identity")), "POST", 200),
    ],
)
async def test_a_request_with_a_known_body_is_refused_as_any_other_is(tmp_path, headers, method, status):
    """With the same words, and on record as the same."""
    found = []
    for name, times in (("fresh", 0), ("known", 4)):
        (tmp_path / name).mkdir()
        application = open_application(tmp_path / name)
        endpoint = chat.endpoint(application.edge)
        for _ in range(times):
            await ask(endpoint, CHAT)
        records = records_of(application)
        assert len(known_of(application)) == (times > 0)
        answered = await ask(endpoint, CHAT, headers, method)
        (record,) = records()
        said = answered.json().get("error")
        found.append((answered.status, said, record.status, record.error, record.model, record.stream, record.caller))

    assert found[0] == found[1]
    assert found[0][0] == status


async def test_another_dialect_reads_the_same_bytes_in_its_own_way(application):
    both = {**CHAT, "input": "good bye", "store": False}
    for _ in range(4):
        first = await ask(chat.endpoint(application.edge), both)
        second = await ask(responses.endpoint(application.edge), both)

    assert first.json()["choices"][0]["message"]["content"] == "You said: hello"
    assert second.json()["output"][0]["content"][0]["text"] == "You said: good bye"


async def test_what_fails_while_a_request_is_recognized_is_on_record_and_a_500(application, monkeypatch):
    endpoint = chat.endpoint(application.edge)
    for _ in range(3):
        await ask(endpoint, CHAT)
    records = records_of(application)

    def fail(*_):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(application.edge.current().identity, "caller", fail)
    answered = await ask(endpoint, CHAT)

    assert (answered.status, answered.json()["error"]["code"]) == (500, "internal_error")
    assert [record.error for record in records()] == ["internal_error"]


async def test_a_request_begins_with_the_configuration_of_its_first_step(application):
    """Between the arrival of a request and its first step the configuration may change, and the old one be closed."""

    class Counted:
        def __init__(self, generation):
            self._generation = generation
            self.held = []

        def __getattr__(self, name):
            return getattr(self._generation, name)

        def hold(self):
            self.held.append(1)
            self._generation.hold()

        def release(self):
            self.held.append(-1)
            self._generation.release()

    old, new = (Counted(application.live.current()) for _ in range(2))
    present = [old]
    endpoint = chat.endpoint(msgspec.structs.replace(application.edge, current=lambda: present[-1]))
    scope, receive, client = request(CHAT)
    waiting = endpoint(scope, receive, client.send)
    present.append(new)
    await waiting

    assert (old.held, new.held, client.status) == ([], [1, -1], 200)


STREAM = events_of("response.created", "response.in_progress", "response.completed")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"store": True},
        {"store": None},
        {"store": 0},
        {"background": True},
        {"store": False, "background": True},
        {"store": False, "previous_response_id": "resp_1"},
        {"store": False, "conversation": "conv_1"},
        {"store": False, "conversation": {"id": "conv_1"}},
    ],
)
async def test_what_is_to_be_kept_goes_to_the_desk_although_its_body_is_known(application, fields):
    """Batches read such bodies, too, and keep nothing: what is known from there leads nobody past the desk."""
    body, desk = {**RESPONSE, **fields}, DeskDouble(*STREAM)
    data = json.dumps(body).encode()
    elsewhere = Door(application.edge, OPENAI_RESPONSES)
    for _ in range(3):
        scope, receive, client = request(body)
        await elsewhere(scope, receive, client.send)
    bodies = application.live.current().bodies
    if client.status == 200:
        assert bodies.find("openai_responses", data) is not None
    fresh = await ask(responses.endpoint(open_again(application), DeskDouble(*STREAM)), body)
    answered = [await ask(responses.endpoint(application.edge, desk), body) for _ in range(3)]

    assert [one.status for one in answered] == [fresh.status] * 3
    assert [draft.fields for draft in desk.drafts] == ([body] * 3 if fresh.status == 200 else [])


def open_again(application):
    """The same, with nothing known."""
    generation = application.live.current()

    class Forgetful:
        def __getattr__(self, name):
            return getattr(generation, name)

        bodies = type(generation.bodies)()

    return msgspec.structs.replace(application.edge, current=Forgetful)


async def test_what_is_not_to_be_kept_takes_the_short_way(application):
    desk, body = DeskDouble(), {**RESPONSE, "store": False}
    endpoint = responses.endpoint(application.edge, desk)
    told = [(await ask(endpoint, body)).headers[b"x-switchgear-cache"] for _ in range(4)]

    assert told == [b"miss", *[b"exact"] * 3]
    assert (desk.drafts, len(known_of(application))) == ([], 1)


@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
async def test_what_a_count_goes_on_from_is_looked_up_each_time(application, field):
    """It may have grown, and it may not be the caller's."""

    class Growing(DeskDouble):
        turns = 0

        async def spelled_out(self, draft):
            self.turns += 1
            return {"model": "demo", "input": [{"role": "user", "content": "more and more"}] * self.turns}

    endpoint = input_tokens.endpoint(application.edge, Growing())
    body = {**RESPONSE, field: "resp_0"}
    known = Known(fields=body, model="demo", stream=False, content=INPUT_TOKENS.decode_call(RESPONSE))
    for _ in range(2):
        application.live.current().bodies.meet(INPUT_TOKENS.name, json.dumps(body).encode(), known)
    counts = [(await ask(endpoint, body)).json()["input_tokens"] for _ in range(4)]

    assert counts == sorted(set(counts)), "each is more than the last"
