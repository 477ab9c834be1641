"""The guardrail that asks somebody else over HTTP: texts out, signed, and a verdict back.

POST {"call", "when", "model", "tenant", "texts": [...]} -> {"verdict": "allow" | "block" | "replace", "reason"?, "texts"?, "cost"?}
The signature is `x-switchgear-signature: t=<seconds>,v1=<hex>`, HMAC-SHA-256 over "<seconds>.<body>".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from gateway.core.call import Call
from gateway.core.errors import UpstreamBroken
from gateway.protection.verdict import Edit, Verdict
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts, Upstream

_LARGEST_ANSWER = 4 * 1024 * 1024
_REASON_CHARS = 200


class _Answer(msgspec.Struct, frozen=True):
    verdict: Literal["allow", "block", "replace"]
    reason: str = ""
    texts: tuple[str, ...] = ()
    cost: float | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class HttpJudge:
    """Asks one service. `secret` signs what is sent; `wall` gives seconds since 1970; `timeout` is in seconds."""

    def __init__(
        self,
        upstream: Upstream,
        path: bytes,
        *,
        when: str,
        timeout: float,
        wall: Callable[[], float],
        secret: bytes | None = None,
    ) -> None:
        self._upstream = upstream
        self._path = path
        self._when = when
        self._timeouts = HttpTimeouts(connect=timeout, first_byte=timeout, idle=timeout, total=timeout)
        self._wall = wall
        self._secret = secret

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts. Raises UpstreamError when the service cannot be asked, or says what is no verdict."""
        asked = {"call": call.id, "when": self._when, "model": call.model, "tenant": call.caller.tenant, "texts": texts}
        body = msgspec.json.encode(asked)
        headers = ((b"content-type", b"application/json"), *self._signature(body))
        response = await self._upstream.request(
            HttpRequest(path=self._path, headers=headers, body=body), self._timeouts
        )
        try:
            if response.status != 200:
                msg = f"The guardrail's service answered with status {response.status}."
                raise UpstreamBroken(msg)
            said = await response.read_all(_LARGEST_ANSWER)
        finally:
            await response.aclose()
        return _verdict(said, texts)

    def _signature(self, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
        if self._secret is None:
            return ()
        now = int(self._wall())
        digest = hmac.new(self._secret, b"%d." % now + body, hashlib.sha256).hexdigest()
        return ((b"x-switchgear-signature", f"t={now},v1={digest}".encode()),)


def _verdict(said: bytes, texts: Sequence[str]) -> Verdict:
    try:
        answer = _decode(said)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        msg = "The guardrail's service said what is no verdict."
        raise UpstreamBroken(msg) from error
    if answer.verdict != "replace":
        return Verdict(decision=answer.verdict, reason=answer.reason[:_REASON_CHARS], cost=answer.cost)
    if len(answer.texts) != len(texts):
        msg = "The guardrail's service replaced another number of texts than it was given."
        raise UpstreamBroken(msg)
    edits = tuple(() if new == old else (Edit(0, len(old), new),) for old, new in zip(texts, answer.texts, strict=True))
    return Verdict(decision="replace", reason=answer.reason[:_REASON_CHARS], edits=edits, cost=answer.cost)
