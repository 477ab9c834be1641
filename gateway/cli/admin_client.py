"""How the administrative commands reach a gateway: one request over HTTP each, an answer or a reason in one line.

There is no other way in: what a command may do is decided by the server, for the key that it is given.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import anyio
import click
import msgspec
from anyio.from_thread import start_blocking_portal

from gateway.cli.address import local_url_of
from gateway.cli.gateway_url import find_running
from gateway.cli.screen import one_line
from gateway.config import ConfigError, peek, read_environment
from gateway.core.errors import SwitchgearError
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts

_TIMEOUTS = HttpTimeouts(connect=5, first_byte=60, idle=60, total=600)
_FOLLOWING = HttpTimeouts(connect=5, first_byte=60, idle=3600, total=1e9)
_MOST = 1 << 28
"""Bytes of an answer: an export of many rows."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever its status was."""

    status: int
    body: bytes

    def document(self) -> Any:
        """Give the JSON. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)


class AdminClient:
    """Asks one gateway. `url` None stands for the one that runs where `config` says. Every failure ends the command."""

    def __init__(self, *, config: Path, url: str | None, key: str | None) -> None:
        self._config = config
        self._url = url
        self._key = key

    def ask(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """Give the JSON of a good answer; print the error of any other and exit with 1."""
        answer = self.fetch(method, path, body=body, query=query)
        try:
            return answer.document()
        except (msgspec.DecodeError, UnicodeDecodeError):
            fail("What answered is no Switchgear gateway: its answer is not JSON.")

    def fetch(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Give a good answer as it came; print the error of any other and exit with 1."""
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        target = path + (f"?{urlencode(given)}" if given else "")
        try:
            answer = anyio.run(self._exchange, method, target, None if body is None else msgspec.json.encode(body))
        except (ConfigError, SwitchgearError) as error:
            fail(str(error))
        if answer.status >= 400:
            fail(_reason(answer, keyed=self._key is not None))
        return answer

    def lines(self, path: str, *, query: Mapping[str, Any] | None = None) -> Iterator[str]:
        """Give the lines of a good answer as they come; print the error of any other and exit with 1."""
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        target = path + (f"?{urlencode(given)}" if given else "")
        decode, waiting = codecs.getincrementaldecoder("utf-8")("replace").decode, ""
        try:
            url = self._url or anyio.run(self._running)
            with (
                start_blocking_portal() as portal,
                portal.wrap_async_context_manager(self._opened(url, target)) as found,
            ):
                while piece := portal.call(found.read):
                    *whole, waiting = (waiting + decode(piece)).split("\n")
                    yield from whole
        except* (ConfigError, SwitchgearError) as errors:
            fail(str(_first(errors)))

    @asynccontextmanager
    async def _opened(self, url: str, target: str) -> AsyncIterator[HttpResponse]:
        """Open a good answer. Raises SwitchgearError for any other."""
        client = NativeUpstream(url, connections=1)
        headers = () if self._key is None else ((b"authorization", b"Bearer " + self._key.encode()),)
        request = HttpRequest(method=b"GET", path=target.encode(), headers=headers)
        try:
            response = await client.request(request, _FOLLOWING)
            try:
                if response.status >= 400:
                    answer = Answer(status=response.status, body=await response.read_all(_MOST))
                    raise SwitchgearError(_reason(answer, keyed=self._key is not None))
                yield response
            finally:
                await response.aclose()
        finally:
            await client.aclose()

    async def _exchange(self, method: str, target: str, body: bytes | None) -> Answer:
        client = NativeUpstream(self._url or await self._running(), connections=1)
        headers = [] if self._key is None else [(b"authorization", b"Bearer " + self._key.encode())]
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        request = HttpRequest(method=method.encode(), path=target.encode(), headers=tuple(headers), body=body or b"")
        try:
            response = await client.request(request, _TIMEOUTS)
            read = await response.read_all(_MOST)
            await response.aclose()
        finally:
            await client.aclose()
        return Answer(status=response.status, body=read)

    async def _running(self) -> str:
        settings = peek(self._config, read_environment())
        url = await find_running(settings)
        if url is None:
            where = local_url_of(settings.server.host, settings.server.port)
            fail(f"No gateway runs at {where}: start it with `switchgear serve`, or name one with --url.")
        return url


def object_path(family: str, identifier: str, *more: str) -> str:
    """Give the path of one object; its id is a single segment, whatever it holds."""
    if identifier in ("", ".", ".."):
        fail("An id cannot be empty, . or ..")
    return "/".join((f"/admin/{family}", quote(identifier, safe=""), *more))


def fail(message: str) -> NoReturn:
    """Print one line to standard error and exit with 1."""
    click.echo(one_line(message), err=True)
    sys.exit(1)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    param: str | None = None
    code: str | None = None


class _Refusal(msgspec.Struct, frozen=True, kw_only=True):
    error: _Error


def _reason(answer: Answer, *, keyed: bool) -> str:
    try:
        error = msgspec.json.decode(answer.body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"The answer has status {answer.status} and no reason: is this a Switchgear gateway?"
    if answer.status in (401, 403) and not keyed:
        return f"{error.message} Name a key with --key or the variable SWITCHGEAR_ADMIN_KEY."
    return error.message


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
