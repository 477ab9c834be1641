"""Compares a provider's invoice with the ledger, by day and model, and says where they differ. Pure: it reads no file.

The ledger's side is what `UsageQuery(by=("day", "served"))` gives for the provider, in the time zone that the invoice uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from gateway.accounting.invoice import InvoiceLine
from gateway.accounting.price import NANO
from gateway.stores.ledger import UsageRow

Verdict = Literal["agrees", "differs", "only_invoiced", "only_in_ledger"]


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as the same: a difference up to `relative` of the invoice's figure, or up to the absolute one."""

    relative: float = 0.001
    nano: int = NANO // 100
    tokens: int = 100


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One day and model: both sides' figures. None is a figure that a side does not give.

    `unpriced` counts calls of the ledger without a known cost, and `estimated` those whose tokens were estimated: they are
    the first suspects.
    """

    day: str
    model: str
    verdict: Verdict
    invoiced_input: int | None
    ledger_input: int | None
    invoiced_output: int | None
    ledger_output: int | None
    invoiced_nano: int | None
    ledger_nano: int | None
    unpriced: int
    estimated: int


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Every day and model of either side, and the sums of money."""

    lines: tuple[Difference, ...]
    invoiced_nano: int
    ledger_nano: int

    @property
    def agrees(self) -> bool:
        """Whether there is no difference beyond the tolerance."""
        return all(line.verdict == "agrees" for line in self.lines)


def reconcile(
    invoice: Iterable[InvoiceLine],
    ledger: Iterable[UsageRow],
    *,
    names: Mapping[str, str] | None = None,
    tolerance: Tolerance | None = None,
) -> Reconciliation:
    """Compare an invoice with the ledger's usage by day and served model.

    `names` gives the ledger's name of a model where the invoice has another. Several lines of a day and model are summed.
    """
    allowed = tolerance or Tolerance()
    billed = _sum_invoice(invoice, names or {})
    used = {row.group: row for row in ledger}
    lines = tuple(
        _compare(day, model, billed.get((day, model)), used.get((day, model)), allowed)
        for day, model in sorted(billed.keys() | used.keys())
    )
    return Reconciliation(
        lines=lines,
        invoiced_nano=sum(line.invoiced_nano or 0 for line in lines),
        ledger_nano=sum(line.ledger_nano or 0 for line in lines),
    )


def _sum_invoice(invoice: Iterable[InvoiceLine], names: Mapping[str, str]) -> dict[tuple[str, ...], InvoiceLine]:
    sums: dict[tuple[str, ...], InvoiceLine] = {}
    for line in invoice:
        model = names.get(line.model, line.model)
        before = sums.get((line.day, model))
        sums[line.day, model] = InvoiceLine(
            day=line.day,
            model=model,
            input=line.input if before is None else _sum(before.input, line.input),
            output=line.output if before is None else _sum(before.output, line.output),
            cost_nano=line.cost_nano if before is None else _sum(before.cost_nano, line.cost_nano),
        )
    return sums


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other


def _compare(day: str, model: str, billed: InvoiceLine | None, used: UsageRow | None, allowed: Tolerance) -> Difference:
    taken = None if used is None else used.input + used.cache_read + used.cache_write + used.cache_write_1h
    made = None if used is None else used.output + used.reasoning
    verdict: Verdict
    if billed is None:
        verdict = "only_in_ledger"
    elif used is None:
        verdict = "only_invoiced"
    else:
        pairs = (
            (billed.input, taken, allowed.tokens),
            (billed.output, made, allowed.tokens),
            (billed.cost_nano, used.cost_nano, allowed.nano),
        )
        verdict = "agrees" if all(_same(*pair, allowed.relative) for pair in pairs) else "differs"
    return Difference(
        day=day,
        model=model,
        verdict=verdict,
        invoiced_input=None if billed is None else billed.input,
        ledger_input=taken,
        invoiced_output=None if billed is None else billed.output,
        ledger_output=made,
        invoiced_nano=None if billed is None else billed.cost_nano,
        ledger_nano=None if used is None else used.cost_nano,
        unpriced=0 if used is None else used.unpriced + used.uncounted,
        estimated=0 if used is None else used.estimated,
    )


def _same(billed: int | None, used: int | None, least: int, relative: float) -> bool:
    if billed is None or used is None:
        return True
    return abs(billed - used) <= max(least, abs(billed) * relative)


def differing(reconciliation: Reconciliation) -> Iterator[Difference]:
    """Give the lines beyond the tolerance, the largest difference of money first."""
    lines = [line for line in reconciliation.lines if line.verdict != "agrees"]
    yield from sorted(lines, key=lambda line: -abs((line.invoiced_nano or 0) - (line.ledger_nano or 0)))
