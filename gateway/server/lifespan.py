"""Runs the application's ASGI lifespan in one task of the server's task group, so that it may hold its own task groups.

(uvicorn runs it in a loose task and ends the process by sys.exit.)
"""

from typing import Any

import anyio
from anyio.abc import TaskStatus

from gateway.server.asgi import ASGIApp, Message
from gateway.server.options import ServerStartError


class Lifespan:
    """`run` in a task group, `stop` once; `state` is what the application put into `scope["state"]`.

    An application that returns at once has no lifespan, which is fine. An error at start is a ServerStartError with the
    application's error as its cause; an error while serving or at the end leaves `run` as it is and ends the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._stop = anyio.Event()
        self._ended = anyio.Event()
        self._ready: TaskStatus[None] | None = None
        self._asked = False
        self._complaint = ""

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Run the lifespan from start to end; reports ready when the application's start is complete."""
        self._ready = task_status
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as exc:
            if self._ready is None:
                raise
            raise ServerStartError(f"the application did not start: {exc or type(exc).__name__}") from exc
        finally:
            self._ended.set()
        if self._complaint:
            raise ServerStartError(f"the application did not start: {self._complaint}")
        self._report_ready()

    async def stop(self) -> None:
        """Ask the application to end, and wait until it has."""
        self._stop.set()
        await self._ended.wait()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._stop.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._report_ready()
        elif message["type"] == "lifespan.startup.failed":
            self._complaint = str(message.get("message", "")).strip().rpartition("\n")[2]

    def _report_ready(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.started()
