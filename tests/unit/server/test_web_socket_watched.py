"""What operators see of WebSockets: how many are open, and why each ended. Promised by docs/observe.md."""

import anyio
import pytest
from structlog.testing import capture_logs

from tests.unit.server.test_web_socket import HANDSHAKE, PATH, code_of, dial, serving

PATIENCE = 5


async def closed(served, logs):
    """Wait until none is open any more; the line of the one that was."""
    with anyio.fail_after(PATIENCE):
        while served.server.state.sockets:
            await anyio.sleep(0.005)
    [line] = [line for line in logs if line["event"] == "server.websocket.closed"]
    return line


async def test_who_is_connected_is_counted_and_the_end_has_a_reason():
    with capture_logs() as logs:
        async with serving() as served:
            async with dial(served) as socket:
                await socket.send("hello")
                await socket.recv()
                assert len(served.server.state.sockets) == 1
            line = await closed(served, logs)

    [opened] = [line for line in logs if line["event"] == "server.websocket.opened"]
    assert (opened["log_level"], opened["path"], opened["open"]) == ("debug", PATH, 1)
    assert (line["log_level"], line["path"], line["code"]) == ("info", PATH, 1000)
    assert line["reason"] == "the client closed it"
    assert line["s"] >= 0


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [("close", 3000, "As you like."), ("crash", 1011, "the application ended")],
)
async def test_what_the_application_ends_has_its_words(said, code, reason):
    with capture_logs() as logs:
        async with serving() as served, dial(served) as socket:
            await socket.send(said)
            assert await code_of(socket) == code
            line = await closed(served, logs)

    assert (line["code"], line["reason"]) == (code, reason)


async def test_what_a_client_says_when_it_closes_is_not_logged():
    with capture_logs() as logs:
        async with serving() as served:
            async with dial(served) as socket:
                await socket.close(4000, "my secret")
            line = await closed(served, logs)

    assert line["code"] == 4000
    assert "secret" not in str(logs)


@pytest.mark.parametrize(
    ("frame", "code", "reason"),
    [
        (b"\x82\x82\0\0\0\0hi", 1003, "Messages are text."),
        (b"\x81\x02hi", 1002, "the client broke the protocol"),
    ],
)
async def test_what_breaks_the_protocol_is_told(frame, code, reason):
    with capture_logs() as logs:
        async with serving() as served, served.client() as client:
            await client.send(HANDSHAKE + b"\r\n" + frame)
            await client.rest()
            line = await closed(served, logs)

    assert (line["code"], line["reason"]) == (code, reason)


async def test_who_is_gone_without_a_word_is_told_apart():
    with capture_logs() as logs:
        async with serving(ping_interval=0.05) as served, served.client() as silent:
            await silent.send(HANDSHAKE + b"\r\n")
            await silent.rest()
            line = await closed(served, logs)

    assert (line["code"], line["reason"]) == (1006, "the client did not answer a ping")


async def test_one_that_was_refused_was_never_open():
    with capture_logs() as logs:
        async with serving() as served, served.client() as client:
            await client.send(HANDSHAKE.replace(b"/socket", b"/socket?refuse") + b"\r\n")
            await client.rest()

    assert [line for line in logs if line["event"].startswith("server.websocket")] == []
