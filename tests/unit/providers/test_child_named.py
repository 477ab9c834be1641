"""A request to a child that has just died waits for its return, and what fails is told by the child's name, not its port."""

import os
import signal
import sys
from contextlib import asynccontextmanager

import anyio
import pytest

from gateway.core.errors import UpstreamBroken, UpstreamTimeout
from gateway.providers.child_upstream import ChildUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from gateway.providers.supervisor import ChildCommand, ChildSupervisor, RestartPolicy

# /pid answers with the process's id, /half breaks off in its body, /hang never answers, /die ends the process after a while.
SERVER = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/hang":
            time.sleep(60)
        if self.path == "/die":
            time.sleep(0.3)
            os._exit(1)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body) + (self.path == "/half")))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/half"
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("ready", server.server_address[1], flush=True)
server.serve_forever()
"""
SHORT = HttpTimeouts(connect=5, first_byte=0.2, idle=5, total=10)
LONG = HttpTimeouts(connect=5, first_byte=10, idle=5, total=20)


@asynccontextmanager
async def upstream():
    command = ChildCommand(argv=(sys.executable, "-c", SERVER))
    child = ChildSupervisor("tiny", command, policy=RestartPolicy(first_delay=0.01))
    client = ChildUpstream(child, connections=4, prefix="", noun="The embedded model 'tiny'")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            client.start(tasks)
            yield client, child
            await client.aclose()


async def fetch(client, path, timeouts=LONG):
    response = await client.request(HttpRequest(method=b"GET", path=path), timeouts)
    try:
        return await response.read_all(1000)
    finally:
        await response.aclose()


@pytest.mark.parametrize("warm", [True, False])
async def test_a_request_to_a_child_that_was_just_killed_is_answered_by_the_next(warm):
    async with upstream() as (client, child):
        await child.ensure_ready()
        if warm:
            await fetch(client, b"/pid")
        first = child.pid
        os.kill(first, signal.SIGKILL)

        assert int(await fetch(client, b"/pid")) not in (first, 0)
        assert child.restarts == 1


async def test_a_request_that_the_child_died_of_is_not_sent_to_the_next():
    async with upstream() as (client, child):
        with pytest.raises(UpstreamBroken) as caught:
            await fetch(client, b"/die")

        assert caught.value.message == "The embedded model 'tiny' stopped before its answer was complete."
        await child.ensure_ready()


async def test_an_answer_that_breaks_off_is_told_by_the_childs_name():
    async with upstream() as (client, _):
        with pytest.raises(UpstreamBroken, match=r"^The embedded model 'tiny' stopped"):
            await fetch(client, b"/half")


async def test_a_timeout_is_told_by_the_childs_name():
    async with upstream() as (client, _):
        with pytest.raises(UpstreamTimeout, match="The embedded model 'tiny'") as caught:
            await fetch(client, b"/hang", SHORT)

        assert "127.0.0.1" not in caught.value.message
