"""When a request is written: with those that are made in the same turn of the event loop, and not to a connection that is gone."""

import asyncio
import math

import pytest

from gateway.core.errors import UpstreamBroken
from gateway.providers.http.connection import Connection
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts

TIMEOUTS = HttpTimeouts(connect=1, first_byte=1, idle=1, total=1)


class Transport:
    """A double of a transport that keeps what is written."""

    def __init__(self):
        self.written = []
        self.aborted = False

    def write(self, data):
        self.written.append(data)

    def abort(self):
        self.aborted = True

    def get_write_buffer_size(self):
        return 0


class Owner:
    def released(self, connection):
        """Nothing to do."""

    def closed(self, connection):
        """Nothing to do."""


def begin(number):
    """Give a connection's transport and the task of an exchange on it."""
    loop = asyncio.get_running_loop()
    connection, transport = Connection(loop, Owner(), "up"), Transport()
    connection.connection_made(transport)
    head = b"POST /%d" % number
    return (
        transport,
        loop.create_task(connection.exchange(head, HttpRequest(path=b"/"), TIMEOUTS, math.inf)),
        connection,
    )


async def test_requests_made_in_one_turn_are_written_when_all_have_been_made():
    begun = [begin(number) for number in range(3)]
    written_when_made = []
    asyncio.get_running_loop().call_soon(
        lambda: written_when_made.extend(transport.written for transport, _, _ in begun if transport.written)
    )
    for _ in range(3):
        await asyncio.sleep(0)

    assert written_when_made == []
    assert [transport.written for transport, _, _ in begun] == [[b"POST /0"], [b"POST /1"], [b"POST /2"]]
    for _, task, connection in begun:
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        assert (await task).status == 200


async def test_nothing_is_written_to_a_connection_that_was_lost_in_the_same_turn():
    transport, task, connection = begin(0)
    asyncio.get_running_loop().call_soon(connection.connection_lost, None)
    with pytest.raises(UpstreamBroken, match="closed the connection without an answer"):
        await task

    assert (transport.written, connection.closed) == ([], True)
