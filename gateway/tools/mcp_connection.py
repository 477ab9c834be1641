"""One open connection to an MCP server, of either revision, by the official client. It checks no arguments and knows no pins.

The client is entered and left by the task that opens the connection; calls are made from any task.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import anyio
import msgspec
import structlog
from mcp import Client, MCPError
from mcp.client._transport import Transport, TransportStreams
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    LOG_LEVEL_META_KEY,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    PARSE_ERROR,
    CallToolRequest,
    CallToolRequestParams,
    Implementation,
    PaginatedRequestParams,
    PromptListChangedNotification,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    SetLevelRequest,
    SetLevelRequestParams,
    ToolListChangedNotification,
)
from mcp_types import Tool as McpTool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gateway import __version__
from gateway.config.tool_settings import HttpServerSettings, McpSettings, StdioServerSettings
from gateway.core.items import Json
from gateway.core.tools import ToolOutput
from gateway.tools.connection import CannotConnect, Signals, ToolCallAsked
from gateway.tools.content import failure, output_of
from gateway.tools.definitions import Listed
from gateway.tools.delivery import KEY, NO_ANSWER, RUN, TOO_LARGE, UNAUTHORIZED, UNREADABLE, Deliveries
from gateway.tools.eliciting import (
    CURRENT,
    NO_MORE,
    URL_REQUIRED,
    Flight,
    Flights,
    needed,
    required,
    responses_of,
    wanting,
)
from gateway.tools.hub import ToolLost, ToolNotReached, ToolUnauthorized
from gateway.tools.logged import LEVELS
from gateway.tools.mcp_callbacks import callbacks_of
from gateway.tools.mcp_http import bounded_client
from gateway.tools.mcp_messages import Result, Sift, Sifted, cut, sift
from gateway.tools.mcp_offering import McpOffering
from gateway.tools.mcp_stamping import Stamped
from gateway.tools.mcp_stdio import stdio_streams
from gateway.tools.oauth.bearer import Bearer
from gateway.tools.progress import Advancing
from gateway.tools.stdio_child import Program, running

log = structlog.get_logger()

MOST_PAGES: Final = 50
"""Pages of a list of tools that are read: a list that does not end is cut there."""

MOST_ROUNDS: Final = 10
"""How often a tool may want to be asked again in one call, without anything that people have to say."""

_MOST_LACKING: Final = 4096
_ROUND_PAUSE = 0.2
_CONNECT_SECONDS = 10.0


_CHANGED: Final = (ToolListChangedNotification, ResourceListChangedNotification, PromptListChangedNotification)


class McpConnection(McpOffering):
    """A Connection to an MCP server, and an Offering."""

    async def list(self) -> Sequence[Listed]:
        """Give the tools that the server lists. Raises CannotConnect."""
        found: list[Listed] = []
        seen: set[str] = set()
        cursor: str | None = None
        try:
            for _ in range(MOST_PAGES):
                page = await self._client.session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                found += [_listed(tool) for tool in page.tools]
                cursor = page.next_cursor
                if cursor is None:
                    return found
                if cursor in seen:
                    break
                seen.add(cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND and not self._says_tools():
                return []  # it has resources or prompts, and nothing else
            raise CannotConnect(f"it does not list its tools: {cut(error.message)}") from error
        except ValidationError as error:
            raise CannotConnect(f"its list of tools cannot be read: {_first(error)}") from error
        log.warning("tool_server.list_cut", server=self._server, tools=len(found))
        return found

    def _says_tools(self) -> bool:
        said = self._client.session.server_capabilities
        return said is None or said.tools is not None

    async def call(self, asked: ToolCallAsked) -> ToolOutput:
        """Call a tool. Raises ToolNotReached and ToolLost."""
        if asked.seconds <= 0:
            msg = f"The server {self._server!r} was not asked: the time of the call was up. Nothing was done."
            raise ToolNotReached(msg)
        try:
            with anyio.move_on_after(asked.seconds):
                flight = await self._flights.begin(asked)
                advancing = None if asked.progress is None else Advancing(asked.progress, anyio.current_time)
                here = CURRENT.set(flight)
                try:
                    await self._listen_at(asked)
                    output = await self._call(asked, advancing, flight)
                finally:
                    CURRENT.reset(here)
                    self._flights.end(flight)
                    if flight.logged is not None:
                        flight.logged.close()
                    if advancing is not None:
                        advancing.close()
                # What it made of it that nobody answered is put aside: it is called again.
                return failure(flight.unfit) if flight.unfit else wanting(flight.wishes) if flight.wishes else output
            # It was handed over, and may leave in this very moment, whether or not that was noted: nobody knows.
            raise self._lost(f"no answer came within {asked.tool.timeout:g} s")
        finally:
            self._deliveries.forget(asked.key)

    async def _listen_at(self, asked: ToolCallAsked) -> None:
        """Have a server of 2025-11-25 log as much as is wanted: it has one level for all, which is only ever lowered."""
        wanted, said = asked.hearing, self._client.session.server_capabilities
        if (
            wanted is None
            or self._client.protocol_version in MODERN_PROTOCOL_VERSIONS
            or "logging" not in self._flights.passed
        ):
            return
        if said is None or said.logging is None or LEVELS.index(wanted.level) >= self._level:
            return
        self._level = LEVELS.index(wanted.level)
        try:
            request = SetLevelRequest(params=SetLevelRequestParams(level=LEVELS[self._level]))
            await self._client.session.send_request(request, Result)
        except (MCPError, ValidationError) as error:
            # Then it logs what it logs: the call is made all the same.
            log.info("tool_server.level_refused", server=self._server, why=type(error).__name__)

    async def _call(self, asked: ToolCallAsked, advancing: Advancing | None, flight: Flight) -> ToolOutput:
        request: dict[str, Json] = {
            "name": asked.tool.name,
            "arguments": asked.arguments,
            "_meta": _meta_of(asked, flight),
        }
        if self._client.protocol_version in MODERN_PROTOCOL_VERSIONS and (asked.answers or asked.refused):
            request |= {"inputResponses": responses_of(asked.answers, asked.refused), "requestState": asked.state}
        for _ in range(MOST_ROUNDS):
            params = CallToolRequestParams.model_validate(request)
            try:
                request_ = CallToolRequest(params=params)
                answer = await self._client.session.send_request(request_, Result, progress_callback=advancing)
            except MCPError as error:
                return self._failed(asked, error)
            except ValidationError as error:
                # It answered: whatever there was to do is done.
                return failure(f"The tool's answer cannot be read: {_first(error)}")
            result: dict[str, Json] = answer.model_extra or {}
            if result.get("resultType", "complete") == "complete":
                return output_of(result)
            if (output := needed(result, flight)) is not None:
                return failure(NO_MORE) if asked.refused and output.wishes else output
            await anyio.sleep(_ROUND_PAUSE)
            request |= {"inputResponses": None, "requestState": result.get("requestState")}
        return failure(f"The tool wanted to be asked again {MOST_ROUNDS} times.")

    def _failed(self, asked: ToolCallAsked, error: MCPError) -> ToolOutput:
        if error.code == URL_REQUIRED:
            return required(error.data, asked.answers)
        if error.code == MISSING_REQUIRED_CLIENT_CAPABILITY:
            return _lacking(error)
        if error.code == UNAUTHORIZED and not self._deliveries.is_out(asked.key):
            msg = f"The server {self._server!r} was not asked: {cut(error.message)}. Nothing was done."
            raise ToolUnauthorized(msg) from error
        if error.code == TOO_LARGE or self._deliveries.was_too_large(asked.key):
            return failure(f"The tool's answer is too large and was not read: {cut(error.message)}")
        if error.code in (PARSE_ERROR, UNREADABLE):
            # The library says the first of what it cannot read itself. It answered: whatever there was to do is done.
            return failure(f"The tool's answer cannot be read: {cut(error.message)}")
        if error.code not in (CONNECTION_CLOSED, NO_ANSWER):
            return failure(f"The tool's server refused the call: {cut(error.message)}")
        if error.message == "Connection closed":
            self.signals.breaks("the connection was closed")
        raise self._unanswered(asked, self.signals.reason or cut(error.message)) from error

    def _unanswered(self, asked: ToolCallAsked, reason: str) -> ToolLost | ToolNotReached:
        if self._deliveries.is_out(asked.key):
            return self._lost(reason)
        return ToolNotReached(f"The server {self._server!r} was not reached: {reason}. Nothing was done.")

    def _lost(self, reason: str) -> ToolLost:
        return ToolLost(
            f"The server {self._server!r} did not answer: {reason}. Whether the call was done is not known."
        )


@asynccontextmanager
async def open_stdio(server: str, settings: StdioServerSettings, program: Program) -> AsyncGenerator[McpConnection]:
    """Start a program and connect to it. Raises CannotConnect."""
    signals, deliveries = Signals(), Deliveries()
    async with running(program, anyio.current_time) as child:
        streams = stdio_streams(child, limit=settings.result_bytes, deliveries=deliveries, signals=signals)
        try:
            async with _connected(streams, server, settings, deliveries, signals) as connection:
                yield connection
        except CannotConnect as error:
            # A program that ended says better why than a conversation that broke off.
            with anyio.move_on_after(0.5):
                await child.ended.wait()
            raise CannotConnect(child.reason or str(error)) from error


@asynccontextmanager
async def open_http(
    server: str, settings: HttpServerSettings, headers: dict[str, str], bearer: Bearer | None = None
) -> AsyncGenerator[McpConnection]:
    """Connect to an address; `bearer` gives the tokens where the server asks for any. Raises CannotConnect."""
    signals, deliveries = Signals(), Deliveries()
    longest = max(settings.timeout, *(tool.timeout or 0.0 for tool in settings.tools.values()))
    client = bounded_client(
        headers,
        limit=settings.result_bytes,
        connect=_CONNECT_SECONDS,
        # A call ends by its own time. This one is for the answers of those that were cancelled, and of dead servers.
        read=max(longest, settings.start_timeout) + 10,
        deliveries=deliveries,
        signals=signals,
        bearer=bearer,
    )
    async with client:
        transport = streamable_http_client(settings.url, http_client=client, max_sse_event_size=settings.result_bytes)
        async with _connected(transport, server, settings, deliveries, signals) as connection:
            yield connection


@asynccontextmanager
async def _connected(
    transport: AbstractAsyncContextManager[Any],
    server: str,
    settings: McpSettings,
    deliveries: Deliveries,
    signals: Signals,
) -> AsyncGenerator[McpConnection]:
    flights = Flights(settings.pass_on)

    async def hear(message: object) -> None:
        if isinstance(message, _CHANGED):
            signals.look_again()
        elif isinstance(message, ResourceUpdatedNotification):
            signals.updated(str(message.params.uri))

    # The library logs what servers send, with tracebacks: that is for nobody's log.
    for name in ("mcp", "client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    opened = anyio.Event()

    def kept(message: SessionMessage) -> SessionMessage:
        # While it is opened there is no version that is spoken.
        return sift(
            message, server=server, version=lambda: client.session.protocol_version if opened.is_set() else None
        )

    client: Client = Client(
        _sifted(transport, kept, flights),
        mode=settings.protocol,
        cache=None,
        client_info=Implementation(name="switchgear", version=__version__),
        message_handler=hear,
        **callbacks_of(flights),
    )
    try:
        await client.__aenter__()
    except Exception as error:
        # Whatever it is, and in however many groups the library's tasks have wrapped it: there is no connection.
        raise CannotConnect(_why(error)) from error
    opened.set()
    connection = McpConnection(client, server=server, deliveries=deliveries, signals=signals, flights=flights)
    try:
        yield connection
    except BaseException as error:
        await client.__aexit__(type(error), error, error.__traceback__)
        raise
    await client.__aexit__(None, None, None)


@asynccontextmanager
async def _sifted(transport: Transport, sift: Sift, flights: Flights) -> AsyncGenerator[TransportStreams]:
    async with transport as (said, heard):
        yield Sifted(said, sift), Stamped(heard, flights.capabilities)


def _meta_of(asked: ToolCallAsked, flight: Flight) -> dict[str, Json]:
    meta: dict[str, Json] = {KEY: asked.key, **({RUN: asked.run} if asked.run else {})}
    if flight.logged is not None and asked.hearing is not None:
        meta[LOG_LEVEL_META_KEY] = asked.hearing.level
    if asked.trace is not None:
        meta["traceparent"] = asked.trace
    return meta


def _lacking(error: MCPError) -> ToolOutput:
    """Give the output of a tool that does nothing for a client without certain capabilities."""
    data = error.data
    lacks = data.get("requiredCapabilities") if isinstance(data, dict) else None
    output = failure(f"The tool's server refused the call: {cut(error.message)}")
    if not isinstance(lacks, dict) or len(msgspec.json.encode(lacks)) > _MOST_LACKING:
        return output
    return msgspec.structs.replace(output, lacks=lacks)


def _listed(tool: McpTool) -> Listed:
    said = tool.model_dump(by_alias=True, mode="json", exclude_unset=True)
    return Listed(
        name=tool.name,
        schema=said.get("inputSchema") or {},
        title=said.get("title") or "",
        description=said.get("description") or "",
        output_schema=said.get("outputSchema"),
        annotations=said.get("annotations") or {},
        icons=tuple(said.get("icons") or ()),
    )


def _why(error: Exception) -> str:
    leaf: Exception = error
    while isinstance(leaf, ExceptionGroup):
        leaf = next((one for one in leaf.exceptions if isinstance(one, MCPError)), leaf.exceptions[0])
    if isinstance(leaf, MCPError):
        return f"it does not take the connection: {cut(leaf.message)}"
    return f"it does not take the connection ({type(leaf).__name__})"


def _first(error: ValidationError) -> str:
    """Name the first fault, and none of the values: they are the server's."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return cut(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}")
