"""What Redis answers to MGET, put together from pieces of any size."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.redis_line import Answers, RedisLine

TEXTS = st.lists(st.one_of(st.none(), st.binary(max_size=40)), min_size=1, max_size=6)


def written(texts):
    parts = [b"$-1\r\n" if text is None else b"$%d\r\n%b\r\n" % (len(text), text) for text in texts]
    return b"*%d\r\n" % len(texts) + b"".join(parts)


@given(texts=TEXTS, size=st.integers(1, 9))
def test_an_answer_in_pieces_of_any_size_is_the_answer(texts, size):
    """Also where a text has the ends of lines in it, and one answer follows another."""
    answers, wire = Answers(), written(texts)
    fed = [answers.feed(wire[start : start + size]) for _ in range(2) for start in range(0, len(wire), size)]

    assert [whole for whole in fed if whole is not None] == [texts, texts]


@pytest.mark.parametrize(
    "wire",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n", b"+OK\r\n", b":7\r\n", b"$3\r\nabc\r\n", b"*x\r\n", b"*1\r\n*1\r\n",
        b"\r\n", b"*1\r\n$x\r\n", b"x" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_such_answer_is_refused(wire):
    with pytest.raises(ValueError, match=r"."):
        Answers().feed(wire)


class Pipe(asyncio.Transport):
    """A double of a transport: what was written, and whether it was closed."""

    def __init__(self):
        super().__init__()
        self.sent = b""
        self.closing = False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closing

    def abort(self):
        self.closing = True

    def set_protocol(self, protocol):
        self.protocol = protocol


class Writer:
    """What the driver has of a connection."""

    def __init__(self):
        self.transport = Pipe()


async def asked(*names):
    line, writer = RedisLine(), Writer()
    line.take(writer)
    asking = asyncio.ensure_future(line.mget(names))
    await asyncio.sleep(0)
    return line, writer.transport, asking


async def test_names_are_asked_for_and_their_texts_come_back():
    line, pipe, asking = await asked(b"a", b"bc")
    line.data_received(written([b"1", None]))

    assert pipe.sent == b"*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$2\r\nbc\r\n"
    assert await asking == [b"1", None]


async def test_an_answer_of_another_length_is_not_taken_for_this_ones():
    line, _, asking = await asked(b"a", b"bc")
    line.data_received(written([b"1"]))

    with pytest.raises(ValueError, match="another question"):
        await asking


async def test_a_line_that_breaks_tells_who_waits_and_is_not_used_again():
    line, _, asking = await asked(b"a")
    line.connection_lost(None)

    with pytest.raises(ConnectionError):
        await asking
    assert line.closed
    with pytest.raises(ConnectionError):
        await line.mget([b"a"])


async def test_nonsense_closes_the_line():
    line, pipe, asking = await asked(b"a")
    line.data_received(b"-ERR no\r\n")

    with pytest.raises(ValueError, match="something else"):
        await asking
    assert (pipe.closing, line.closed) == (True, True)
