"""What answers, and what surrounds an answer: ASGI, one level up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from typing import Protocol

from gateway.core.call import Call
from gateway.core.events import Cached, Event, Finished, Started, Verbatim

Send = Callable[[Event], Awaitable[None]]


class _Nothing:
    """What can be awaited again and again, and never waits: a coroutine that does nothing costs five times as much."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]  # an iterator is all that `await` asks for


NOTHING: Awaitable[None] = _Nothing()
"""For a Send that takes an event and has nothing to wait for."""

Lane = Callable[[bytes], bool]
"""Takes a piece of a verbatim stream at once; False when it was not taken, because the receiver is slow or gone."""


def lane_of(send: Send) -> Lane | None:
    """Give the short way to the receiver that `send` offers for the rest of a verbatim stream, if it does.

    A stage that has to see every piece offers none.
    """
    offer = getattr(send, "lane", None)
    lane: Lane | None = None if offer is None else offer()
    return lane


def lane_with(send: Send, look: Callable[[bytes], None]) -> Lane | None:
    """Give the short way of `send` with a look at each piece that it has taken; None where it offers none."""
    inner = lane_of(send)
    if inner is None:
        return None

    def take(data: bytes) -> bool:
        taken = inner(data)
        if taken:
            look(data)
        return taken

    return take


Whole = Callable[[Cached, Started, Verbatim, Finished], Awaitable[None]]
"""Takes an answer that was kept, with all of its bytes, in one go."""


def whole_of(send: Send) -> Whole | None:
    """Give the way for whole answers that `send` offers, if it does."""
    offer: Whole | None = getattr(send, "whole", None)
    return offer


def give(send: Send, events: Iterable[Event]) -> Awaitable[None]:
    """Send events that are ready: those that nobody has to wait for, before this returns."""
    left = iter(events)
    for event in left:
        waiting = send(event)
        if waiting is not NOTHING:
            return _give(waiting, left, send)
    return NOTHING


async def _give(waiting: Awaitable[None], left: Iterator[Event], send: Send) -> None:
    await waiting
    for event in left:
        await send(event)


class Responder(Protocol):
    """Answers a call by pushing events: one `Started`, then events, then one `Finished`; or it raises.

    Awaiting `send` is the back-pressure: it returns when the receiver can take more.
    """

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer `call`. Raises SwitchgearError; cancellation means that nobody waits any longer."""
        ...


Stage = Callable[[Responder], Responder]
