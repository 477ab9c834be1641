"""One request, whatever dialect it arrived in."""

from __future__ import annotations

import msgspec

from gateway.core.cached import CacheWish
from gateway.core.caller import Caller
from gateway.core.content import Content, Operation
from gateway.core.items import Json
from gateway.core.known import Known
from gateway.core.prompt_use import PromptUse


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request on its way through the pipeline.

    `body` is what the client sent, byte for byte, and `fields` the same decoded (never to be changed in place): nothing is
    lost. `content` is there when the route needs to look inside, else None and the body travels as it came. `received` is
    the monotonic time of arrival. `session` is what the client says that the call belongs to (its `x-session-id`), `trace` its
    `traceparent` (W3C Trace Context). `headers` are the client's headers that an upstream may see. `background` is what nobody waits for, as the
    lines of a batch: others go before it. `shadow_of` is the id of the call that this one is a copy of, made to compare answers;
    empty for every other. `run` is the id of the run (a stored response) that makes the call, empty where none does. `cache` is what the client asks of the cache, None where it says nothing.
    `known` is what is remembered of the body from an earlier call, None where nothing is.
    `prompt` is the template that `fields` were filled in by, None where it was none of ours.
    An `opened` call goes out by its Items and comes back as events: its body is never passed on, nor is an answer's.
    """

    id: str
    operation: Operation
    dialect: str
    model: str
    stream: bool
    caller: Caller
    received: float
    body: bytes
    fields: dict[str, Json]
    content: Content | None = None
    session: str | None = None
    trace: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    background: bool = False
    shadow_of: str = ""
    cache: CacheWish | None = None
    opened: bool = False
    run: str = ""
    known: Known | None = None
    prompt: PromptUse | None = None

    @property
    def remembered(self) -> Known | None:
        """What is known of the body, as long as the call still says what its body says."""
        known = self.known
        if known is None or known.fields is not self.fields or known.content is not self.content:
            return None
        return known


def opened(call: Call) -> Call:
    """Give the call as one that goes out by its Items, so that its answer comes back as events, never as bytes."""
    return call if call.opened else msgspec.structs.replace(call, opened=True)
