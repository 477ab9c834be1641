"""Makes ledger rows: of records, and of calls of which nothing more was ever heard. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from gateway.accounting.ledger_lines import Opened
from gateway.core.cached import HITS
from gateway.core.call import Call
from gateway.core.record import Record
from gateway.core.usage import BYTES_A_TOKEN, Usage
from gateway.stores.ledger import LedgerRow

INTERRUPTED: Final = "interrupted"
"""The error of a row whose call the death of the process ended."""

KINDS: Final = {
    "generate": "call", "embed": "embedding", "rerank": "rerank", "moderate": "moderation", "count_tokens": "count",
}  # fmt: skip
CACHE_HIT: Final = "cache_hit"
"""The kind of the row of a call, of whatever operation, that was answered from the cache."""
SHADOW: Final = "shadow"
"""The kind of the row of a copy, which counts for nobody's limits."""
_MADE_OF_TOKENS: Final = ("generate", "embed", "rerank")
_AGENT: Final = "agent/"
_MOST_TOKENS: Final = 10**12
_MOST_NANO: Final = 10**16


class Pricing(Protocol):
    """What calls cost by the prices in force."""

    version: str

    def nano(self, target: str, usage: Usage) -> int | None:
        """Give nano-dollars, None when a price is unknown."""


def row_of(record: Record) -> LedgerRow:
    """Give the row of a finished call.

    A count of tokens that cannot be true (over a million millions) is unknown: one such row would spoil every sum.
    """
    usage = record.usage
    if usage is not None and usage.total > _MOST_TOKENS:
        usage = None
    cost = record.cost_nano if usage is not None and (record.cost_nano or 0) <= _MOST_NANO else None
    tags = dict(record.tags)
    return LedgerRow(
        id=record.id,
        kind=_kind(record),
        started_at=record.started_at,
        status=record.status,
        tenant=record.tenant,
        team=record.team,
        user=record.user,
        key=record.caller,
        tags=tags,
        agent=_agent(record.known_model, tags),
        model=record.known_model,
        provider=record.provider or "",
        served=record.served or "",
        route=record.route,
        dialect=record.dialect,
        operation=record.operation,
        stream=record.stream,
        error=record.error or "",
        finish_reason=record.finish_reason or "",
        duration=record.duration,
        first_token=record.first_token,
        input=None if usage is None else usage.input,
        cache_read=None if usage is None else usage.cache_read,
        cache_write=None if usage is None else usage.cache_write,
        cache_write_1h=None if usage is None else usage.cache_write_1h,
        output=None if usage is None else usage.output,
        reasoning=None if usage is None else usage.reasoning,
        estimated=usage is not None and usage.estimated,
        cost_nano=cost,
        prices=record.prices,
        parent=record.shadow_of,
        decision=record.decision,
        cache=record.cache,
        cache_entry=record.cache_entry,
        saved_tokens=None if record.saved is None else min(record.saved.total, _MOST_TOKENS),
        saved_nano=None if record.saved_nano is None else min(record.saved_nano, _MOST_NANO),
        run=record.run,
        prompt=record.prompt,
    )


def _kind(record: Record) -> str:
    if record.shadow_of:
        return SHADOW
    return (
        CACHE_HIT
        if record.cache in HITS and record.saved is not None
        else KINDS.get(record.operation, record.operation)
    )


def rows_beside(record: Record) -> Iterator[LedgerRow]:
    """Yield the rows of what a call used beside its answer."""
    for number, each in enumerate(record.beside, start=1):
        provider, _, served = each.target.partition("/")
        yield msgspec.structs.replace(
            row_of(
                msgspec.structs.replace(
                    record,
                    provider=provider,
                    served=served,
                    usage=each.usage,
                    cost_nano=each.cost_nano,
                    route=(each.target,),
                    status=200,
                    error=None,
                    finish_reason=None,
                    first_token=None,
                    decision=None,
                    cache="",
                    cache_entry="",
                    saved=None,
                    saved_nano=None,
                )
            ),
            id=f"{record.id}.{number}",
            kind=each.why,
            parent=record.id,
        )


def opened_of(call: Call, targets: tuple[str, ...], now: float) -> Opened:
    """Give what the spool keeps of a call that is about to reach an upstream; `now` is seconds since 1970."""
    caller = call.caller
    return Opened(
        id=call.id,
        kind=SHADOW if call.shadow_of else KINDS[call.operation],
        started_at=now,
        operation=call.operation,
        dialect=call.dialect,
        stream=call.stream,
        model=call.model,
        targets=targets,
        tenant=caller.tenant,
        team=caller.team,
        user=caller.user,
        key=caller.id,
        tags=caller.tags,
        estimate=len(call.body) // BYTES_A_TOKEN if call.operation in _MADE_OF_TOKENS else None,
        parent=call.shadow_of,
        run=call.run,
        prompt="" if call.prompt is None else call.prompt.name,
    )


def interrupted_row(opened: Opened, pricing: Pricing) -> LedgerRow:
    """Give the row of a call that its process did not survive.

    The upstream has most likely read the prompt, and bills it: its tokens are estimated, at the first target. How much of an
    answer there was, nobody knows.
    """
    target = opened.targets[0] if opened.targets else ""
    provider, _, served = target.partition("/")
    usage = None if opened.estimate is None else Usage(input=opened.estimate, estimated=True)
    tags = dict(opened.tags)
    return LedgerRow(
        id=opened.id,
        kind=opened.kind,
        started_at=opened.started_at,
        status=500,
        tenant=opened.tenant,
        team=opened.team,
        user=opened.user,
        key=opened.key,
        tags=tags,
        agent=_agent(opened.model, tags),
        model=opened.model,
        provider=provider,
        served=served,
        route=opened.targets,
        dialect=opened.dialect,
        operation=opened.operation,
        stream=opened.stream,
        error=INTERRUPTED,
        input=None if usage is None else usage.input,
        cache_read=None if usage is None else 0,
        cache_write=None if usage is None else 0,
        cache_write_1h=None if usage is None else 0,
        output=None if usage is None else 0,
        reasoning=None if usage is None else 0,
        estimated=usage is not None,
        cost_nano=None if usage is None else pricing.nano(target, usage),
        prices=pricing.version,
        parent=opened.parent,
        run=opened.run,
        prompt=opened.prompt,
    )


def _agent(model: str, tags: dict[str, str]) -> str:
    """The agent that was asked for, or in whose name the call was made."""
    return model.removeprefix(_AGENT) if model.startswith(_AGENT) else tags.get("agent", "")
