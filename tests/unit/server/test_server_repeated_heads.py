"""A head that comes again on its connection is not read again, and nobody can tell: but for that, it is a request like any other."""

import json

import anyio
import anyio.lowlevel
import pytest

HEAD = b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nX-Key: one\r\nContent-Length: 3\r\n\r\n"


class Seen:
    """An application that notes what it is given, and whether the server had the whole body."""

    def __init__(self):
        self.scopes = []
        self.bodies = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.scopes.append(scope)
        extensions = dict(scope["extensions"])
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        self.bodies.append((body, extensions.get("switchgear.body")))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    @property
    def shortcuts(self):
        return [at_hand is not None for _, at_hand in self.bodies]


async def ask_each(client, *requests):
    answers = []
    for request in requests:
        await client.send(request)
        status, _, body = await client.response()
        answers.append((status, body))
    return answers


async def test_a_request_with_the_same_head_is_as_it_was_the_first_time(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        answers = await ask_each(client, HEAD + b"one", HEAD + b"two", HEAD + b"one")

    assert answers == [(200, b"one"), (200, b"two"), (200, b"one")]
    assert app.shortcuts == [False, True, True]
    first, *others = [{name: value for name, value in scope.items() if name != "extensions"} for scope in app.scopes]
    assert all(other == first for other in others)
    assert app.bodies[1] == (b"two", b"two")


async def test_no_two_requests_share_what_is_theirs(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one", HEAD + b"two", HEAD + b"six")

    for name in ("extensions", "state"):
        assert len({id(scope[name]) for scope in app.scopes}) == 3


@pytest.mark.parametrize(
    "other",
    [
        HEAD.replace(b"one", b"two") + b"xyz",
        HEAD.replace(b"/a", b"/b") + b"xyz",
        HEAD.replace(b"POST", b"PUT") + b"xyz",
        HEAD.replace(b": 3", b": 2") + b"xy",
    ],
    ids=["another-key", "another-path", "another-method", "another-length"],
)
async def test_another_head_is_read(serving, other):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one", other, HEAD + b"two")

    assert app.shortcuts == [False, False, False]
    assert (
        app.scopes[1]["headers"] != app.scopes[0]["headers"]
        or app.scopes[1]["method"] == "PUT"
        or app.scopes[1]["path"] == "/b"
    )
    assert app.bodies[1][0] == other.rpartition(b"\r\n\r\n")[2]


async def test_what_is_remembered_is_remembered_for_its_connection_alone(serving):
    """There are keys in heads."""
    app = Seen()
    async with serving(app) as server:
        for _ in range(2):
            async with server.client() as client:
                await ask_each(client, HEAD + b"one")

    assert app.shortcuts == [False, False]


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\nContent-Length: 3\r\n\r\n",
    ],
    ids=["expect", "long"],
)
async def test_heads_that_are_a_matter_for_the_parser_are_read_each_time(serving, head):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        answers = []
        for body in (b"one", b"two"):
            await client.send(head + body)
            status, _, said = await client.response()
            if status == 100:
                status, _, said = await client.response()
            answers.append((status, said))

    assert answers == [(200, b"one"), (200, b"two")]
    assert app.shortcuts == [False, False]


async def test_who_says_that_it_keeps_the_connection_has_its_head_remembered(serving):
    """Most clients say so."""
    app, head = Seen(), HEAD.replace(b"X-Key: one", b"Connection: keep-alive")
    async with serving(app) as server, server.client() as client:
        await ask_each(client, head + b"one", head + b"two")

    assert app.shortcuts == [False, True]


async def test_who_closes_the_connection_is_let_go(serving):
    head = HEAD.replace(b"X-Key: one", b"Connection: close")
    async with serving(Seen()) as server, server.client() as client:
        await client.send(head + b"one")
        _, headers, body = await client.response()

        assert (headers["connection"], body, await client.rest()) == ("close", b"one", b"")


async def test_chunks_are_read_each_time(serving):
    app, request = Seen(), b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
    async with serving(app) as server, server.client() as client:
        answers = await ask_each(client, request, request)

    assert answers == [(200, b"one")] * 2
    assert app.shortcuts == [False, False]


async def test_requests_in_one_write_are_all_answered_in_their_order(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD + b"two" + HEAD + b"six" + HEAD + b"ten")
        bodies = [(await client.response())[2] for _ in range(3)]

    assert bodies == [b"two", b"six", b"ten"]


async def test_a_body_that_comes_in_parts_is_waited_for(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD + b"t")
        with anyio.fail_after(5):
            while len(app.scopes) < 2:
                await anyio.lowlevel.checkpoint()
        await client.send(b"wo")
        _, _, body = await client.response()
        answers = await ask_each(client, HEAD + b"six", HEAD + b"ten")

    assert body == b"two"
    assert answers == [(200, b"six"), (200, b"ten")]


async def arrived(server):
    """Let the server read what was sent."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_a_head_by_itself_is_held_until_its_body_is_there(serving):
    """Most clients write the head and the body apart."""
    app = Seen()
    async with serving(app) as server, server.client() as client:
        answers = []
        for body in (b"one", b"two", b"six"):
            await client.send(HEAD)
            await arrived(server)
            await client.send(body)
            answers.append((await client.response())[2])

    assert answers == [b"one", b"two", b"six"]
    assert app.shortcuts == [False, True, True]


async def test_a_head_is_not_held_for_long(serving):
    """Who answers without the body does so."""

    class Early(Seen):
        async def __call__(self, scope, receive, send):
            if scope["type"] == "lifespan" or len(self.scopes) < 1:
                await super().__call__(scope, receive, send)
                return
            self.scopes.append(scope)
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    async with serving(Early()) as server, server.client() as client:
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD)
        with anyio.fail_after(5):
            status, _, _ = await client.response()

    assert status == 413


async def test_a_body_that_begins_late_or_comes_in_parts_is_taken(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD)
        with anyio.fail_after(5):
            while len(app.scopes) < 2:
                await anyio.sleep(0.01)
        await client.send(b"two")
        late = (await client.response())[2]
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD)
        await arrived(server)
        await client.send(b"s")
        await arrived(server)
        await client.send(b"ix")
        parts = (await client.response())[2]

    assert (late, parts) == (b"two", b"six")


async def test_who_leaves_after_a_head_has_left_a_request(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD)
        await arrived(server)
        await client.stream.aclose()
        with anyio.fail_after(5):
            while len(app.scopes) < 2:
                await anyio.sleep(0.01)


async def test_more_than_one_body_behind_a_held_head_is_the_next_request(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one")
        await client.send(HEAD)
        await arrived(server)
        await client.send(b"two" + HEAD + b"six")
        bodies = [(await client.response())[2] for _ in range(2)]

    assert bodies == [b"two", b"six"]


async def test_what_is_wrong_behind_a_repeated_head_is_refused_as_ever(serving):
    """The parser has not seen the requests before: it must stand where it stood."""
    async with serving(Seen()) as server, server.client() as client:
        await ask_each(client, HEAD + b"one", HEAD + b"two")
        await client.send(b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n")

        assert await client.error() == (400, "invalid_request")


async def test_a_server_that_goes_down_tells_so_to_who_repeats_a_head(serving):
    app = Seen()
    async with serving(app) as server, server.client() as client:
        await ask_each(client, HEAD + b"one", HEAD + b"two")
        server.server.state.draining = True
        await client.send(HEAD + b"six")
        _, headers, _ = await client.response()
        server.server.state.draining = False

    assert headers["connection"] == "close"
    assert app.shortcuts == [False, True, False]


async def test_an_application_may_answer_before_it_is_waited_for(serving):
    """No task is made for what is over."""

    class AtOnce:
        def __await__(self):
            return iter(())

    def app(scope, receive, send):
        if scope["type"] == "lifespan" or "switchgear.body" not in scope["extensions"]:
            return Seen()(scope, receive, send)
        scope["extensions"]["switchgear.answer"].whole(200, [(b"content-length", b"2")], b"ok")
        return AtOnce()

    async with serving(app) as server, server.client() as client:
        answers = await ask_each(client, HEAD + b"one", HEAD + b"two", HEAD + b"six")
        assert server.server.in_flight == 0

    assert answers == [(200, b"one"), (200, b"ok"), (200, b"ok")]


async def test_an_application_that_fails_at_once_is_a_500(serving):
    def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return Seen()(scope, receive, send)
        raise ValueError("no")

    async with serving(app) as server, server.client() as client:
        await client.send(HEAD + b"one")
        status, _, body = await client.response()

    assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
