"""An HTTP service with an OpenAPI document, as a server of tools. There is no connection to keep: each call is a request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import structlog

from gateway.config.secret import reveal
from gateway.config.tool_settings import OpenApiServerSettings
from gateway.core.tools import ToolOutput
from gateway.tools.connection import CannotConnect, Connection, ServerKind, Signals, ToolCallAsked
from gateway.tools.content import failure
from gateway.tools.definitions import Listed
from gateway.tools.hub import ToolNotReached
from gateway.tools.openapi.document import Unusable, read_document
from gateway.tools.openapi.operations import Operation, read_operation
from gateway.tools.openapi.request import Unsendable, write_request

if TYPE_CHECKING:
    from gateway.tools.openapi.exchange import Exchange

log = structlog.get_logger()


class OpenApiConnector:
    """Reads the document, and calls the operations that the operator lists."""

    kind: ServerKind = "openapi"

    def __init__(self, server: str, settings: OpenApiServerSettings) -> None:
        self._server = server
        self._settings = settings
        self._headers = {name: reveal(value) for name, value in settings.headers.items()}

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Connection]:
        """Give what calls operations. Entering it raises CannotConnect for a document that is none."""
        from gateway.tools.openapi.exchange import Exchange  # noqa: PLC0415 the HTTP client is loaded where it is used

        settings = self._settings
        exchange = Exchange(settings.url, self._headers, most=settings.result_bytes, connections=settings.concurrency)
        try:
            yield OpenApiConnection(self._server, settings, exchange)
        finally:
            await exchange.aclose()


class OpenApiConnection:
    """A Connection. What it may call is what the document said when it was last listed."""

    def __init__(self, server: str, settings: OpenApiServerSettings, exchange: Exchange) -> None:
        self.signals = Signals()
        self._server = server
        self._settings = settings
        self._exchange = exchange
        self._operations: dict[str, Operation] = {}

    async def list(self) -> Sequence[Listed]:
        """Give the operations of the allow-list, read anew: an operation that cannot be called is left out, and the log says why. Raises CannotConnect."""
        try:
            # In a thread: documents of some megabytes take a second.
            found = await anyio.to_thread.run_sync(_read, Path(self._settings.document), tuple(self._settings.tools))
        except (Unusable, RecursionError) as error:
            msg = f"the OpenAPI document {self._settings.document} {str(error) or 'is nested too deeply'}"
            raise CannotConnect(msg) from None
        self._operations, unusable = found
        for name, why in unusable.items():
            log.warning("tool.unusable", server=self._server, tool=name, why=why)
        return [_listed(operation) for operation in self._operations.values()]

    async def call(self, asked: ToolCallAsked) -> ToolOutput:
        """Send the request of an operation. Raises ToolNotReached and ToolLost."""
        operation = self._operations.get(asked.tool.name)
        if operation is None:
            msg = f"The document has no operation {asked.tool.name!r} any more. Nothing was done."
            raise ToolNotReached(msg)
        try:
            request = write_request(operation, asked.arguments)
        except Unsendable as error:
            return failure(str(error))
        return await self._exchange.send(request, key=asked.key, trace=asked.trace, timeout=asked.seconds)


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, Operation], dict[str, str]]:
    """Give the operations of these names, and of those that cannot be called why not."""
    document = read_document(path)
    known = document.operations()
    operations: dict[str, Operation] = {}
    unusable: dict[str, str] = {}
    for name in names:
        if name in known.unusable:
            unusable[name] = known.unusable[name]
        elif name in known.found:
            try:
                operations[name] = read_operation(document, known.found[name])
            except (Unusable, RecursionError) as error:
                unusable[name] = str(error) or "is nested too deeply"
        elif known.paths:
            unusable[name] = f"is not there, or in what cannot be read: {known.paths[0]}"
    return operations, unusable


def _listed(operation: Operation) -> Listed:
    return Listed(
        name=operation.name,
        schema=operation.schema,
        title=operation.title,
        description=operation.description,
        # Where the arguments go is part of what was accepted: a parameter that moves into the path is another tool.
        annotations={
            "method": operation.method,
            "path": operation.path,
            "places": {
                one.argument: f"{one.place} {one.name} {one.style} {one.explode}" for one in operation.parameters
            },
            "body": operation.body,
        },
        effect=operation.effect,
    )
