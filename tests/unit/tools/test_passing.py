"""What is passed on to the programs of MCP clients: nothing that the operator or the client has not said, and nothing without bounds."""

import pytest

from gateway.agents.wishes import read_answer
from gateway.core.tools import Wish
from gateway.tools.logged import MOST_LOGGED, MOST_OF_A_LOG, Hearing, Logged
from gateway.tools.passing import MOST_BYTES, NotPassed, request_of, told

SAMPLING = "sampling/createMessage"
ASKED = {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}], "maxTokens": 9}
ALL = ("logging", "roots", "sampling")
CLIENT = {"sampling": {}, "roots": {}, "elicitation": {}}


@pytest.mark.parametrize(
    ("method", "params", "client", "passed", "why"),
    [
        (SAMPLING, ASKED, CLIENT, ("roots",), "does not pass on"),
        ("roots/list", {}, CLIENT, ("sampling",), "does not pass on"),
        ("elicitation/create", {}, CLIENT, ALL, "does not pass on"),
        (SAMPLING, ASKED, {"roots": {}}, ALL, "'sampling'"),
        (SAMPLING, ASKED, {}, ALL, "'sampling'"),
        (SAMPLING, ASKED, None, ALL, "'sampling'"),
        (SAMPLING, {}, CLIENT, ALL, "cannot be read"),
        (SAMPLING, ASKED | {"systemPrompt": "x" * MOST_BYTES}, CLIENT, ALL, "bytes"),
    ],
)
def test_what_may_not_be_asked_is_refused_in_words(method, params, client, passed, why):
    with pytest.raises(NotPassed, match=why):
        request_of("office", method, params, client, passed)


def test_what_is_asked_names_its_server_and_is_the_same_whenever_it_is_asked():
    wish = request_of("office", SAMPLING, ASKED | {"_meta": {"progressToken": 1}}, CLIENT, ALL)
    again = request_of("office", SAMPLING, ASKED | {"_meta": {"progressToken": 2}}, CLIENT, ALL)

    assert wish.key == again.key
    assert wish.params == ASKED
    assert "'office'" in wish.message
    assert "hello" in wish.message


def test_a_server_is_told_of_what_both_the_client_and_the_operator_allow():
    people = {"elicitation": {"form": {}, "url": {}}}

    assert told(CLIENT, ALL) == people | {"sampling": {}, "roots": {}}
    assert told(CLIENT, ("roots",)) == people | {"roots": {}}
    assert told({"sampling": {}}, ALL) == people | {"sampling": {}}
    assert told(None, ALL) == people


@pytest.mark.parametrize(
    ("method", "text", "fits"),
    [
        (SAMPLING, '{"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}}', True),
        (SAMPLING, '{"role": "assistant", "model": "m", "content": [{"type": "text", "text": "x"}]}', True),
        (SAMPLING, '{"role": "system", "model": "m", "content": {"type": "text", "text": "x"}}', False),
        (SAMPLING, '{"role": "assistant", "content": {"type": "text", "text": "x"}}', False),
        (SAMPLING, '{"role": "assistant", "model": "m", "content": "x"}', False),
        (SAMPLING, '{"role": "assistant", "model": "m", "content": {"type": "text", "text": "' + "x" * 262_144 + '"}}', False),
        (SAMPLING, "yes", False),
        ("roots/list", '{"roots": []}', True),
        ("roots/list", '{"roots": [{"uri": "file:///home"}]}', True),
        ("roots/list", '{"roots": [{"uri": "https://elsewhere.example"}]}', False),
        ("roots/list", '{"roots": "file:///home"}', False),
        ("roots/list", '{"roots": [' + ",".join(['{"uri": "file:///a"}'] * 1001) + "]}", False),
    ],
)  # fmt: skip
def test_an_answer_of_a_program_has_the_form_of_one_and_is_bounded(method, text, fits):
    found, why = read_answer(Wish(message="m", method=method, key="k"), text)

    assert (found is not None, why == "") == (fits, fits)


@pytest.mark.anyio
async def test_what_is_logged_is_bounded_and_what_is_left_out_is_said():
    heard = []

    async def take(message):
        heard.append(message)

    logged = Logged(Hearing("info", take))
    await logged("debug", None, "below the level")
    await logged("nonsense", None, "no level")
    await logged("error", "l" * 500, "x" * (MOST_OF_A_LOG + 1))
    for _ in range(MOST_LOGGED + 5):
        await logged("info", None, "more")
    logged.close()
    await logged("error", None, "after the call")

    assert heard[0] == {
        "level": "error",
        "logger": "l" * 200,
        "data": "[a message of more than 16384 bytes is left out]",
    }
    assert len(heard) == MOST_LOGGED + 1
    assert heard[-1]["level"] == "warning"
