"""The notice that a client has left, without a task that watches for it. It cancels nothing; who subscribes does."""

from collections.abc import Callable
from typing import cast

from gateway.server.asgi import Scope

DEPARTURE = "switchgear.departure"
SERVER = "switchgear.server"
DRAIN = "switchgear.drain"  # of a WebSocket: a Departure that fires when the server begins to drain
ANSWER = "switchgear.answer"  # the Answer of the request
WHOLE_BODY = "switchgear.body"  # all of the body, where the server has it
NOTES = "switchgear.notes"  # what the application noted of these very headers; it ends with the connection


class Departure:
    """Calls one subscriber, synchronously, when the client's connection is lost before the response is complete.

    The callback must be quick and must not raise: it runs inside the event loop's connection callback. Subscribing after
    the client has left calls it at once. End of file counts as leaving, as it does in nginx: a client that only half
    closes cannot be told from one that is gone until something is written to it.
    """

    __slots__ = ("_callback", "left")

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None
        self.left = False

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the client leaves; it replaces an earlier one."""
        if self.left:
            callback()
            return
        self._callback = callback

    def unsubscribe(self) -> None:
        """Forget the callback; harmless when there is none."""
        self._callback = None

    def leave(self) -> None:
        """The connection is gone (or of no more use): tell the subscriber, once."""
        self.left = True
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


def departure_of(scope: Scope) -> Departure:
    """The request's notice; one that never fires where another server made the scope (tests, other ASGI servers)."""
    departure = scope.get("extensions", {}).get(DEPARTURE)
    return cast("Departure", departure) if departure is not None else Departure()
