"""The record of a call: the one source of its metrics, its log line, its span and, later, its ledger row."""

from __future__ import annotations

import msgspec

from gateway.core.decision import Decision
from gateway.core.usage import BesideReason, Usage


class Beside(msgspec.Struct, frozen=True):
    """What a target ("provider/model") used for a call beside the answer that went out, and what that costs; None by an unknown price."""

    target: str
    why: BesideReason
    usage: Usage
    cost_nano: int | None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Everything worth knowing about one finished call, and nothing that was said in it.

    Times: `started_at` is wall-clock seconds since 1970; `duration`, `first_token` (None when none came), and `upstream`
    (waiting for the upstream's first byte) are seconds. `provider` and `served` name the target that answered, or the last
    that was tried (None when there was none); `route` lists the targets tried, in order. `usage` of an
    answer that was cut short is what had been used by then. `cost_nano` is the exact cost in nano-dollars by the prices whose
    version is `prices`, None when a price is unknown; `cost` is the same in US dollars, as near as a float comes to it.
    `guards` holds (guardrail, verdict, seconds, cost in US dollars or None) in order, `found` (kind, how many) of what data
    protection found in the request.
    `decision` says which targets were considered, and what was made of them, `version` which of the model's versions had the call.
    `beside` is what other targets used for the call, which neither `usage` nor `cost` contains. `degraded` is the step of the
    model's `degrade` that answered, where it could not as asked (`error` then says why, if the answer is a static one). `shadow_of`
    is the id of the call that this one was a copy of. `continued` are the targets that went on with an answer that broke off: the
    last is the one that `provider` and `served` name. `structured` says how the answer was kept to the form that was asked for.
    `cache` is how the answer stands to the cache, empty where the model has none, `cache_why` why it did not come from there, `cache_entry`
    the id of the entry that it comes from or is kept under. Of an answer from the cache `usage` and `cost` are zero: `saved` is what a
    target would have used (also for a part of the answer, where the rest was asked), `saved_nano` what that would have cost, None when a price is unknown.
    `run` is the id of the run that made the call, empty where none did. `prompt` is the template that it was made from, as id@version, empty where it was none of ours.
    `parameters` are the sampling parameters as sent. `error` is the error's code, `status` what the client saw (499: it
    left). `trace` is the client's `traceparent`, as sent. `tenant`, `team`, `user` and `tags` are the caller's.
    """

    id: str
    started_at: float
    operation: str
    dialect: str
    stream: bool
    caller: str
    model: str
    provider: str | None
    served: str | None
    route: tuple[str, ...]
    status: int
    duration: float
    first_token: float | None
    upstream: float | None
    usage: Usage | None
    cost: float | None
    finish_reason: str | None
    error: str | None
    parameters: dict[str, float | int | str | bool]
    dropped: tuple[str, ...] = ()
    emulated: tuple[str, ...] = ()
    trace: str | None = None
    tenant: str = ""
    team: str = ""
    user: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    cost_nano: int | None = None
    prices: str = ""
    guards: tuple[tuple[str, str, float, float | None], ...] = ()
    found: tuple[tuple[str, int], ...] = ()
    decision: Decision | None = None
    version: str = ""
    beside: tuple[Beside, ...] = ()
    degraded: str = ""
    shadow_of: str = ""
    continued: tuple[str, ...] = ()
    cache: str = ""
    cache_why: str = ""
    cache_entry: str = ""
    saved: Usage | None = None
    saved_nano: int | None = None
    structured: str = ""
    run: str = ""
    prompt: str = ""

    @property
    def known_model(self) -> str:
        """The model that was asked for, empty where the request never became a call: it may then be any text."""
        return self.model if self.route or self.decision is not None or self.cache else ""
