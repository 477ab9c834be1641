"""Asks a server again and again whether it is well. What follows from that is routing's business; calls never wait for it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import anyio
import structlog

from gateway.config.health_settings import HealthCheckSettings
from gateway.core.errors import SwitchgearError, UpstreamRefused
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts, Upstream
from gateway.providers.provider import Health

log = structlog.get_logger()

SPREAD: Final = 0.2
"""The share of its interval by which a check may come early, so that replicas do not check all at once."""
_ALIVE: Final = (429, 529)  # it has too much to do, and says so

Ask = Callable[[], Awaitable[None]]
"""Asks once. Raises SwitchgearError when the server is not well."""


class Probing:
    """The health checks of one server. `sleep` and `chance` (from 0 to 1) are time and chance."""

    def __init__(
        self,
        provider: str,
        settings: HealthCheckSettings,
        ask: Ask,
        close: Callable[[], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.fault: str | None = None
        """Why the server is not well; None when it is, or nobody knows yet."""
        self._provider = provider
        self._settings = settings
        self._ask = ask
        self._close = close
        self._sleep = sleep
        self._chance = chance
        self._row = 0
        self._scope = anyio.CancelScope()

    def health(self) -> Health:
        """Tell what the last checks say."""
        return Health() if self.fault is None else Health(state="failed", detail=self.fault)

    async def run(self) -> None:
        """Check until `aclose`."""
        with self._scope:
            await self._sleep(self._settings.every * SPREAD * self._chance())
            while True:
                await self.check()
                await self._sleep(self._settings.every * (1 - SPREAD * self._chance()))

    async def check(self) -> None:
        """Ask once, and note what came of it."""
        settings = self._settings
        try:
            await self._ask()
        except SwitchgearError as error:
            if self.fault is not None:
                self._row, self.fault = 0, _said(error)
                return
            self._row += 1
            if self._row >= settings.failures:
                self._row, self.fault = 0, _said(error)
                log.warning("provider.health_check_failed", provider=self._provider, reason=error.message)
            return
        if self.fault is None:
            self._row = 0
            return
        self._row += 1
        if self._row >= settings.successes:
            self._row, self.fault = 0, None
            log.info("provider.well_again", provider=self._provider)

    async def aclose(self) -> None:
        """End the checks."""
        self._scope.cancel()
        await self._close()


class Get:
    """Asks by GET: well is what answers 2xx in time."""

    def __init__(
        self, upstream: Upstream, path: bytes, headers: Callable[[], tuple[tuple[bytes, bytes], ...]], seconds: float
    ) -> None:
        self._upstream = upstream
        self._path = path
        self._headers = headers
        self._limits = HttpTimeouts(connect=seconds, first_byte=seconds, idle=seconds, total=seconds)

    async def __call__(self) -> None:
        """Ask. Raises UpstreamError."""
        request = HttpRequest(method=b"GET", path=self._path, headers=self._headers())
        response = await self._upstream.request(request, self._limits)
        status = response.status
        # What it says beside its status nobody needs: what has not come yet need not come.
        await response.aclose()
        if not 200 <= status < 300 and status not in _ALIVE:
            path = self._path.decode("latin-1")
            raise UpstreamRefused(f"it answered {status} to GET {path}", upstream_status=status)


def split_root(base_url: str) -> tuple[str, str]:
    """Give the address of a server's root, and the path that a base address has below it."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _said(error: SwitchgearError) -> str:
    return f"its health check fails: {error.message}"
