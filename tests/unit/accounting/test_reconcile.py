"""An invoice and the ledger agree within a tolerance, or it is said on which day and for which model they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.invoice import InvoiceColumns, InvoiceLine, read_invoice
from gateway.accounting.reconcile import Tolerance, differing, reconcile
from gateway.stores.ledger import UsageRow

DAY = "2026-11-20"


def used(day=DAY, model="gpt", **changes):
    values = {
        "calls": 3, "errors": 0, "input": 700, "cache_read": 300, "cache_write": 0, "cache_write_1h": 0, "output": 400,
        "reasoning": 100, "cost_nano": 2_000_000_000, "unpriced": 0, "uncounted": 0, "estimated": 0,
    }  # fmt: skip
    return UsageRow(group=(day, model), **(values | changes))


def billed(day=DAY, model="gpt", tokens_in=1000, tokens_out=500, cost_nano=2_000_000_000):
    return InvoiceLine(day=day, model=model, input=tokens_in, output=tokens_out, cost_nano=cost_nano)


def test_an_invoice_without_tokens_is_compared_by_money_alone():
    lines = read_invoice(f"date,model,cost\n{DAY},gpt,2.00\n", InvoiceColumns(input="", output=""))

    assert reconcile(lines, [used()]).agrees


def test_lines_of_the_same_day_and_model_are_summed_under_the_ledgers_name():
    halves = [billed(model="gpt-2026-01-01", tokens_in=500, tokens_out=250, cost_nano=10**9) for _ in range(2)]

    assert reconcile(halves, [used()], names={"gpt-2026-01-01": "gpt"}).agrees


def test_what_only_one_side_has_is_said():
    found = reconcile([billed(), billed(model="unknown")], [used(), used(day="2026-11-21")])

    assert [(line.day, line.model, line.verdict) for line in found.lines] == [
        (DAY, "gpt", "agrees"), (DAY, "unknown", "only_invoiced"), ("2026-11-21", "gpt", "only_in_ledger"),
    ]  # fmt: skip
    assert (found.invoiced_nano, found.ledger_nano, found.agrees) == (4 * 10**9, 4 * 10**9, False)


@pytest.mark.parametrize("changes", [{"cost_nano": 2_020_000_000}, {"tokens_in": 1200}, {"tokens_out": 300}])
def test_a_difference_of_money_or_tokens_is_found(changes):
    found = reconcile([billed(**changes)], [used(unpriced=1, uncounted=1, estimated=2)])

    assert [(line.verdict, line.unpriced, line.estimated) for line in differing(found)] == [("differs", 2, 2)]
    assert reconcile([billed(**changes)], [used()], tolerance=Tolerance(relative=0.7)).agrees


def test_the_largest_difference_of_money_comes_first():
    bill = [billed(model="a", cost_nano=3 * 10**9), billed(model="b", cost_nano=9 * 10**9)]

    assert [line.model for line in differing(reconcile(bill, [used(model="a"), used(model="b")]))] == ["b", "a"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**12)), max_size=20))
def test_no_money_is_lost_between_the_lines(lines):
    invoice = [billed(model=model, cost_nano=cost) for model, cost in lines]

    assert reconcile(invoice, []).invoiced_nano == sum(cost for _, cost in lines)
