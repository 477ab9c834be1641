"""What follows from a failed try: whom it concerns, whether and when another one makes sense, and how many there may be. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.config.routing_settings import RetrySettings
from gateway.core.errors import (
    ContextLengthExceeded,
    InvalidOutput,
    SwitchgearError,
    UpstreamError,
    UpstreamRefused,
)

Cause = Literal["target", "busy", "credentials", "context", "content", "elsewhere", "call"]
"""Why a try failed.

target       it is broken or away: another target at once, the same one again after a while
busy         it has too much to do: the same, and it is left alone for as long as it asks
credentials  it accepts none of our keys: another target at once, the same one not for this call
context      the prompt is too long for it: one with more room
content      its content policy refuses the call: one with another policy
elsewhere    the call may not go to this target, or cannot; to another it may
call         no target can mend it
"""

_FAULTS = frozenset({408, 425})
_CONTENT_CODES = frozenset(
    {"content_filter", "content_policy_violation", "policy_violation", "responsible_ai_policy_violation"}
)
_CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "model_context_window_exceeded"})
FIRST_RETRIES = 10.0
"""Repeated tries that a model has before it has had any calls, and that it can save up at most for every share of its budget."""


def cause_of(error: SwitchgearError) -> Cause:
    """Give why a try failed."""
    if isinstance(error, ContextLengthExceeded) or error.code in _CONTEXT_CODES:
        return "context"
    if error.code in _CONTENT_CODES:
        return "content"
    if isinstance(error, UpstreamRefused):
        return _of_status(error.upstream_status)
    if isinstance(error, UpstreamError):
        return "target"
    if isinstance(error, InvalidOutput):
        return "elsewhere"
    return "elsewhere" if error.retryable else "call"


def _of_status(status: int) -> Cause:
    if status in (429, 529):
        return "busy"
    if status in (401, 402, 403):
        return "credentials"
    if status >= 500 or status in _FAULTS:
        return "target"
    if status in (404, 409, 410):
        return "elsewhere"
    return "call"


def asked_for(error: SwitchgearError) -> float | None:
    """Give for how many seconds the target itself asked to be left alone; what a child of ours says of its start is no such wish."""
    return error.retry_after if isinstance(error, UpstreamRefused) else None


def back_off(settings: RetrySettings, repeated: int, asked: float | None, chance: Callable[[], float]) -> float | None:
    """Give the seconds to wait before the `repeated`-th repeated try (from 1); None when it is not worth it.

    Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), on top of what the target `asked` for.
    """
    if asked is not None and asked > settings.retry_after:
        return None
    # Never more than a float can double.
    most = min(settings.base * 2.0 ** min(repeated - 1, 60), settings.longest)
    return (asked or 0.0) + most * chance()


class RetryBudget:
    """How many repeated tries there may be: a share of the calls, saved up to a bound (Finagle's retry budget)."""

    __slots__ = ("_most", "left", "share")

    def __init__(self, share: float) -> None:
        self.share = share
        self._most = FIRST_RETRIES if share else 0.0
        self.left = self._most

    def deposit(self) -> None:
        """A call begins."""
        left = self.left + self.share
        self.left = min(self._most, left)

    def withdraw(self) -> bool:
        """Whether there may be another repeated try, which is then taken off."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
