"""Slack's Web API, as far as approvals need it: one call, and what its refusals mean. It knows no approval."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from anyio import Lock

from gateway.config.slack_settings import SlackSettings
from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest, UpstreamError
from gateway.notices.delivery import Undeliverable, Undelivered
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts
from gateway.providers.retry_after import retry_after

_TIMEOUTS: Final = HttpTimeouts(connect=5, first_byte=10, idle=5, total=15)
_MOST_BYTES: Final = 1024 * 1024
_CONNECTIONS: Final = 8
_PAUSE: Final = 30.0
"""Seconds to wait where Slack says that it is too much, but not for how long."""

# What passes by itself, and what an operator mends (a token, an invitation to the channel) while the notice waits.
_PASSING: Final = frozenset(
    {
        "account_inactive", "fatal_error", "internal_error", "invalid_auth", "missing_scope", "not_authed", "not_in_channel",
        "request_timeout", "service_unavailable", "team_added_to_org", "token_expired", "token_revoked",
    }
)  # fmt: skip
_TOO_MUCH: Final = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})


class SlackApi:
    """Calls methods. One that was told to wait is not called before its time, whoever asks for it."""

    def __init__(self, settings: SlackSettings, clock: Clock) -> None:
        self._url = settings.api_url
        self._token = settings.bot_token
        self._clock = clock
        self._client: NativeUpstream | None = None
        self._opening = Lock()
        self._paused: dict[str, float] = {}

    async def call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a method, and give its answer. Raises Undelivered, and Undeliverable, whose reason is Slack's code for it."""
        left = self._paused.get(method, 0.0) - self._clock.monotonic()
        if left > 0:
            msg = "ratelimited"
            raise Undelivered(msg, after=left)
        try:
            response = await (await self._opened()).request(self._request(method, arguments), _TIMEOUTS)
            try:
                body = await response.read_all(_MOST_BYTES)
            finally:
                await response.aclose()
        except (UpstreamError, InvalidRequest) as error:
            raise Undelivered(error.message) from error
        return self._checked(method, response, body)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _opened(self) -> NativeUpstream:
        async with self._opening:
            if self._client is None:
                self._client = NativeUpstream(self._url, connections=_CONNECTIONS)
        return self._client

    def _request(self, method: str, arguments: dict[str, Any]) -> HttpRequest:
        headers = (
            (b"authorization", b"Bearer " + self._token.reveal().encode()),
            (b"content-type", b"application/json; charset=utf-8"),
        )
        return HttpRequest(path=f"/{method}".encode(), headers=headers, body=msgspec.json.encode(arguments))

    def _checked(self, method: str, response: HttpResponse, body: bytes) -> dict[str, Any]:
        if response.status == 429:
            self._pause(method, retry_after(response, now=self._clock.wall()))
        if response.status != 200:
            raise Undelivered(f"Slack answered {response.status}")
        try:
            answer = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            msg = "Slack's answer is not JSON"
            raise Undelivered(msg) from None
        if answer.get("ok") is True:
            return answer
        code = str(answer.get("error"))[:100]
        if code in _TOO_MUCH:
            self._pause(method, retry_after(response, now=self._clock.wall()))
        if code in _PASSING:
            raise Undelivered(code)
        raise Undeliverable(code)

    def _pause(self, method: str, seconds: float | None) -> None:
        after = _PAUSE if seconds is None else seconds
        self._paused[method] = self._clock.monotonic() + after
        msg = "ratelimited"
        raise Undelivered(msg, after=after)
