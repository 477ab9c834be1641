"""A bridge from standard input and output to a gateway's /mcp: messages go through as they are, in both revisions of the protocol.

What differs between the two transports is translated, and nothing else: HTTP headers are made from the message, a session is kept (and made
anew when the gateway has lost it), and a cancellation closes the answer that it is about. A gateway that is away costs the requests of that
time an error, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import anyio
import httpx2
import msgspec
from anyio.abc import TaskGroup

from gateway.cli.mcp_headers import Message, Mirrored, version_of
from gateway.cli.mcp_lines import Lines

NO_ANSWER: Final = -32_000
INVALID: Final = -32_600
UNREADABLE: Final = -32_700
MOST_OF_AN_ANSWER: Final = 64 * 1024 * 1024
MOST_AT_ONCE: Final = 1024
_LAST_WORDS = 1.0
"""Seconds that requests under way get when standard input has ended."""
_GOODBYE_SECONDS = 2.0
_CONNECT_SECONDS = 10.0
_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds between tries to hear what the server says unasked, in the older revision."""
_ACCEPT: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_SESSION: Final = "mcp-session-id"
_VERSION: Final = "mcp-protocol-version"
_CANCELLED: Final = "notifications/cancelled"
_INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

Id = str | int


class _Unanswered(Exception):
    """A request has no answer; the message says why. `code` is the error's."""

    def __init__(self, reason: str, code: int = NO_ANSWER) -> None:
        super().__init__(reason)
        self.code = code


class _SessionGone(Exception):
    """The gateway does not know the session any more."""


class _Request:
    """A request under way."""

    def __init__(self, line: bytes, message: dict[str, Any], asked: Id) -> None:
        self.line = line
        self.message = message
        self.id = asked
        self.method = str(message.get("method", ""))
        self.scope = anyio.CancelScope()


class Bridge:
    """`url` is the address of /mcp, `headers` go with everything (the key), `tell` says something to people."""

    def __init__(self, url: str, headers: dict[str, str], lines: Lines, tell: Callable[[str], None]) -> None:
        self._url = url
        self._lines = lines
        self._tell = tell
        self._told = ""
        self._mirrored = Mirrored()
        self._under_way: dict[tuple[type, Id], _Request] = {}
        self._session: str | None = None
        self._version: str | None = None
        self._beginning = b""
        self._renewing = anyio.Lock()
        self._settled = anyio.Event()
        self._client = httpx2.AsyncClient(
            headers={"accept-encoding": "identity", **headers},
            timeout=httpx2.Timeout(_CONNECT_SECONDS, read=None, write=60.0, pool=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None),
            trust_env=False,
        )

    async def run(self) -> None:
        """Carry messages until standard input ends, or nobody reads standard output."""
        async with self._client:
            try:
                async with anyio.create_task_group() as tasks:
                    async for line in self._lines.read():
                        await self._take(tasks, line)
                    self._settled = anyio.Event()
                    if self._under_way:
                        with anyio.move_on_after(_LAST_WORDS):
                            await self._settled.wait()
                    tasks.cancel_scope.cancel()
            except* OSError:
                pass  # whoever listened has gone
            if self._session is not None:
                with anyio.move_on_after(_GOODBYE_SECONDS, shield=True):
                    await self._farewell()

    async def _take(self, tasks: TaskGroup, line: bytes | None) -> None:
        """Take one line from the client."""
        if line is None:
            self._tell("a message was too long, and was left out")
            await self._fail(None, INVALID, "The message is too long.")
            return
        try:
            message = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            await self._fail(None, UNREADABLE, "The line is not a JSON object: one message is expected in each.")
            return
        asked, method = message.get("id"), message.get("method")
        if isinstance(method, str) and isinstance(asked, str | int) and not isinstance(asked, bool):
            await self._begin(tasks, _Request(line, message, asked))
        elif method == "notifications/initialized":
            # What comes after it may count on it.
            await self._send(line, message)
            tasks.start_soon(self._overhear)
        else:
            over = self._cancelled(message) if method == _CANCELLED else None
            if over is None or version_of(over.message) is None:
                tasks.start_soon(self._send, line, message)

    async def _begin(self, tasks: TaskGroup, request: _Request) -> None:
        if len(self._under_way) >= MOST_AT_ONCE:
            await self._fail(request.id, NO_ANSWER, f"More than {MOST_AT_ONCE} requests are under way.")
            return
        key = (type(request.id), request.id)
        if (earlier := self._under_way.get(key)) is not None:
            earlier.scope.cancel()
        self._under_way[key] = request
        tasks.start_soon(self._answer, request, key)

    def _cancelled(self, message: Message) -> _Request | None:
        """Close the answer of a request that is cancelled; to a gateway that is the cancellation. Give the request, None where it is over."""
        params = message.get("params")
        asked = params.get("requestId") if isinstance(params, dict) else None
        request = self._under_way.get((type(asked), asked)) if isinstance(asked, str | int) else None
        if request is not None:
            request.scope.cancel()
        return request

    async def _answer(self, request: _Request, key: tuple[type, Id]) -> None:
        try:
            with request.scope:
                try:
                    await self._exchange(request)
                except _Unanswered as error:
                    self._say(str(error))
                    await self._fail(request.id, error.code, str(error))
        finally:
            if self._under_way.get(key) is request:
                del self._under_way[key]
            if not self._under_way:
                self._settled.set()

    async def _exchange(self, request: _Request) -> None:
        """Send a request and hand its answer on. Raises _Unanswered."""
        try:
            used = self._session
            try:
                await self._post(request)
            except _SessionGone:
                await self._renew(used)
                await self._post(request)
        except _SessionGone:
            raise _Unanswered("The gateway does not keep the session: begin anew.") from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            reason = f"The gateway at {self._url} cannot be reached ({type(error).__name__}). Nothing was done."
            raise _Unanswered(reason) from error
        except (httpx2.TransportError, httpx2.SSEError) as error:
            reason = f"The answer of the gateway broke off ({type(error).__name__}): what was done is not known."
            raise _Unanswered(reason) from error

    async def _post(self, request: _Request) -> None:
        beginning = request.method == "initialize"
        if beginning:
            self._session = self._version = None
        async with self._client.stream(
            "POST", self._url, content=request.line, headers=self._headers(request.message)
        ) as response:
            if beginning and response.status_code == 200:
                self._session, self._beginning = response.headers.get(_SESSION), request.line
            if response.status_code == 404 and _SESSION in response.request.headers:
                raise _SessionGone
            await self._hand_on(request, response)

    async def _hand_on(self, request: _Request, response: httpx2.Response) -> None:
        """Write what a gateway says to a request, the answer last. Raises _Unanswered."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != 200:
            refusal = _refusal(request.id, response, await _bounded(response))
            if response.status_code in (401, 403):
                self._say(f"The gateway refused a request with the status {response.status_code}: {_reason(refusal)}")
            await self._lines.write(msgspec.json.encode(refusal))
        elif kind == "application/json":
            body = await _bounded(response)
            await self._take_in(request, body)
        elif kind == "text/event-stream":
            async for event in httpx2.EventSource(response, max_event_size=MOST_OF_AN_ANSWER):
                if event.event == "message" and event.data and await self._take_in(request, event.data.encode()):
                    return
            raise _Unanswered("The answer of the gateway ended before it was complete: what was done is not known.")
        else:
            raise _Unanswered(f"What answers at {self._url} is no MCP server (it sent {kind or 'nothing'}).", INVALID)

    async def _take_in(self, request: _Request, said: bytes) -> bool:
        """Write one message of a gateway; give whether it is the answer. Raises _Unanswered for what is no message."""
        message = _object(said)
        last = "method" not in message and message.get("id") == request.id
        if last:
            self._learn(request, message)
        self._say("")
        await self._lines.write(_line(said))
        return last

    def _learn(self, request: _Request, answer: Message) -> None:
        """Take from an answer what later requests need in their headers."""
        result = answer.get("result")
        if not isinstance(result, dict):
            return
        if request.method == "initialize":
            self._version = str(result.get("protocolVersion"))
        elif request.method == "tools/list":
            self._mirrored.learn(result)

    async def _send(self, line: bytes, message: Message) -> None:
        """Send what has no answer: a notification, or an answer of the client's."""
        try:
            with anyio.fail_after(60):
                response = await self._client.post(self._url, content=line, headers=self._headers(message))
            if response.status_code >= 400:
                self._say(
                    f"The gateway refused a message ({message.get('method', 'an answer')}) with the status {response.status_code}."
                )
        except (httpx2.TransportError, TimeoutError) as error:
            self._say(f"The gateway at {self._url} cannot be reached ({type(error).__name__}).")

    async def _renew(self, used: str | None) -> None:
        """Begin a session anew, as the client began the one that is gone; once, however many requests find that it is."""
        async with self._renewing:
            if self._session != used or not self._beginning:
                return
            self._session = None
            answer = await self._client.post(self._url, content=self._beginning, headers=_ACCEPT)
            if answer.status_code != 200:
                raise _SessionGone
            self._session = answer.headers.get(_SESSION)
            await self._send(_INITIALIZED, {})
            self._tell("the gateway had lost the session: it was begun anew")

    async def _overhear(self) -> None:
        """Hear what a server with sessions says unasked (2025-11-25: the stream of GET), for as long as it lets anybody."""
        tries = 0
        while (session := self._session) is not None:
            try:
                async with self._client.stream("GET", self._url, headers=self._headers({})) as response:
                    if 400 <= response.status_code < 500 and self._session == session:
                        return
                    if response.status_code == 200:
                        async for event in httpx2.EventSource(response, max_event_size=MOST_OF_AN_ANSWER):
                            tries = 0
                            if event.event == "message" and event.data:
                                await self._lines.write(_line(event.data.encode()))
            except (httpx2.TransportError, httpx2.SSEError):
                pass  # requests say that it is away
            await anyio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    async def _farewell(self) -> None:
        try:
            await self._client.delete(self._url, headers=self._headers({}))
        except httpx2.TransportError:
            return

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {**_ACCEPT, **self._mirrored.of(message)}
        if _VERSION not in headers and message.get("method") != "initialize":
            if self._session is not None:
                headers[_SESSION] = self._session
            if self._version is not None:
                headers[_VERSION] = self._version
        return headers

    def _say(self, reason: str) -> None:
        """Tell people of a change for the worse, and of the one for the better; not of each request."""
        if reason and reason != self._told:
            self._tell(reason)
        elif self._told and not reason:
            self._tell("the gateway answers again")
        self._told = reason

    async def _fail(self, asked: Id | None, code: int, reason: str) -> None:
        error = {"jsonrpc": "2.0", "id": asked, "error": {"code": code, "message": reason}}
        await self._lines.write(msgspec.json.encode(error))


async def _bounded(response: httpx2.Response) -> bytes:
    """Read an answer. Raises _Unanswered for one that is too long."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MOST_OF_AN_ANSWER:
            raise _Unanswered(f"The answer of the gateway has more than {MOST_OF_AN_ANSWER:,} bytes.")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    """Read a message. Raises _Unanswered for what is none."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Unanswered("What the gateway answered is no message of MCP.", UNREADABLE) from None


def _line(body: bytes) -> bytes:
    """Give a message as one line: in JSON, ends of lines are only ever between values."""
    return body.replace(b"\r", b" ").replace(b"\n", b" ")


def _refusal(asked: Id, response: httpx2.Response, body: bytes) -> dict[str, Any]:
    """Give the error for a request that was refused: the gateway's own, where it said one."""
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = {}
    error = said.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        told = error.get("message") if isinstance(error, dict) else None
        reason = f"The gateway answered with the status {response.status_code}."
        error = {"code": NO_ANSWER, "message": str(told or reason)}
    if response.status_code == 401:
        error = {**error, "message": f"{error.get('message')} The key comes from SWITCHGEAR_API_KEY or --key-file."}
    return {"jsonrpc": "2.0", "id": asked, "error": error}


def _reason(refusal: dict[str, Any]) -> str:
    return str(refusal["error"].get("message", ""))
