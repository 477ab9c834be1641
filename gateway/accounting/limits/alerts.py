"""Alerts of soft limits on their way out: a bounded queue, a signed POST, tried again with growing pauses. Off every call's path.

The body is JSON. With a secret, the header `x-switchgear-signature` is "t=SECONDS,v1=HEX": HMAC-SHA256 over "SECONDS.BODY", so that
who receives it can tell that it is ours and that it is new.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import structlog
from anyio import Event, create_task_group, sleep

from gateway.accounting.limits.rules import NANO
from gateway.accounting.limits.soft import Notice
from gateway.config.secret import Secret
from gateway.telemetry.metrics import Counter

if TYPE_CHECKING:
    import httpx2

log = structlog.get_logger()

MOST_WAITING = 1000
SENDERS = 4
TRIES = 5
FIRST_PAUSE = 1.0
POST_SECONDS = 10.0

Post = Callable[[str, dict[str, str], bytes], Awaitable[int]]
"""Sends (address, headers, body) and gives the HTTP status. Raises OSError when nothing came back."""

First = Callable[[str, float], Awaitable[bool]]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an alert. `used` and `limit` are in the unit of `count`; dollars for cost. `at` is seconds since 1970."""

    event: str = "limit.soft_reached"
    limit_name: str
    count: str
    window: str
    subject: dict[str, str]
    share: float
    used: float
    limit: float
    at: float


class Alerts:
    """Sends alerts; `run` must be running. What does not fit the queue is counted as failed."""

    def __init__(self, post: Post, *, first_pause: float = FIRST_PAUSE) -> None:
        self._post = post
        self._first_pause = first_pause
        self._waiting: deque[Notice] = deque()
        self._wake = Event()
        self.sent = Counter(
            "switchgear_limit_alerts_total", "Alerts of soft limits, by what became of them.", ("outcome",)
        )

    def take(self, notice: Notice) -> None:
        """Accept one. Never waits."""
        log.warning(
            "limit.soft.reached", limit=notice.rule.name, share=notice.share, used=notice.used, of=notice.rule.limit
        )
        if notice.rule.alert is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.sent.add(("dropped",))
            return
        self._waiting.append(notice)
        self._wake.set()

    async def run(self, first: First) -> None:
        """Send until cancelled. `first` says whether no other replica sends the same."""
        async with create_task_group() as tasks:
            for _ in range(SENDERS):
                tasks.start_soon(self._send_all, first)

    async def _send_all(self, first: First) -> None:
        while True:
            if not self._waiting:
                self._wake = Event() if self._wake.is_set() else self._wake
                await self._wake.wait()
                continue
            notice = self._waiting.popleft()
            if await first(f"alert:{notice.key}", notice.seconds):
                await self._send(notice)

    async def _send(self, notice: Notice) -> None:
        settings = notice.rule.alert
        if settings is None:
            return
        body = msgspec.json.encode(alert_of(notice))
        pause, outcome = self._first_pause, ""
        for attempt in range(TRIES):
            if attempt:
                await sleep(pause)
                pause *= 2
            headers = {"content-type": "application/json", **signature(settings.secret, body, int(notice.at))}
            try:
                status = await self._post(settings.webhook, headers, body)
            except OSError as error:
                outcome = type(error).__name__
            else:
                if 200 <= status < 300:
                    self.sent.add(("sent",))
                    return
                outcome = str(status)
        self.sent.add(("failed",))
        log.warning("limit.alert.failed", limit=notice.rule.name, reason=outcome, tries=TRIES)


def alert_of(notice: Notice) -> Alert:
    """Give what is sent."""
    rule = notice.rule
    unit = NANO if rule.count == "cost" else 1
    return Alert(
        limit_name=rule.name,
        count=rule.count,
        window=rule.in_words,
        subject=notice.subject,
        share=notice.share,
        used=notice.used / unit,
        limit=rule.limit / unit,
        at=notice.at,
    )


def signature(secret: Secret | None, body: bytes, at: int) -> dict[str, str]:
    """Give the header that vouches for a body; none without a secret."""
    if secret is None:
        return {}
    mac = hmac.new(secret.reveal().encode(), b"%d." % at + body, sha256)
    return {"x-switchgear-signature": f"t={at},v1={mac.hexdigest()}"}


class Webhook:
    """A `Post` over HTTP. It follows no redirects and uses no proxy of the environment."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None

    async def __call__(self, address: str, headers: dict[str, str], body: bytes) -> int:
        """Send, and give the status. Raises OSError."""
        import httpx2  # noqa: PLC0415 - heavy, and needed only when there is an alert

        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=POST_SECONDS, trust_env=False, follow_redirects=False)
        try:
            return (await self._client.post(address, headers=headers, content=body)).status_code
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ConnectionError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
