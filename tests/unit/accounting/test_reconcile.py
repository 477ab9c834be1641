"""An invoice and the ledger agree within a tolerance, or it is said on which day and for which model they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.reconcile import (
    InvoiceColumns,
    InvoiceLine,
    InvoiceUnreadable,
    Tolerance,
    differing,
    read_invoice,
    reconcile,
)
from gateway.stores.ledger import UsageRow

COLUMNS = InvoiceColumns()
DAY = "2026-11-20"


def used(day=DAY, model="gpt", **changes):
    values = {
        "calls": 3, "errors": 0, "input": 700, "cache_read": 300, "cache_write": 0, "cache_write_1h": 0, "output": 400,
        "reasoning": 100, "cost_nano": 2_000_000_000, "unpriced": 0, "uncounted": 0, "estimated": 0,
    }  # fmt: skip
    return UsageRow(group=(day, model), **(values | changes))


def billed(day=DAY, model="gpt", tokens_in=1000, tokens_out=500, cost_nano=2_000_000_000):
    return InvoiceLine(day=day, model=model, input=tokens_in, output=tokens_out, cost_nano=cost_nano)


def test_an_invoice_is_read_by_the_names_of_its_columns():
    text = 'Usage Date,Product,"Tokens, in",Out,Amount (USD)\r\n2026-11-20T23:00:00Z,gpt,"1,000",500,"$1,234.000000001"\r\n,,,,\r\n'
    columns = InvoiceColumns(date="Usage Date", model="Product", input="Tokens, in", output="Out", cost="Amount (USD)")

    assert read_invoice(text.splitlines(keepends=True), columns) == (
        InvoiceLine(day=DAY, model="gpt", input=1000, output=500, cost_nano=1_234_000_000_001),
    )


def test_an_invoice_without_tokens_is_compared_by_money_alone():
    lines = read_invoice([f"date,model,cost\n{DAY},gpt,2.00\n"][0].splitlines(), InvoiceColumns(input="", output=""))

    assert reconcile(lines, [used()]).agrees


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("date,model\n", "'input_tokens', 'output_tokens', 'cost'"),
        ("date,model,input_tokens,output_tokens,cost\nyesterday,gpt,1,1,1\n", "Line 2: 'date' holds no date"),
        (f"date,model,input_tokens,output_tokens,cost\n{DAY},gpt,1,1,much\n", "Line 2: 'cost' holds no number"),
        (f"date,model,input_tokens,output_tokens,cost\n{DAY},gpt,1,1,1e400\n", "Line 2: 'cost' holds no number"),
        (f"date,model,input_tokens,output_tokens,cost\n{DAY},gpt,NaN,1,1\n", "Line 2: 'input_tokens' holds no number"),
        (f'date,model,input_tokens,output_tokens,cost\n{DAY},"gpt,1,1,1\n', "no CSV"),
        (f"date,model,input_tokens,output_tokens,cost\n{DAY},{'x' * 2000},1,1,1\n", "longer than"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text, words):
    with pytest.raises(InvoiceUnreadable, match=words):
        read_invoice(text.splitlines(keepends=True), COLUMNS)


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
