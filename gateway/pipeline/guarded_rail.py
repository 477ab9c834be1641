"""A guardrail, and the bench on which those of one call judge: within their time, with what is to happen when one fails."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import anyio
import msgspec
import structlog

from gateway.core.call import Call
from gateway.core.errors import ContentBlocked, SwitchgearError, Unavailable
from gateway.protection.judgements import Judgements
from gateway.protection.matching import Match
from gateway.protection.verdict import ALLOW, Verdict

log = structlog.get_logger()

Judge = Callable[[Sequence[str], Call], Awaitable[Verdict]]
"""Judges texts of a call, or of its answer. It may raise SwitchgearError or OSError: it then has failed."""

_WEIGHT = {"allow": 0, "report": 1, "replace": 2, "failed": 3, "block": 4}


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """One check, where it stands, and how.

    `window` is in characters: the longest span that is stopped whole in a stream. `costly`: it is not asked for every piece of
    a stream, but once a window. `action` report lets everything pass. `timeout` is in seconds.
    """

    name: str
    judge: Judge
    when: Literal["input", "output"]
    mode: Literal["buffer", "window", "async"] = "buffer"
    fails: Literal["open", "closed"] = "closed"
    action: Literal["block", "report"] = "block"
    timeout: float = 5.0
    window: int = 256
    costly: bool = False
    match: Match = Match()


class Bench:
    """The judging of one guardrail in one call. What it said is noted once, at the end: the worst verdict, and the sums."""

    def __init__(self, rail: Guardrail, call: Call, judgements: Judgements) -> None:
        self.rail = rail
        self._call = call
        self._judgements = judgements
        self._said = "allow"
        self._seconds = 0.0
        self._cost: float | None = None

    async def judge(self, texts: Sequence[str]) -> Verdict:
        """Give the verdict. Raises Unavailable where the guardrail fails and is to be closed then."""
        begun = time.perf_counter()
        try:
            with anyio.fail_after(self.rail.timeout):
                verdict = await self.rail.judge(texts, self._call)
        except (SwitchgearError, OSError) as error:  # TimeoutError is an OSError
            self._seconds += time.perf_counter() - begun
            self._note("failed", type(error).__name__)
            if self.rail.fails == "open" or self.rail.action == "report":
                return ALLOW
            msg = f"The guardrail {self.rail.name!r} could not be asked, and nothing passes without it."
            raise Unavailable(msg) from error
        self._seconds += time.perf_counter() - begun
        if verdict.cost is not None:
            self._cost = (self._cost or 0.0) + verdict.cost
        if verdict.decision == "allow":
            return verdict
        if self.rail.action == "report":
            self._note("report", verdict.reason)
            return ALLOW
        self._note(verdict.decision, verdict.reason)
        return verdict

    def refusal(self) -> ContentBlocked:
        """Give the error for a request that does not pass."""
        return ContentBlocked(f"The request was stopped by the guardrail {self.rail.name!r}.")

    def close(self) -> None:
        """Note what was said."""
        self._judgements.judged(self._call.id, (self.rail.name, self._said, self._seconds, self._cost))

    def _note(self, verdict: str, reason: str) -> None:
        if _WEIGHT[verdict] > _WEIGHT[self._said]:
            self._said = verdict
            log.info("guardrail.spoke", call=self._call.id, guardrail=self.rail.name, verdict=verdict, reason=reason)
