"""What a batch needs from above: somebody who answers one line as the HTTP endpoint of its address would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from gateway.core.caller import Caller


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one line: as over HTTP. `request_id` is the call's id; `retry_after` is in seconds, where it was said."""

    status: int
    request_id: str
    body: bytes
    retry_after: float | None = None


Ask = Callable[[str, bytes], Awaitable[Answer]]
"""Answers a body sent to a path (such as /v1/embeddings). It raises nothing: errors are answers."""

AskAs = Callable[[Caller], Ask]
"""Gives what answers in the name of a caller, with the rights that the caller has at the moment of each call."""

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings")
"""Where the lines of a batch may go."""
