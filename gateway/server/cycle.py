"""One request and its answer, as uvicorn keeps them; and one that is all there when it begins."""

import asyncio
import functools
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.server.answer import Answer
from gateway.server.departure import ANSWER, DEPARTURE


class Arrived(RequestResponseCycle):
    """A request that is all there. Made of what uvicorn's methods and ours read of one, and of nothing else."""

    more_body = False
    disconnected = False
    waiting_for_100_continue = False
    response_started = False
    response_complete = False
    chunked_encoding = None

    def __init__(self, connection: HttpToolsProtocol, scope: dict[str, Any], body: bytes) -> None:
        self.scope = scope  # type: ignore[assignment] # a dict
        self.body = body  # type: ignore[assignment] # bytes, of which a copy costs nothing
        self.transport = connection.transport
        self.flow = connection.flow
        self.keep_alive = True
        self.on_response = connection.on_response_complete

    @functools.cached_property
    def message_event(self) -> asyncio.Event:  # type: ignore[override] # most are never waited for
        """Set, for nothing is still to come; made when it is asked for."""
        arrived = asyncio.Event()
        arrived.set()
        return arrived


def answer_to(cycle: RequestResponseCycle) -> Answer:
    """Give what writes the answer; the application finds it in the scope, too."""
    answer = Answer(cycle)
    scope: dict[str, Any] = cycle.scope  # type: ignore[assignment] # a dict
    scope["extensions"][ANSWER] = answer
    return answer


def close(cycle: RequestResponseCycle) -> None:
    """The request is over: break the circles between it and its connection, and between its scope and its answer."""
    cycle.on_response = _nothing
    scope: dict[str, Any] = cycle.scope  # type: ignore[assignment] # a dict
    del scope["extensions"][ANSWER]


def _nothing() -> None:
    """What a finished request calls when it is over."""


async def raised(error: Exception) -> None:
    """What is waited for where an application raised before there was anything to wait for."""
    raise error


def disconnect(cycle: RequestResponseCycle) -> None:
    """Tell a request, in ASGI's way and through its Departure, that nobody waits for its response any more."""
    cycle.disconnected = True
    cycle.message_event.set()
    cast("dict[str, Any]", cycle.scope)["extensions"][DEPARTURE].leave()
