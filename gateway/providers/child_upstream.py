"""An Upstream that is a supervised child process: started when first needed, and found again where it listens after a crash."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

from anyio import CancelScope, Event, current_time, move_on_after
from anyio.abc import TaskGroup

from gateway.core.errors import Unavailable, UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts
from gateway.providers.provider import Health
from gateway.providers.supervisor import ChildSupervisor

_RETRY_S = 5.0
# A connection that is lost this soon had no reader: the system closes the sockets of a dead process one after another.
_DYING_S = 0.1


class ChildUpstream:
    """Keeps this protocol: gateway.providers.http.protocol.Upstream.

    `prefix` is put before every path, `noun` is what messages call the child. A request waits for a child that starts, as long as that may take; one that is not `patient`, for its connect timeout.
    """

    def __init__(
        self,
        child: ChildSupervisor,
        *,
        connections: int,
        prefix: str = "/v1",
        patient: bool = True,
        noun: str | None = None,
    ) -> None:
        self._child = child
        self._noun = noun or child.name
        self._connections = connections
        self._prefix = prefix
        self._patient = patient
        self._address = ""
        self._client: NativeUpstream | None = None
        self._scope = CancelScope()
        self._ended: Event | None = None

    def start(self, tasks: TaskGroup) -> None:
        """Begin to supervise; a lazy child starts with its first request."""
        self._ended = Event()
        tasks.start_soon(self._supervise, self._ended)

    async def _supervise(self, ended: Event) -> None:
        try:
            with self._scope:
                await self._child.run()
        finally:
            ended.set()

    async def request(self, request: HttpRequest, timeouts: HttpTimeouts) -> HttpResponse:
        """Send the request once the child is ready. Raises UpstreamUnreachable or Unavailable when it does not become so.

        A child that had died unnoticed is waited for, and asked once more.
        """
        address = await self._address_within(None if self._patient else timeouts.connect)
        begun = current_time()
        try:
            return await self._ask(address, request, timeouts)
        except UpstreamError as error:
            if not (self._patient and _never_taken(error, current_time() - begun) and await self._child.ended(address)):
                raise self._named(error, address) from error
        address = await self._address_within(None)
        try:
            return await self._ask(address, request, timeouts)
        except UpstreamError as error:
            raise self._named(error, address) from error

    async def _ask(self, address: str, request: HttpRequest, timeouts: HttpTimeouts) -> HttpResponse:
        client = self._client
        if client is None or address != self._address:
            # The child came back on another port. Answers in flight from the old one have failed with it.
            old, client = client, NativeUpstream(address + self._prefix, connections=self._connections)
            self._client, self._address = client, address
            if old is not None:
                await old.aclose()
        return _Named(await client.request(request, timeouts), partial(self._named, address=address))

    def _named(self, error: UpstreamError, address: str) -> UpstreamError:
        """Say the same of the child by its name: its port is nobody's business, and changes."""
        port = urlsplit(address).netloc
        if port not in error.message:
            return error
        if isinstance(error, UpstreamUnreachable):
            return UpstreamUnreachable(f"{self._noun} cannot be reached.")
        if isinstance(error, UpstreamTimeout):
            return UpstreamTimeout(error.message.replace(port, self._noun))
        return UpstreamBroken(f"{self._noun} stopped before its answer was complete.")

    async def _address_within(self, seconds: float | None) -> str:
        with move_on_after(seconds):
            return await self._child.ensure_ready()
        raise Unavailable(f"{self._child.name} is not ready: {self._child.reason}.", retry_after=_RETRY_S)

    def kill(self) -> None:
        """End the child, and all that it started, at once; it is not started again."""
        self._scope.cancel()
        if self._child.pid is not None:
            # It leads a process group of its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)

    async def aclose(self) -> None:
        """Close the connections and stop the child."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        self._scope.cancel()
        if self._ended is not None:
            await self._ended.wait()

    def health(self) -> Health:
        """Translate the child's state."""
        child = self._child
        if child.state == "ready":
            return Health()
        if child.state == "failed":
            return Health(state="failed", detail=child.reason)
        if child.state == "stopped":
            return Health(state="cold", detail="starts with its first request")
        return Health(state="starting", detail=child.reason, first_load=child.first_load, waited_for=self._patient)


def _never_taken(error: UpstreamError, seconds: float) -> bool:
    """Whether no child can have begun with a request that failed so, `seconds` after it was sent."""
    return isinstance(error, UpstreamUnreachable) or (isinstance(error, UpstreamBroken) and seconds < _DYING_S)


class _Named:
    """An HttpResponse whose errors speak of the child by its name."""

    def __init__(self, response: HttpResponse, named: Callable[[UpstreamError], UpstreamError]) -> None:
        self._response = response
        self._error = named
        self.status = response.status
        self.headers = response.headers

    async def divert(self, sink: Callable[[bytes], bool]) -> None:
        """As the response's own; what fails is told by `read`."""
        await self._response.divert(sink)

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header `name`, or None."""
        return self._response.header(name)

    async def read(self) -> bytes:
        """Return what has come of the body, b"" at its end."""
        try:
            return await self._response.read()
        except UpstreamError as error:
            raise self._error(error) from error

    async def read_all(self, limit: int) -> bytes:
        """Return the rest of the body."""
        try:
            return await self._response.read_all(limit)
        except UpstreamError as error:
            raise self._error(error) from error

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        await self._response.aclose()
