"""Every model is reachable through every chat dialect: what an upstream answers in one, a client of another can read.

Each case of `fixtures/matrix/answers` is one answer, written in every dialect (`said`). Said by an upstream of dialect B, a
client of dialect A reads what an upstream of A would have said, but for the fields that `shown` names under "B > A".
"""

import json
from pathlib import Path

import pytest
from openai.types import Completion

from gateway.core.errors import UpstreamBroken
from gateway.core.events import Finished, Started
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.sse import SseParser
from tests.dialects.matrix_answers import (
    DIALECTS,
    EVENTS,
    again,
    call_of,
    essence,
    folded,
    heard,
    shown,
    streamed,
    whole,
)

CASES = {
    path.stem: json.loads(path.read_text()) for path in Path(__file__).parent.glob("fixtures/matrix/answers/*.json")
}
SAID = [
    pytest.param(upstream, said, id=f"{name}: {upstream}")
    for name, case in sorted(CASES.items())
    for upstream, said in case["said"].items()
]
PAIRS = [
    pytest.param(case, upstream, client, id=f"{name}: {upstream} > {client}")
    for name, case in sorted(CASES.items())
    for upstream in case["said"]
    for client in case["said"]
]


@pytest.mark.parametrize(("upstream", "said"), SAID)
def test_a_stream_and_a_document_of_an_upstream_are_the_same_answer(upstream, said):
    streamed_answer, answer = folded(heard(upstream, said)), whole(upstream, said)

    assert streamed_answer.items == answer.items
    assert streamed_answer.finished.reason == answer.finished.reason
    assert streamed_answer.finished.usage == answer.finished.usage


@pytest.mark.parametrize(("case", "upstream", "client"), PAIRS)
def test_a_client_reads_the_answer_as_its_own_api_would_have_given_it(case, upstream, client):
    body = shown(client, whole(upstream, case["said"][upstream]))

    expected = {**essence(client, case["said"][client]), **case["shown"].get(f"{upstream} > {client}", {})}
    assert essence(client, body) == {name: value for name, value in expected.items() if value is not None}


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydantic, of the accumulators' own models
@pytest.mark.parametrize(("case", "upstream", "client"), PAIRS)
def test_the_official_accumulators_make_the_whole_answer_of_the_stream(case, upstream, client):
    said = case["said"][upstream]
    answer = whole(upstream, said)

    expected = essence(client, shown(client, answer))
    assert essence(client, streamed(client, heard(upstream, said))) == expected
    assert essence(client, streamed(client, again(answer))) == expected


def words(message):
    return (message["content"] or "") + (message["refusal"] or "")


@pytest.mark.parametrize(("upstream", "said"), SAID)
def test_a_client_of_the_completions_api_reads_the_words_of_every_answer(upstream, said):
    answer = whole(upstream, said)
    encoder = OPENAI_COMPLETIONS.event_encoder(call_of("openai_chat"))
    expected = shown("openai_chat", answer)["choices"][0]

    document = json.loads(OPENAI_COMPLETIONS.encode_answer(answer, call_of("openai_completions")))
    stream = b"".join(encoder.encode(event) for event in heard(upstream, said))
    chunks = [json.loads(data) for _, data in SseParser().feed(stream) if data != b"[DONE]"]

    assert Completion.model_validate(document).choices[0].text == words(expected["message"])
    # The official type has no null for the finish reason of a chunk; OpenAI sends one all the same.
    pieces = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["text"] for choice in pieces) == words(expected["message"])
    reason = expected["finish_reason"] if expected["finish_reason"] in ("length", "content_filter") else "stop"
    assert document["choices"][0]["finish_reason"] == pieces[-1]["finish_reason"] == reason
    assert document["usage"] == chunks[-1]["usage"]


PREFIXES = {
    "openai_chat": "chatcmpl-",
    "openai_responses": "resp_",
    "anthropic_messages": "msg_",
    "openai_completions": "cmpl-",
}
ALL = {**DIALECTS, "openai_completions": OPENAI_COMPLETIONS}


@pytest.mark.parametrize("given", ["call_12ab", "chatcmpl-12ab", "cmpl-12ab", "resp_12ab", "msg_12ab", ""])
@pytest.mark.parametrize("client", ALL)
def test_ids_have_the_prefix_of_the_clients_own_api_and_the_digits_that_they_had(client, given):
    started = Started(id=given, model="m", created=1, target="p/m")
    call = call_of(client)
    answer = folded([started, Finished()])
    encoder = ALL[client].event_encoder(call)

    document = json.loads(ALL[client].encode_answer(answer, call))
    data = encoder.encode(started) + encoder.encode(Finished())

    expected = PREFIXES[client] + ("12ab" if given else "0")
    assert document["id"] == expected
    assert b'"id":"%b"' % expected.encode() in data


def test_a_style_of_ids_that_is_not_known_stays_where_it_is_at_home():
    answer = folded([Started(id="gen-12", model="m", created=1, target="p/m"), Finished()])

    ids = {name: json.loads(d.encode_answer(answer, call_of(name)))["id"] for name, d in DIALECTS.items()}

    assert ids == {"openai_chat": "gen-12", "openai_responses": "resp_gen-12", "anthropic_messages": "msg_gen-12"}


@pytest.mark.parametrize("client", DIALECTS)
def test_a_stream_that_began_verbatim_and_broke_ends_in_an_event_that_official_clients_read(client):
    """The encoder is a fresh one then: what went out before, it has not seen."""
    data = DIALECTS[client].event_encoder(call_of(client)).error(UpstreamBroken("The upstream's stream was cut off."))

    ((name, body),) = SseParser().feed(data)
    event = json.loads(body)
    if client == "openai_chat":
        # The official client raises for a chunk with an `error`; it asks for no other field.
        assert event["error"]["message"] == "The upstream's stream was cut off."
    elif client == "openai_responses":
        assert EVENTS[client].validate_python(event).type == name == "error"
    else:
        # The official client raises by the name of the event.
        assert (name, event["type"], event["error"]["type"]) == ("error", "error", "api_error")
