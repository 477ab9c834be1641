"""An Upstream that is a supervised child process: started when first needed, and found again where it listens after a crash."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from anyio import CancelScope, Event, move_on_after
from anyio.abc import TaskGroup

from gateway.core.errors import Unavailable
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts
from gateway.providers.provider import Health
from gateway.providers.supervisor import ChildSupervisor

_RETRY_S = 5.0


class ChildUpstream:
    """Keeps this protocol: gateway.providers.http.protocol.Upstream. `prefix` is put before every path.

    A request waits for a child that starts, as long as that may take; one that is not `patient`, for its connect timeout.
    """

    def __init__(self, child: ChildSupervisor, *, connections: int, prefix: str = "/v1", patient: bool = True) -> None:
        self._child = child
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
        """Send the request once the child is ready. Raises UpstreamUnreachable or Unavailable when it does not become so."""
        address = await self._address_within(None if self._patient else timeouts.connect)
        client = self._client
        if client is None or address != self._address:
            # The child came back on another port. Answers in flight from the old one have failed with it.
            old, client = client, NativeUpstream(address + self._prefix, connections=self._connections)
            self._client, self._address = client, address
            if old is not None:
                await old.aclose()
        return await client.request(request, timeouts)

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
