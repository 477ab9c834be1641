"""Makes the one record of a call, whatever happens to it. What is done with records is somebody else's business."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from gateway.core.cached import HITS
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.decision import Decision
from gateway.core.errors import InvalidOutput, SwitchgearError, Unavailable
from gateway.core.events import (
    Cached,
    Continued,
    CutShort,
    Decided,
    Degraded,
    Event,
    Finished,
    Spent,
    Started,
    Tried,
    Verbatim,
)
from gateway.core.known import Hit
from gateway.core.record import Beside, Record
from gateway.core.responder import NOTHING, Lane, Responder, Send, give, lane_of, whole_of
from gateway.core.target import Target
from gateway.core.usage import BYTES_A_TOKEN, NO_USAGE, Usage
from gateway.pipeline.cached_headers import cache_headers
from gateway.protection.judgements import UNJUDGED, Judged

TakeRecord = Callable[[Record], None]
Cost = Callable[[str, Usage], int | None]
"""Gives whole nano-dollars for usage at a target ("provider/model"), None when a price is unknown."""

TakeJudged = Callable[[str], Judged]
"""Gives what data protection noted about a call, and forgets it."""

OpenEntry = Callable[[Call, tuple[str, ...]], None]
"""Notes a call before it leaves, with the targets that it may reach: if the process dies, it is not forgotten."""

PARAMETERS = (
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens", "seed", "n", "presence_penalty",
    "frequency_penalty", "reasoning_effort", "parallel_tool_calls", "service_tier", "dimensions", "encoding_format", "top_n",
)  # fmt: skip

DEGRADED_HEADER = b"x-switchgear-degraded"
_MADE_OF_TOKENS = ("generate", "embed", "rerank")
_MADE_UP = ("stale", "static")
"""Steps of `degrade` that are no answers of a model to this call."""
NANO = 1_000_000_000  # nano-dollars in a dollar

_WORD = re.compile(r"[a-z0-9_-]{1,16}").fullmatch


class Recorded:
    """A Stage: hands over one Record when the call is over, also when it failed or its client left."""

    def __init__(
        self,
        inner: Responder,
        *,
        targets: Sequence[Target],
        take: TakeRecord,
        cost: Cost,
        clock: Clock,
        prices: str = "",
        open_entry: OpenEntry | None = None,
        take_judged: TakeJudged | None = None,
    ) -> None:
        self._inner = inner
        self._take_judged = take_judged
        self._targets = tuple(target.name for target in targets)
        self._take = take
        self._cost = cost
        self._prices = prices
        self._open_entry = open_entry
        self._clock = clock

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder: what needs no waiting, before this returns."""
        watch = Watch(send, self._clock.monotonic)
        if self._open_entry is not None:
            self._open_entry(call, self._targets)
        try:
            rest = self._inner(call, watch)
        except BaseException as exc:
            self._close(call, watch, exc)
            raise
        if rest is NOTHING:
            self._take(self._record_success(call, watch))
            return NOTHING
        return self._wait(rest, call, watch)

    async def _wait(self, rest: Awaitable[None], call: Call, watch: Watch) -> None:
        try:
            await rest
        except BaseException as exc:
            self._close(call, watch, exc)
            raise
        self._take(self._record_success(call, watch))

    def _close(self, call: Call, watch: Watch, failure: BaseException) -> None:
        """The call has failed: hand over its record."""
        reason: SwitchgearError | None = None
        if isinstance(failure, SwitchgearError):
            reason = failure
            if isinstance(failure, InvalidOutput):
                watch.structured = failure.structured
        elif isinstance(failure, asyncio.CancelledError):
            reason = _reason(failure)
            # Who left while waiting for a place has asked nobody yet.
            asked = watch.asked(self._targets[0]) is not None and not watch.hit
            if watch.used is None and asked and call.operation in _MADE_OF_TOKENS:
                # Most upstreams bill what they have read although nobody takes the answer.
                watch.used = Usage(input=len(call.body) // BYTES_A_TOKEN, estimated=True)
        error, status = ("internal_error", 500) if reason is None else (reason.code, reason.status)
        self._take(self._record(call, watch, error, status))

    def _record_success(self, call: Call, watch: Watch) -> Record:
        """Record an answer: as the last time, where the same caller has had the same one from the cache for the same body."""
        cached, finished = watch.cached, watch.finished
        if cached is None or not cached.entry or watch.eventful or self._take_judged is not None:
            return self._record(call, watch, None, 200)
        known = call.remembered
        if known is None or finished is None or finished.error is not None or call.trace is not None or call.shadow_of:
            return self._record(call, watch, None, 200)
        hit = known.hit
        if hit is None or hit.stage is not self or hit.caller is not call.caller or not hit.is_from(cached):
            record = self._record(call, watch, None, 200)
            if watch.hit and watch.started is not None:
                known.hit = Hit(self, call.caller, cached, record)
            return record
        duration = self._clock.monotonic() - call.received
        first = None if watch.first_at is None else watch.first_at - call.received
        began = self._clock.wall() - duration
        return replace(hit.record, id=call.id, started_at=began, duration=duration, first_token=first)

    def _record(self, call: Call, watch: Watch, error: str | None, status: int) -> Record:
        started, finished = watch.started, watch.finished
        usage = watch.used if finished is None else finished.usage or finished.estimate
        target = watch.asked(self._targets[0]) if started is None else started.target
        route = watch.route(target, self._targets)
        if watch.continued:
            target = watch.continued[-1]
        if finished is not None and finished.error is not None:
            error = error or finished.error
        degraded = watch.degraded if started is not None else None
        provider, _, served = (target or "").partition("/")
        monotonic = self._clock.monotonic()
        duration = monotonic - call.received
        fields = call.fields
        cached, saved, saved_nano = watch.cached, None, None
        hit = started is not None and watch.hit
        if started is not None and cached is not None and cached.saved is not None:
            saved, saved_nano = cached.saved, self._cost(started.target, cached.saved)
        if hit:
            # What the answer shows is what it cost the first time.
            usage = NO_USAGE
        nano = self._cost_of(target, usage, hit=hit)
        if degraded is not None and degraded.step in _MADE_UP:
            # The client got an answer, and the model failed all the same.
            error, nano = error or degraded.error, 0
        judged = UNJUDGED if self._take_judged is None else self._take_judged(call.id)
        return Record(
            id=call.id,
            started_at=self._clock.wall() - duration,
            operation=call.operation,
            dialect=call.dialect,
            stream=call.stream,
            caller=call.caller.id,
            model=call.model,
            provider=provider or None,
            served=served or None,
            route=route,
            status=status,
            duration=duration,
            first_token=None if watch.first_at is None else watch.first_at - call.received,
            upstream=None if started is None else started.waited,
            usage=usage,
            cost=None if nano is None else nano / NANO,
            finish_reason=None if finished is None else finished.reason,
            error=error,
            parameters={name: fields[name] for name in PARAMETERS if name in fields and _is_telling(fields[name])},
            dropped=() if started is None else started.dropped,
            emulated=() if started is None else started.emulated,
            trace=call.trace,
            tenant=call.caller.tenant,
            team=call.caller.team,
            user=call.caller.user,
            tags=call.caller.tags,
            cost_nano=nano,
            prices=self._prices,
            guards=judged.guards,
            found=judged.found,
            decision=watch.decision,
            version="" if watch.decision is None else watch.decision.version,
            degraded="" if degraded is None else degraded.step,
            shadow_of=call.shadow_of,
            beside=tuple([self._beside(each) for each in watch.spent]) if watch.spent else (),
            continued=tuple(watch.continued),
            cache="" if cached is None else cached.status,
            cache_why="" if cached is None else cached.why,
            cache_entry="" if cached is None else cached.entry,
            saved=saved,
            saved_nano=saved_nano,
            structured=watch.structured or ("" if started is None else started.structured),
            run=call.run,
            prompt="" if call.prompt is None else call.prompt.name,
        )

    def _cost_of(self, target: str | None, usage: Usage | None, *, hit: bool) -> int | None:
        if hit:
            return 0
        return None if usage is None or target is None else self._cost(target, usage)

    def _beside(self, spent: Spent) -> Beside:
        return Beside(spent.target, spent.why, spent.usage, self._cost(spent.target, spent.usage))


class Watch:
    """Notes what the record needs while events pass. After the first piece of content it costs next to nothing.

    `limits`, where they are set, take the place of the upstream's in the answer's start.
    """

    __slots__ = (
        "_now",
        "_send",
        "cached",
        "continued",
        "decision",
        "degraded",
        "eventful",
        "finished",
        "first_at",
        "following",
        "limits",
        "spent",
        "started",
        "structured",
        "tried",
        "used",
    )

    def __init__(self, send: Send, now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self.limits: tuple[tuple[bytes, bytes], ...] = ()
        self.started: Started | None = None
        self.finished: Finished | None = None
        self.first_at: float | None = None
        self.decision: Decision | None = None
        self.degraded: Degraded | None = None
        self.cached: Cached | None = None
        self.tried: list[str] = []
        self.spent: list[Spent] = []
        self.continued: list[str] = []
        self.following: str | None = None
        self.used: Usage | None = None
        self.structured = ""
        self.eventful = False  # something came beside the answer

    def __call__(self, event: Event) -> Awaitable[None]:
        """Note it, and pass it on."""
        kind = type(event)
        if kind is Finished:
            self.finished = event  # type: ignore[assignment]  # `kind is` does not narrow; isinstance costs more
        elif kind is Started:
            if self.first_at is None:
                event = self.started = self._headed(event)  # type: ignore[arg-type]  # as above
        elif kind is CutShort:
            self.eventful = True
            self.used = event.usage  # type: ignore[union-attr]  # as above
        elif kind is Spent or kind is Continued:
            return self._more(event)
        elif self.first_at is None:
            if kind is Cached:
                self.cached = event  # type: ignore[assignment]  # as above
                return NOTHING
            if isinstance(event, (Decided, Degraded, Tried)):
                self._note(event)
                return NOTHING
            if not (kind is Verbatim and _only_comments(event.data)):  # type: ignore[union-attr]  # as above
                self.first_at = self._now()
        return self._send(event)

    def whole(self, told: Cached, started: Started, data: Verbatim, finished: Finished) -> Awaitable[None]:
        """Note a whole answer, and pass it on."""
        self.cached = told
        started = self.started = self._headed(started)
        self.first_at, self.finished = self._now(), finished
        take = whole_of(self._send)
        if take is None:
            return give(self._send, (started, data, finished))
        return take(told, started, data, finished)

    def _headed(self, started: Started) -> Started:
        if self.limits:
            started = replace(started, limits=self.limits)
        if self.decision is not None and self.decision.version:
            started = replace(started, version=self.decision.version)
        if self.degraded is not None:
            started = replace(started, headers=(*started.headers, (DEGRADED_HEADER, self.degraded.step.encode())))
        if self.cached is not None:
            started = replace(started, headers=(*started.headers, *cache_headers(self.cached)))
        return started

    def _note(self, event: Decided | Degraded | Tried) -> None:
        self.eventful = True
        if isinstance(event, Decided):
            self.decision = event.decision
        elif isinstance(event, Degraded):
            self.degraded = event
        else:
            self.tried.append(event.target)
            self.following = event.following

    def _more(self, event: Event) -> Awaitable[None]:
        """Other targets have a part in it."""
        self.eventful = True
        if isinstance(event, Spent):
            self.spent.append(event)
            return NOTHING
        if isinstance(event, Continued):
            self.continued.append(event.target)
            self.decision = event.decision or self.decision
        return self._send(event)

    def asked(self, otherwise: str) -> str | None:
        """Give the target whose answer was waited for last; `otherwise` when it was not decided yet, None when there was none."""
        if self.following is not None:
            return self.following
        return otherwise if self.decision is None else self.decision.chosen

    @property
    def hit(self) -> bool:
        """Whether the answer comes from the cache, or is waited for there."""
        return self.cached is not None and self.cached.status in HITS

    def route(self, target: str | None, otherwise: Sequence[str]) -> tuple[str, ...]:
        """Give the targets that were tried, in order. `target` is the one that answered."""
        if self.hit:
            target = self.asked(otherwise[0]) if self.degraded is not None else None
        return (*self.tried, target, *self.continued) if target else tuple(self.tried)

    def lane(self) -> Lane | None:
        """Nothing more is noted between the first content and the end."""
        return None if self.first_at is None else lane_of(self._send)


def _only_comments(data: bytes) -> bool:
    """Whether a piece of a verbatim stream says nothing: servers write comments while they read a long prompt."""
    return data.startswith(b":") and b"data:" not in data


def _reason(cancelled: asyncio.CancelledError) -> SwitchgearError:
    """Who ends a call on purpose cancels with the error that its client gets; anybody else, because the server ends."""
    said = cancelled.args[0] if cancelled.args else None
    return said if isinstance(said, SwitchgearError) else Unavailable("The server ended the call.")


def _is_telling(value: object) -> bool:
    """Whether it is a number, or a word as parameters have them. Any other text may be something that was said."""
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and _WORD(value) is not None)
