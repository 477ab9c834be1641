"""Tells programs of approvals: a signed POST with what there is to see. It follows no redirect.

The header `x-switchgear-signature` is "t=SECONDS,v1=HEX", HMAC-SHA256 over "SECONDS.BODY". Whom it is for compares it with its
own, refuses old times, and knows what it has taken already by the event's `id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gateway.accounting.limits.alerts import signature
from gateway.config.approval_settings import WebhookSettings
from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest, UpstreamError
from gateway.notices.approval_view import approval_view
from gateway.notices.delivery import Undeliverable, Undelivered
from gateway.notices.public_address import public_address
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from gateway.providers.retry_after import retry_after
from gateway.stores.approvals import ApprovalStore
from gateway.stores.outbox import Letter

_TIMEOUTS: Final = HttpTimeouts(connect=5, first_byte=10, idle=5, total=15)
_MOST_BYTES: Final = 65_536


class Webhooks:
    """Delivers letters of kind `webhook`: `webhook` names the setting, `approval` what it is about, `event` what happened."""

    def __init__(self, settings: Mapping[str, WebhookSettings], approvals: ApprovalStore, clock: Clock) -> None:
        self._settings = settings
        self._approvals = approvals
        self._clock = clock

    async def __call__(self, letter: Letter) -> None:
        """Deliver one."""
        settings = self._settings.get(str(letter.body.get("webhook")))
        if settings is None:
            msg = "there is no such webhook any more"
            raise Undeliverable(msg)
        identifier = str(letter.body.get("approval"))
        approval = await self._approvals.find(None, identifier)
        data: dict[str, Any] = {"object": "approval", "id": identifier, "state": "cancelled"}
        if approval is not None:
            data = approval_view(approval, await self._approvals.votes(identifier))
        event = {"id": letter.dedupe, "type": letter.body.get("event"), "data": data}
        await self._post(settings, msgspec.json.encode(event))

    async def _post(self, settings: WebhookSettings, body: bytes) -> None:
        parts = urlsplit(settings.url)
        locate = None if settings.private else public_address
        client = NativeUpstream(f"{parts.scheme}://{parts.netloc}", connections=1, locate=locate)
        signed = signature(settings.secret, body, int(self._clock.wall()))
        headers = (
            (b"content-type", b"application/json"),
            *((name.encode(), value.encode()) for name, value in signed.items()),
        )
        try:
            response = await client.request(
                HttpRequest(path=(parts.path or "/").encode(), headers=headers, body=body), _TIMEOUTS
            )
            try:
                await response.read_all(_MOST_BYTES)
            finally:
                await response.aclose()
        except (UpstreamError, InvalidRequest) as error:
            raise Undelivered(error.message) from error
        finally:
            await client.aclose()
        if not 200 <= response.status < 300:
            raise Undelivered(f"it answered {response.status}", after=retry_after(response, now=self._clock.wall()))
